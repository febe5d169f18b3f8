"""Tensors of the KServe v2 protocol (Open Inference Protocol) in both of its forms: JSON and binary.

In the binary form the body is the JSON, whose length a header names, and behind it the bytes of each tensor
that has `binary_data_size`, in their order; a BYTES element is a 4-byte little-endian length and its bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from fastapi import Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from app.http.errors import BadBody, UnsupportedMediaType
from app.requests.body import offload, parse_json
from app.service.rendering import OneList, to_json
from models.errors import InvalidRequest

HEADER: Final = "Inference-Header-Content-Length"
MAX_TENSORS: Final = 16


class Tensor(BaseModel):
    """An input as its sender describes it."""

    name: str
    shape: Annotated[list[Annotated[int, Field(ge=0, lt=1 << 31)]], Field(max_length=8)]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class Wanted(BaseModel):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] = {}


class Inference(BaseModel):
    """The JSON of a request."""

    id: str | None = None
    parameters: dict[str, Any] = {}
    inputs: Annotated[list[Tensor], Field(fail_fast=True, max_length=MAX_TENSORS)]
    outputs: Annotated[list[Wanted], Field(fail_fast=True, max_length=MAX_TENSORS)] = []


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: each input's elements, text (from JSON) or bytes (binary), flat in row-major order."""

    inference: Inference
    inputs: Mapping[str, Sequence[str | bytes]]

    def is_binary(self, output: str) -> bool:
        """Whether this output is to follow the JSON as bytes."""
        for wanted in self.inference.outputs:
            if wanted.name == output and "binary_data" in wanted.parameters:
                return wanted.parameters["binary_data"] is True
        return self.inference.parameters.get("binary_data_output") is True


async def read(request: Request, names: Sequence[str], *, most: int) -> Asked:
    """The request's tensors; those that are not of `names`, or of more than `most` elements, are an error."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType("compressed bodies are not read: send request_compression_algorithm=None")
    body = await request.body()
    return await offload(len(body), _parse, body, request.headers.get(HEADER), names, most)


def _parse(body: bytes, length: str | None, names: Sequence[str], most: int) -> Asked:
    # No longer than the body's own length is written: Python refuses to read thousands of digits.
    digits = len(str(len(body)))
    if length is not None and not (length.isdecimal() and len(length) <= digits and int(length) <= len(body)):
        raise BadBody(f"{HEADER} must be the number of bytes of JSON that the body begins with")
    size = len(body) if length is None else int(length)
    inference = parse_json(body[:size], Inference)
    inputs: dict[str, list[str | bytes]] = {}
    for tensor in inference.inputs:
        if tensor.name not in names or tensor.name in inputs or tensor.datatype != "BYTES":
            expected = ", ".join(names)
            raise InvalidRequest(
                f"input {tensor.name[:80]!r} of type {tensor.datatype[:20]!r}: the inputs are {expected}, "
                "each of type BYTES and given once",
                field="inputs",
            )
        count = tensor.parameters.get("binary_data_size")
        if count is None:
            values = _from_json(tensor, most)
        elif isinstance(count, int) and 0 <= count <= len(body) - size:
            values = _from_bytes(memoryview(body)[size : size + count], tensor, most)
            size += count
        else:
            raise _wrong(tensor, "binary_data_size is not the size of what follows the JSON")
        if len(values) != math.prod(tensor.shape):
            raise _wrong(tensor, f"shape {tensor.shape} does not fit its {len(values)} elements")
        inputs[tensor.name] = values
    return Asked(inference, inputs)


def _from_json(tensor: Tensor, most: int) -> list[str | bytes]:
    values: list[Any] = tensor.data if tensor.data is not None else []
    for _ in tensor.shape[1:]:  # rows may be nested, or not
        if values and all(isinstance(value, list) for value in values):
            values = [element for value in values for element in value]
    if len(values) > most:
        raise _too_many(tensor, most)
    if tensor.data is None or not all(isinstance(value, str) for value in values):
        raise _wrong(tensor, "data must be a list of texts (pictures: base64)")
    return values


def _from_bytes(data: memoryview, tensor: Tensor, most: int) -> list[str | bytes]:
    values: list[str | bytes] = []
    while data:
        if len(values) == most:
            raise _too_many(tensor, most)
        end = 4 + int.from_bytes(data[:4], "little")
        if end > len(data):
            raise _wrong(tensor, "the length of an element leads past the tensor's end")
        values.append(bytes(data[4:end]))
        data = data[end:]
    return values


def _too_many(tensor: Tensor, most: int) -> InvalidRequest:
    return _wrong(tensor, f"more than {most} elements (limits: max_labels, max_images)")


def _wrong(tensor: Tensor, message: str) -> InvalidRequest:
    return InvalidRequest(f"input {tensor.name}: {message}", field=f"inputs.{tensor.name}")


def answer(asked: Asked, model: str, version: str, outputs: Mapping[str, NDArray[np.float32]]) -> Response:
    """The response, with those outputs behind its JSON that are to be binary."""
    head: dict[str, Any] = {} if asked.inference.id is None else {"id": asked.inference.id}
    described = OneList(head | {"model_name": model, "model_version": version}, "outputs")
    behind: list[bytes] = []
    for index, (name, values) in enumerate(outputs.items()):
        row = np.ascontiguousarray(values, dtype="<f4")
        tensor: dict[str, Any] = {"name": name, "datatype": "FP32", "shape": list(row.shape)}
        if asked.is_binary(name):
            behind.append(row.tobytes())
            tensor["parameters"] = {"binary_data_size": len(behind[-1])}
            described.add(index, to_json(tensor))
        else:
            described.add(index, _with_data(tensor, row))
    made = described.end({})
    if not behind:
        return Response(made, media_type="application/json")
    return Response(
        made + b"".join(behind), media_type="application/octet-stream", headers={HEADER: str(len(made))}
    )


def _with_data(tensor: dict[str, Any], values: NDArray[np.float32]) -> bytes:
    """An output with its numbers, row by row: as Python's objects all of them take three times the memory."""
    rows = (to_json([round(number, 7) for number in row.tolist()])[1:-1] for row in values)
    return to_json(tensor | {"data": []})[:-2] + b",".join(row for row in rows if row) + b"]}"
