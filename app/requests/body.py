"""Untrusted bytes to plain values: strict JSON, base64, multipart. Every failure is the caller's error."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, ParamSpec, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from app.http.errors import BadBody, UnsupportedMediaType, flatten
from app.requests.limits import NO_LIMITS, Limits, within
from app.schemas.json_structure import too_much
from models.errors import ImageRejected, InvalidRequest

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

OFFLOAD_BYTES: Final = 256 * 1024
"""Bodies from this size on are parsed on a thread: base64 and JSON run at about 1 GB/s, so below it a parse
takes less than a thread's hand-over is worth."""
MAX_FIELDS: Final = 100
"""Fields of a JSON object that is a whole request: each unknown one costs more than the byte it came in."""
MAX_TEXT_FIELD_BYTES: Final = 4 << 20
"""One text field of a form: 10,000 labels as one JSON array fit."""
MAX_TEXT_BYTES: Final = 8 << 20
"""All text fields of a form together."""
_DATA_URI: Final = re.compile(
    r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?P<params>(?:;[\w.+-]+=[^;,]*)*)(?P<b64>;base64)?,", re.I
)


async def offload(size: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `function` here, or on a thread when `size` bytes would hold up the event loop."""
    if size < OFFLOAD_BYTES:
        return function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)


async def offload_many(count: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for work that is linear in labels: some microseconds of Python for each."""
    return await offload(count * 100, function, *args, **kwargs)


def media_type(request: Request) -> str:
    """The body's type without parameters, in lower case; "" when none is named."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_json(request: Request, model: type[M], limits: Limits = NO_LIMITS) -> M:
    """The JSON body as `model`: 415 when it is something else, 400 when no JSON, 422 when it does not fit."""
    kind = media_type(request)
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise UnsupportedMediaType(
            f"this route reads application/json, not {kind[:80] or 'a body without a type'}"
        )
    body = await request.body()
    return await offload(len(body), parse_json, body, model, limits)


def parse_json(body: bytes, model: type[M], limits: Limits = NO_LIMITS) -> M:
    """Strict JSON (no NaN, no lone surrogates, bounded nesting) as `model`.

    It is measured before it is built, and lists before an entry of them is looked at: 64 MB can hold twenty
    million, and each would become an object or an error of its own.
    """
    if (why := too_much(body)) is not None:
        raise InvalidRequest(f"the body has {why}; send vectors as base64, and large sets in parts")
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise BadBody(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object")
    if len(value) > MAX_FIELDS:
        raise InvalidRequest(f"the body has {len(value)} fields; at most {MAX_FIELDS}")
    within(limits, value)
    return validate(model, value, strict=True)


def validate(model: type[M], value: Mapping[str, Any], *, strict: bool = False) -> M:
    """`value` as `model`, or InvalidRequest naming each field and its limit. Forms need not be `strict`:
    their numbers are texts. In JSON, `true` is no number.
    """
    try:
        return model.model_validate(value, strict=strict)
    except ValidationError as error:
        message, field = flatten(error.errors(include_url=False, include_context=False, include_input=False))
        raise InvalidRequest(message, field=field) from None


def decode_base64(text: str, *, max_bytes: int, what: str) -> bytes:
    """Strict base64, plain or as a data: URI; refused by its length before anything is decoded."""
    text = _payload(text, what)
    if len(text) > (max_bytes + 2) // 3 * 4 + 4:
        raise ImageRejected("too_many_bytes", f"{what} exceeds {max_bytes} bytes (limit: max_image_bytes)")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageRejected("not_an_image", f"{what} is not base64 (RFC 4648, padded): {error}") from None


def _payload(text: str, what: str) -> str:
    head = text[:200]
    if head[:5].lower() == "data:":
        match = _DATA_URI.match(head)
        if match is None or not match["b64"]:
            raise ImageRejected("not_an_image", f"{what} is no data URI of the form data:image/…;base64,…")
        return text[match.end() :]
    if re.match(r"[a-z][a-z0-9+.-]*://", head, re.I):
        raise ImageRejected("not_an_image", f"{what} is a URL; none is fetched: send the picture itself")
    return text


class TooManyParts(BadBody):
    """A form of more files or fields than anybody needs; `what` says of which."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the form cannot be read: it has too many {what}")
        self.what = what


class _InMemoryParser(MultiPartParser):
    """Starlette's parser without temporary files: bodies are bounded, and a disk may be read-only."""

    spool_max_size = 1 << 40
    ended = False
    _text_bytes = 0  # of all fields that are no files

    def on_end(self) -> None:
        self.ended = True

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._current_part
        if part.file is None and len(part.data) + end - start > self.max_part_size:
            name = part.field_name[:80]
            raise InvalidRequest(f"{name} has more than {self.max_part_size} bytes in one field", field=name)
        if part.file is None:
            self._text_bytes += end - start
            if self._text_bytes > MAX_TEXT_BYTES:
                raise InvalidRequest(f"the form has more than {MAX_TEXT_BYTES} bytes in its text fields")
        super().on_part_data(data, start, end)

    @property
    def too_many(self) -> str | None:
        """What there are more of than allowed, "files" or "fields"."""
        if self._current_files > self.max_files:
            return "files"
        return "fields" if self._current_fields > self.max_fields else None

    def close(self) -> None:
        """Also what an unfinished part holds, which is in no form."""
        for file in self._files_to_close_on_error:
            file.close()


class Form:
    """A multipart form: texts and files by field, in the order they came."""

    def __init__(self, items: Iterator[tuple[str, str | tuple[str | None, bytes]]]) -> None:
        self.texts: dict[str, list[str]] = {}
        self.files: dict[str, list[tuple[str | None, bytes]]] = {}
        for name, value in items:
            if isinstance(value, str):
                self.texts.setdefault(name, []).append(value)
            else:
                self.files.setdefault(name, []).append(value)


async def read_form(request: Request, *, max_files: int, max_fields: int) -> Form:
    """The multipart body. Raises BadBody; TooManyParts, if that is why; InvalidRequest for a huge text."""
    charset = parse_options_header(request.headers["content-type"])[1].get(b"charset", b"utf-8")
    if charset.lower() not in (b"utf-8", b"utf8", b"us-ascii", b"ascii"):
        # Python's codecs are more than alphabets: punycode takes quadratic time, utf-7 makes half characters.
        raise UnsupportedMediaType("send the form in UTF-8")
    parser = _InMemoryParser(
        request.headers,
        request.stream(),
        max_files=max_files,
        max_fields=max_fields,
        max_part_size=MAX_TEXT_FIELD_BYTES,
    )
    try:
        form = await parser.parse()
        if not parser.ended:
            raise BadBody("the form cannot be read: it does not end with its boundary")
        return Form((name, _value(item)) for name, item in form.multi_items())
    except MultiPartException as error:
        if parser.too_many:
            raise TooManyParts(parser.too_many) from error
        raise BadBody(f"the form cannot be read: {error.message}") from error
    except UnicodeError as error:
        raise BadBody("the form cannot be read: a field is not text in its charset") from error
    finally:
        parser.close()


def _value(item: str | UploadFile) -> str | tuple[str | None, bytes]:
    return item if isinstance(item, str) else (item.filename, item.file.read())
