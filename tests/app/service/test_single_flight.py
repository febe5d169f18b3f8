"""app/service/single_flight.py: one piece of work for many askers, whoever of them leaves."""

from __future__ import annotations

import asyncio

import pytest

from app.service.single_flight import Once


def test_many_askers_share_one_piece_of_work() -> None:
    async def test() -> None:
        once: Once[str, int] = Once(4)
        started = 0

        async def work() -> int:
            nonlocal started
            started += 1
            await asyncio.sleep(0)
            return started

        assert await asyncio.gather(*(once.get("a", work) for _ in range(5))) == [1] * 5
        assert await once.get("a", work) == 1
        assert await once.get("b", work) == 2

    asyncio.run(test())


def test_who_leaves_does_not_stop_the_work() -> None:
    async def test() -> None:
        once: Once[str, str] = Once(4)
        begun, may_end = asyncio.Event(), asyncio.Event()

        async def work() -> str:
            begun.set()
            await may_end.wait()
            return "done"

        first = asyncio.create_task(once.get("a", work))
        await begun.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        may_end.set()
        assert await once.get("a", work) == "done"

    asyncio.run(test())


def test_what_failed_is_tried_again() -> None:
    async def test() -> None:
        once: Once[str, int] = Once(4)
        outcomes: list[int | Exception] = [ValueError("no"), 7]

        async def work() -> int:
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        with pytest.raises(ValueError, match="no"):
            await once.get("a", work)
        assert await once.get("a", work) == 7

    asyncio.run(test())


def test_the_oldest_is_forgotten() -> None:
    async def test() -> None:
        once: Once[int, int] = Once(2)
        done: list[int] = []

        def work(number: int):
            async def made() -> int:
                done.append(number)
                return number

            return made

        for number in (1, 2, 3, 2, 1):
            assert await once.get(number, work(number)) == number
        assert done == [1, 2, 3, 1]

    asyncio.run(test())
