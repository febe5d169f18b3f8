from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from typing import Any

import pytest

from app.requests.uploads import UploadedImage
from app.service.embedding import AHEAD, embed_all, embed_each
from models.errors import EncoderFailed, ImageRejected, Overloaded
from tests.app.fakes import FakeClassifier, until

LATER = time.monotonic() + 600


def pictures(count: int) -> list[UploadedImage]:
    return [UploadedImage(f"images[{index}]", b"x") for index in range(count)]


def test_a_large_request_has_only_so_many_pictures_under_way() -> None:
    async def test() -> None:
        fake = FakeClassifier(hold=True)
        task = asyncio.create_task(embed_all(fake, pictures(AHEAD * 3), LATER))  # type: ignore[arg-type]
        answered = 0
        while answered < AHEAD * 3:
            await asyncio.sleep(0.001)
            assert len(fake.given) <= answered + AHEAD
            for future in fake.given[answered:]:
                future.set_result("vector")
                answered += 1
        assert await task == ["vector"] * AHEAD * 3

    asyncio.run(test())


def test_outcomes_come_in_order_though_the_work_is_done_in_another() -> None:
    async def test() -> list[Any]:
        fake = FakeClassifier(hold=True)
        task = asyncio.create_task(embed_all(fake, pictures(3), LATER))  # type: ignore[arg-type]
        await until(lambda: len(fake.given) == 3)
        for index in (2, 0, 1):
            fake.given[index].set_result(index)
        return list(await task)

    assert asyncio.run(test()) == [0, 1, 2]


def test_a_poisoned_picture_is_its_own_error_among_several_and_the_requests_when_alone() -> None:
    class Poisoned(FakeClassifier):
        def embed_image(self, data: bytes, *, deadline: float | None = None) -> Future[Any]:
            self.error = EncoderFailed("poison") if data == b"poison" else None
            return super().embed_image(data, deadline=deadline)

    sent = [b"fine", b"poison", ImageRejected("empty", "no bytes")]
    mixed = [UploadedImage(f"images[{index}]", data) for index, data in enumerate(sent)]
    fine, poison, empty = asyncio.run(embed_all(Poisoned(), mixed, LATER))  # type: ignore[arg-type]
    assert not isinstance(fine, Exception)
    assert isinstance(poison, EncoderFailed) and poison.field == "images[1]"
    assert isinstance(empty, ImageRejected) and (empty.field, empty.reason) == ("images[2]", "empty")

    with pytest.raises(EncoderFailed):
        asyncio.run(embed_all(Poisoned(), mixed[1:2], LATER))  # type: ignore[arg-type]


def test_no_room_for_one_picture_is_no_room_for_the_request() -> None:
    with pytest.raises(Overloaded):
        asyncio.run(embed_all(FakeClassifier(error=Overloaded("full")), pictures(100), LATER))  # type: ignore[arg-type]


def test_what_is_not_waited_for_is_cancelled() -> None:
    async def test() -> None:
        fake = FakeClassifier(hold=True)
        outcomes = embed_each(fake, pictures(3), LATER)  # type: ignore[arg-type]
        first = asyncio.ensure_future(anext(outcomes))
        await until(lambda: len(fake.given) == 3)
        fake.given[0].set_result("vector")
        assert await first == (0, "vector")
        await outcomes.aclose()
        assert [future.cancelled() for future in fake.given] == [False, True, True]

    asyncio.run(test())
