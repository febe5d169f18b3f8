"""A running service as the one who answers: against the real application, and against what is none."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.cli.batch import remote
from app.cli.batch.remote import Remote, ServiceFailed
from models.errors import ImageRejected, InvalidRequest
from tests.app.fakes import FakeClassifier
from tests.app.serving import listening

QUESTION = {"labels": ["cat, sitting", 'dog "ü"'], "top_k": 1, "template": ["a photo of a {}."]}
KEY = "a-key-of-the-service"
ANSWER: dict[str, Any] = {"width": 1, "height": 1, "ranking": []}


@contextmanager
def asking(url: str, question: dict[str, Any] = QUESTION, key: str | None = None) -> Iterator[Remote]:
    asker = Remote(url, question, key)
    try:
        yield asker
    finally:
        asker.close()


class Picky(FakeClassifier):
    def embed_image(self, data: bytes, *, deadline: float | None = None) -> Future[Any]:
        self.error = ImageRejected("damaged", "cut short") if data == b"bad" else None
        return super().embed_image(data, deadline=deadline)


def test_many_pictures_are_answered_each_with_its_own() -> None:
    with listening(Picky(), api_keys=(KEY,)) as port, asking(f"http://127.0.0.1:{port}/", key=KEY) as asker:
        waiting = [asker.ask(b"bad" if index % 10 == 0 else b"%d" % index) for index in range(40)]
        answers = [wait() for wait in waiting]
    assert [index for index, answer in enumerate(answers) if "error" in answer] == [0, 10, 20, 30]
    assert answers[0]["error"]["reason"] == "damaged"
    expected = [{"label": "cat, sitting", "similarity": 1.0, "probability": 1.0}]
    assert answers[1] == {"width": 1, "height": 1, "ranking": expected}
    assert asker.common == {"model": "fake", "calibrated": False}


def test_a_wrong_key_and_a_wrong_question_are_said() -> None:
    with listening(FakeClassifier(), api_keys=(KEY,)) as port:
        with asking(f"127.0.0.1:{port}") as asker, pytest.raises(ServiceFailed, match="CANDID_API_KEY"):
            asker.ask(b"x")()
        wrong = QUESTION | {"model": "another"}
        with (
            asking(f"127.0.0.1:{port}", wrong, KEY) as asker,
            pytest.raises(ServiceFailed, match="404: model 'another' is not loaded"),
        ):
            asker.ask(b"x")()


def test_nobody_there_is_told_at_once() -> None:
    with asking("http://127.0.0.1:9") as asker, pytest.raises(ServiceFailed, match="cannot be reached"):
        asker.ask(b"x")()


@pytest.mark.parametrize(
    "url", ["ftp://host", "http://", "/path", "http://[::1", "http://a:b", "http://a:99999"]
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(InvalidRequest, match="give an address"):
        Remote(url, QUESTION, None)


class Service:
    """Answers what the test has put in line, then properly; it may close the connection first."""

    def __init__(self, *line: tuple[int, Any]) -> None:
        self.line, self.asked = list(line), 0
        self.authorization: str | None = None  # of the last request
        self.close_after_each = False
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                service.authorization = self.headers["Authorization"]
                service.asked += 1
                good = {"model": "m", "results": [{"name": "x", **ANSWER}], "warnings": []}
                status, body = service.line.pop(0) if service.line else (200, good)
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = service.close_after_each

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Service:
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def test_a_picture_may_be_refused_in_few_words() -> None:
    with Service((422, {"error": {"code": "image_rejected"}})) as service, asking(service.url) as asker:
        assert asker.ask(b"x")()["error"]["message"] == "image_rejected"


def test_an_answer_is_read_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_ANSWER_BYTES", 10)
    with Service() as service, asking(service.url) as asker, pytest.raises(ServiceFailed, match="Incomplete"):
        asker.ask(b"x")()


@pytest.mark.parametrize("key", ["a\nb", "ключ"])
def test_a_key_that_no_header_can_carry_is_told_and_not_shown(key: str) -> None:
    with pytest.raises(InvalidRequest, match="no header can carry") as refused:
        Remote("127.0.0.1:9", QUESTION, key)
    assert key not in refused.value.message


def test_what_is_said_of_an_error_may_be_a_text() -> None:
    told = pytest.raises(ServiceFailed, match="answers 400: no such thing")
    with Service((400, {"error": "no such thing"})) as service, asking(service.url) as asker, told:
        asker.ask(b"x")()


def test_a_user_and_password_of_the_address_are_sent_and_never_told() -> None:
    with Service((404, {})) as service:
        with asking(service.url.replace("http://", "http://me:s%40cret@")) as asker:
            with pytest.raises(ServiceFailed) as failure:
                asker.ask(b"x")()
            assert "cret" not in failure.value.message
            asker.ask(b"x")()
        assert service.authorization == "Basic " + base64.b64encode(b"me:s@cret").decode()
        with pytest.raises(InvalidRequest, match="not both") as refused:
            Remote("http://me:secret@127.0.0.1:9", QUESTION, KEY)
        assert "secret" not in refused.value.message


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "FIRST_WAIT_S", 0.001)


def test_a_service_that_is_full_is_asked_again(no_waiting: None) -> None:
    full = (503, {"error": {"code": "overloaded", "message": "full"}})
    with Service(full, full) as service, asking(service.url) as asker:
        assert asker.ask(b"x")() == ANSWER
        assert service.asked == 3
    with Service(*[full] * 99) as service, asking(service.url) as asker:
        with pytest.raises(ServiceFailed, match="503: full"):
            asker.ask(b"x")()
        assert service.asked == remote.ATTEMPTS


def test_a_connection_that_the_service_has_closed_is_opened_anew() -> None:
    with Service() as service, asking(service.url) as asker:
        service.close_after_each = True
        for _ in range(3):
            assert asker.ask(b"x")() == ANSWER


def answer(*results: Any, warnings: Any = ()) -> dict[str, Any]:
    return {"model": "m", "results": list(results), "warnings": warnings}


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[" * 100_000,
        [],
        {"unknown": 1},
        {"model": "m", "results": None, "warnings": []},
        answer(),
        answer(5),
        answer({"name": "x"}),
        answer({"name": "x", "error": "text"}),
        answer({"name": "x", "error": {}}),
        answer({"name": "x"} | ANSWER | {"ranking": [{"label": 1, "similarity": "0", "probability": 1}]}),
        answer({"name": "x"} | ANSWER, warnings=None),
        answer({"name": "x"} | ANSWER, warnings=[1]),
        b'{"results": [{"name": "x", "width": NaN, "height": 1, "ranking": []}], "warnings": []}',
    ],
)
def test_what_is_no_candid_service_is_told(body: Any) -> None:
    told = pytest.raises(ServiceFailed, match="does not answer as Candid")
    with Service((200, body)) as service, asking(service.url) as asker, told:
        asker.ask(b"x")()
