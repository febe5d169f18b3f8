"""Worked examples for the docs page, and how an operation's request body is described to OpenAPI."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

# scikit-image's photograph "Chelsea the cat" (CC0, Stefan van der Walt), cut square, 64 px, JPEG.
PICTURE: Final = base64.b64encode((Path(__file__).parent / "cat.jpg").read_bytes()).decode()
LABELS: Final = ["cat", "dog", "coffee cup"]
PICTURES: Final = [{"data": PICTURE, "name": "cat.jpg"}]
BINARY: Final = {"type": "string", "format": "binary"}
"""As Swagger UI shows a file picker for it; OpenAPI 3.1 allows the older form."""


def three_ways(body: type[BaseModel], example: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAPI for a request that comes as JSON, as a form with files, or as a raw picture with a query."""
    schema = inlined(body)
    # Without defaults: Swagger UI would send them, and a query goes only with a raw picture.
    properties = {
        name: {key: fact for key, fact in value.items() if key != "default"}
        for name, value in schema["properties"].items()
        if name not in ("images", "embeddings")
    }
    form = {
        "type": "object",
        "properties": {
            "images": {"type": "array", "items": BINARY},
            # Empty where the example says nothing: Swagger UI would make values up and send them.
            **{name: {**value, "example": example.get(name, "")} for name, value in properties.items()},
        },
        "required": ["images", *schema.get("required", [])],
        "additionalProperties": False,
    }
    lists = [name for name in ("labels", "template") if name in properties]
    encoding = {name: {"style": "form", "explode": True} for name in lists}
    content = {
        "application/json": {"schema": schema, "example": dict(example)},
        "multipart/form-data": {
            "schema": form,
            # Lists as repeated fields, as HTML forms send them.
            "encoding": encoding,
        },
        "image/*": {"schema": BINARY},
    }
    query = [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": value,
            "description": "With a raw picture as the body; otherwise it belongs in the body.",
        }
        for name, value in properties.items()
    ]
    return {"requestBody": {"required": True, "content": content}, "parameters": query}


def form_or_json(body: type[BaseModel], example: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAPI for a request that comes as JSON or as a form with files."""
    request_body = three_ways(body, example)["requestBody"]
    content = {kind: said for kind, said in request_body["content"].items() if kind != "image/*"}
    return {"requestBody": {**request_body, "content": content}}


def json_only(body: type[BaseModel], example: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAPI for a request that comes as JSON and is read by `read_json`."""
    content = {"application/json": {"schema": inlined(body), "example": dict(example)}}
    return {"requestBody": {"required": True, "content": content}}


def inlined(body: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON schema; ours refer to no other, so that it can stand inside an operation."""
    schema = body.model_json_schema()
    if "$defs" in schema:
        raise TypeError(f"{body.__name__} refers to other models; describe them in place")
    return schema
