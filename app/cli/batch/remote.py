"""A running Candid service in place of a model here: `POST /v1/classify`, several pictures under way.

One kept-alive connection a thread. A picture that the service refuses is that
picture's error; a service that is full is asked again; anything else ends the run.
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Final
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from pydantic import BaseModel, Field, model_validator
from pydantic_core import from_json

from app.cli.batch.embeddings import Embedded
from app.cli.batch.run import Pending
from app.schemas.responses import Result
from models.errors import CandidError, InvalidRequest

CONNECTIONS: Final = 16
"""Pictures under way: half a batch of the service's default, so that it leaves room for others."""
TIMEOUT_S: Final = 120.0
ATTEMPTS: Final = 6
FIRST_WAIT_S: Final = 1.0
"""Of one picture, while the service is full or away; each wait is twice the last: 31 s, a restart's time."""
MAX_ANSWER_BYTES: Final = 256 << 20
"""Of one picture's answer: a million labels fit."""
PICTURE_ERRORS: Final = ("image_rejected", "body_too_large")


class ServiceFailed(CandidError):
    """The service cannot be asked, or does not want to answer."""

    code = "service_failed"


class Remote:
    """One service, and the question to ask it about every picture."""

    def __init__(self, url: str, question: Mapping[str, Any], api_key: str | None) -> None:
        parts = _parsed(url)
        user, _, self._host = parts.netloc.rpartition("@")
        # As it is told: without a password.
        self.url = f"{parts.scheme}://{self._host}{parts.path}".rstrip("/")
        self._secure = parts.scheme == "https"
        self._path = parts.path.rstrip("/") + "/v1/classify"
        boundary = secrets.token_hex(16)
        self._head, self._tail = _form(question, boundary)
        self._headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Accept": "application/json",
            "User-Agent": "candid",
        }
        if api_key and user:
            raise InvalidRequest(f"--server {self.url}: give a key, or a user and password, not both")
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise InvalidRequest("the service's key holds a character that no header can carry")
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        if user:
            login = unquote_to_bytes(user if ":" in user else f"{user}:")
            self._headers["Authorization"] = "Basic " + base64.b64encode(login).decode()
        self._pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="candid-remote")
        self._own = threading.local()
        self._opened: list[http.client.HTTPConnection] = []
        self._closing = threading.Event()
        self.common: dict[str, Any] = {}
        self.warnings: list[str] = []

    def ask(self, data: bytes) -> Pending:
        """Send one picture; what is returned waits for its answer, or its own `error`."""
        return self._pool.submit(self._answer, data).result

    def score(self, embedded: Embedded) -> dict[str, Any]:
        raise InvalidRequest(
            "a file of embeddings is answered by a model here, not by a service: no --server"
        )

    def close(self) -> None:
        self._closing.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for connection in self._opened:
            connection.close()

    def _answer(self, data: bytes) -> dict[str, Any]:
        body = self._head + data + self._tail
        for attempt in range(ATTEMPTS):
            try:
                status, answer = self._post(body)
            except (OSError, http.client.HTTPException, UnicodeError) as error:  # UnicodeError: of its name
                status, problem = 0, f"cannot be reached: {str(error) or type(error).__name__}"
            else:
                if status == 200:
                    return self._read(answer)
                failure = answer.get("error")
                failure = failure if isinstance(failure, dict) else {"message": failure}
                if failure.get("code") in PICTURE_ERRORS:
                    said = {
                        "code": failure["code"],
                        "message": str(failure.get("message") or failure["code"]),
                    }
                    return {"error": said | {"reason": failure.get("reason")}}
                problem = f"answers {status}: {failure.get('message') or 'not as Candid does'}"
            # A wrong address is told at once; a service that has answered before may be starting again.
            again = status in (503, 504) or (status == 0 and self.common)
            if not again or attempt == ATTEMPTS - 1:
                break
            if self._closing.wait(FIRST_WAIT_S * 2**attempt):  # longer than any Retry-After of Candid's
                break
        if status == 401:
            problem += " (--api-key, or CANDID_API_KEY)"
        raise ServiceFailed(f"{self.url} {problem}")

    def _read(self, answer: dict[str, Any]) -> dict[str, Any]:
        try:
            read = _OneAnswer.model_validate(answer, strict=True)
        except ValueError:
            raise ServiceFailed(f"{self.url} does not answer as Candid does") from None
        self.warnings = read.warnings
        self.common = {k: v for k, v in answer.items() if k not in ("results", "warnings", "timing_ms")}
        return {key: value for key, value in answer["results"][0].items() if key != "name"}

    def _post(self, body: bytes) -> tuple[int, dict[str, Any]]:
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            connection = self._own.connection = kind(self._host, timeout=TIMEOUT_S)
            self._opened.append(connection)
        used = connection.sock is not None
        try:
            try:
                connection.request("POST", self._path, body, self._headers)
                answer = connection.getresponse()
            except ConnectionError:
                connection.close()
                if not used:
                    raise
                # The service has closed it while it was idle; a new one tells whether it is there.
                connection.request("POST", self._path, body, self._headers)
                answer = connection.getresponse()
            text = answer.read(MAX_ANSWER_BYTES + 1)
            if answer.length or len(text) > MAX_ANSWER_BYTES:
                raise http.client.IncompleteRead(text)
        except BaseException:
            connection.close()
            raise
        try:
            read = from_json(text, allow_inf_nan=False)
        except ValueError:
            read = {}
        return answer.status, read if isinstance(read, dict) else {}


class _Answered(Result):
    """A picture's own error, or an answer with all that is shown and kept of it."""

    @model_validator(mode="after")
    def _whole(self) -> _Answered:
        if self.error is None and None in (self.width, self.height, self.ranking):
            raise ValueError("neither an answer nor an error")
        return self


class _OneAnswer(BaseModel):
    """What is used of an answer about one picture; what a later version adds is passed on."""

    results: Annotated[list[_Answered], Field(min_length=1, max_length=1)]
    warnings: list[str]


def _parsed(url: str) -> SplitResult:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:  # brackets or a port that are none; its words would show a password
        pass
    raise InvalidRequest("--server: give an address such as http://127.0.0.1:8000")


def _form(question: Mapping[str, Any], boundary: str) -> tuple[bytes, bytes]:
    """What goes before and after a picture's bytes."""
    lines = []
    for name, value in question.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines += [f"--{boundary}", f'Content-Disposition: form-data; name="{name}"', "", text]
    lines += [f"--{boundary}", 'Content-Disposition: form-data; name="images"; filename="picture"']
    lines += ["Content-Type: application/octet-stream", "", ""]
    return "\r\n".join(lines).encode(), f"\r\n--{boundary}--\r\n".encode()
