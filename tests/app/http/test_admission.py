"""Admission: what is refused before it costs anything, and what ends when its caller has left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from fastapi import FastAPI
from starlette.types import Message

from app.main import create_app
from app.routes.dependencies import Service
from app.settings import Settings
from tests.app.conftest import Serve
from tests.app.fakes import FakeClassifier, until

QUESTION = json.dumps({"input": "a cat"}).encode()


class Caller:
    """An HTTP caller at the level of ASGI: it can stall, leave, and be told to go on."""

    def __init__(self, app: FastAPI, service: Service, *chunks: bytes, **headers: str) -> None:
        self.app = app
        self.chunks = list(chunks)
        self.left = asyncio.Event()
        self.asked = 0
        self.sent: list[Message] = []
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/embeddings",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")]
            + [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "state": {"service": service},
        }

    async def receive(self) -> Message:
        self.asked += 1
        if self.chunks:
            await asyncio.sleep(0)
            body = self.chunks.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(self.chunks)}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def answer(self) -> tuple[int, dict[str, Any]]:
        await self.app(self.scope, self.receive, self.send)
        return self.sent[0]["status"], json.loads(self.sent[1]["body"])

    def header(self, name: bytes) -> bytes | None:
        return dict(self.sent[0]["headers"]).get(name)


def service_of(fake: FakeClassifier, **settings: Any) -> tuple[FastAPI, Service]:
    chosen = Settings(**settings)
    app = create_app(chosen, {})
    return app, Service(chosen, app.state.admission, {"fake": fake}, 0)  # type: ignore[dict-item]


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def test_a_declared_length_over_the_limit_is_refused_unread() -> None:
    async def test() -> None:
        app, service = service_of(FakeClassifier(), max_body_bytes=1024)
        caller = Caller(app, service, b"x" * 2000, content_length="2000")
        status, body = await caller.answer()
        assert status == 413
        assert body["error"]["code"] == "body_too_large" and "1024" in body["error"]["message"]
        assert caller.asked == 0

    run(test)


def test_a_body_without_a_length_is_counted_while_it_comes() -> None:
    async def test() -> None:
        app, service = service_of(FakeClassifier(), max_body_bytes=1024)
        caller = Caller(app, service, *[b"x" * 500] * 1000)
        assert (await caller.answer())[0] == 413
        assert len(caller.chunks) == 997, "not one chunk more than needed was taken"

    run(test)


def test_who_expects_a_continue_and_is_refused_is_told_that_the_connection_ends() -> None:
    async def test() -> None:
        app, service = service_of(FakeClassifier(), max_body_bytes=1024)
        caller = Caller(app, service, content_length="2000", expect="100-continue")
        assert (await caller.answer())[0] == 413
        assert caller.header(b"connection") == b"close"
        patient = Caller(app, service, QUESTION, expect="100-continue")
        assert (await patient.answer())[0] == 200
        assert patient.header(b"connection") is None

    run(test)


def test_all_bodies_together_are_bounded_and_given_back() -> None:
    async def test() -> None:
        app, service = service_of(FakeClassifier(), max_body_bytes=2048, max_buffer_bytes=3000)
        slow = Caller(app, service, b" " * 2000)
        slow.chunks.append(b"")
        stalled = asyncio.Event()
        original = slow.receive

        async def stall() -> Message:
            if slow.asked == 1:
                stalled.set()
                await slow.left.wait()
            return await original()

        slow.receive = stall  # type: ignore[method-assign]
        first = asyncio.create_task(slow.answer())
        await stalled.wait()
        assert app.state.buffer.held == 2000
        assert (await Caller(app, service, b" " * 1500).answer())[0] == 400  # blanks are no JSON
        status, body = await first  # it held most, and was not whole
        assert status == 503 and "max_buffer_bytes" in body["error"]["message"]
        assert app.state.buffer.held == 0
        assert (await Caller(app, service, QUESTION + b" " * 1500).answer())[0] == 200

    run(test)


def test_a_full_house_refuses_at_once_and_before_the_body() -> None:
    async def test() -> None:
        fake = FakeClassifier(hold=True)
        app, service = service_of(fake, max_slots=2)
        inside = [asyncio.create_task(Caller(app, service, QUESTION).answer()) for _ in range(2)]
        await until(lambda: len(fake.given) == 2)

        outside = Caller(app, service, QUESTION)
        status, body = await outside.answer()
        assert status == 503 and body["error"]["code"] == "overloaded"
        assert outside.header(b"retry-after") == b"1"
        assert outside.asked == 0

        for future in fake.given:
            future.set_result([[1.0, 0.0, 0.0, 0.0]])
        assert [(await task)[0] for task in inside] == [200, 200]
        fake.hold = False
        assert (await Caller(app, service, QUESTION).answer())[0] == 200

    run(test)


def test_a_half_sent_request_holds_no_slot() -> None:
    async def test() -> None:
        app, service = service_of(FakeClassifier(), max_slots=1)
        half = Caller(app, service, QUESTION[:5])
        half.scope["headers"].append((b"content-length", b"5000"))  # type: ignore[attr-defined]
        half.chunks.append(b"")
        stalled = asyncio.Event()

        async def stall() -> Message:
            stalled.set()
            await half.left.wait()
            return {"type": "http.disconnect"}

        half.receive = stall  # type: ignore[method-assign]
        waiting = asyncio.create_task(half.answer())
        await stalled.wait()
        assert (await Caller(app, service, QUESTION).answer())[0] == 200
        half.left.set()
        assert (await waiting)[0] == 499

    run(test)


def test_when_the_caller_leaves_its_work_is_cancelled_and_its_slot_is_free() -> None:
    async def test() -> None:
        fake = FakeClassifier(hold=True)
        app, service = service_of(fake, max_slots=1)
        caller = Caller(app, service, QUESTION)
        task = asyncio.create_task(caller.answer())
        await until(lambda: len(fake.given) == 1)
        caller.left.set()
        assert (await task)[0] == 499
        assert fake.given[0].cancelled()
        assert service.admission.taken == 0

    run(test)


def test_who_left_before_the_work_began_costs_no_work() -> None:
    async def test() -> None:
        fake = FakeClassifier()
        app, service = service_of(fake)
        caller = Caller(app, service, QUESTION)
        caller.left.set()
        assert (await caller.answer())[0] == 499
        assert fake.given == []

    run(test)


def test_work_that_takes_too_long_is_a_504_and_is_cancelled() -> None:
    async def test() -> None:
        fake = FakeClassifier(hold=True)
        app, service = service_of(fake, request_timeout_s=0.05)
        status, body = await Caller(app, service, QUESTION).answer()
        assert status == 504
        assert body["error"]["code"] == "deadline_exceeded"
        assert "request_timeout_s" in body["error"]["message"]
        assert fake.given[0].cancelled()
        assert service.admission.taken == 0

    run(test)


def test_a_thousand_callers_that_leave_take_nothing_with_them() -> None:
    async def test() -> None:
        fake = FakeClassifier(hold=True)
        app, service = service_of(fake, max_slots=50)
        for _ in range(20):
            before = len(fake.given)
            callers = [Caller(app, service, QUESTION) for _ in range(50)]
            tasks = [asyncio.create_task(caller.answer()) for caller in callers]
            await until(lambda start=before: len(fake.given) == start + 50)  # type: ignore[misc]
            for caller in callers:
                caller.left.set()
            assert {status for status, _ in await asyncio.gather(*tasks)} == {499}
        assert all(future.cancelled() for future in fake.given)
        assert service.admission.taken == 0
        assert len(asyncio.all_tasks()) == 1

    run(test)


def test_a_large_body_is_refused_through_a_real_client_too(serve: Serve) -> None:
    client = serve({"fake": FakeClassifier()}, max_body_bytes=10_000)

    def chunks() -> Iterator[bytes]:
        yield from [b"x" * 1000] * 50

    for body in (b"x" * 10_001, chunks()):
        answer = client.post("/v1/classify?labels=a", content=body, headers={"Content-Type": "image/jpeg"})
        assert answer.status_code == 413
        assert answer.json()["error"]["message"].endswith("(limit: max_body_bytes)")
