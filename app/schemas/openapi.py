"""Worked examples for the docs page, and how an operation's request body is described to OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

# scikit-image's photograph "Chelsea the cat" (CC0, Stefan van der Walt), cut square, 64 px, JPEG.
PICTURE: Final = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7"
    "Pj4+JS5ESUM8SDc9Pjv/2wBDAQoLCw4NDhwQEBw7KCIoOzs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7"
    "Ozs7Ozs7Ozv/wAARCABAAEADASIAAhEBAxEB/8QAGgAAAwEBAQEAAAAAAAAAAAAAAgQFAwEGAP/EAC8QAAIBAwMDAgMIAwAAAAAA"
    "AAECAwAEEQUSIRMxQVFhInGBBhQyQpGhweFDUrH/xAAZAQEBAQEBAQAAAAAAAAAAAAADAQIEBQD/xAAdEQEBAAMBAQADAAAAAAAA"
    "AAABAAIREiFBAxMx/9oADAMBAAIRAxEAPwA45Ft0FtGm4gZwcYFIy3BZyoJZjjKrwB7Uci7AEUDLnGNv4h864LZzF04QCz5HHp/F"
    "ec5XpEjKsakvIQj852nO3jt+v/aaixtkjKsAwxuJyAPpS0sE0SrIQMq2Cecg01fFo7VCrbWZwM+a+GmqcLcy6XbMj9VocqzsuCq/"
    "L07UFm00cnUidugF2FTk+4P8VVvYHimtyu5TdQtGwXHBAzmlI4WnS2t1kYpNOuWU+ApJH61d7prU9p8puThmCsDzzTkrhSUzyPJP"
    "alrSNEEjgEuhOcj3o7gxxuZpWymPh9/at4KeFTX2nWsV8jKtxePtkGcYBFOapNfWQtYLSSHdcOV6jJnaAMk96Y1KNkAVFBAGV9jS"
    "Mkz3UKQyFUmiffA7dgccq3oCMigfG18o+qavqOnXMaC8SaRhu2Og7Zxnj3qpYXq6wIoZFENxbsHePuCPBHtUjVbCzOpx3l3O9syL"
    "gxuhJOO2CBgj5V3Rb1JPtXDIiMkckZj+Ljjx9aQDIIsXIy9vW3BSdgJBtZAdjeniijtYIbeMldpjcOD70N7DtkJX0FFPMogB77Yy"
    "5HyFY17L8slMUF3dO8iRxvjBdsDkc1stskqqH2un5WByK8RZG41HXrhr0EqinezfhC9+PQAV6/RNOePTrZesUR1zsIx8qUOUi66F"
    "kL7ULyUdNrZlPqfH1rITYGZdgx5BpqCd93RnkXI7EnvT33OGVADGn7UfO5tkna3Mijpowcf6MMj+qlanFIl7HdqB1VYEe3t8qtyw"
    "xQsArYI5wxxSc8EdzGxw2RldrKRmhULeIs7b3f3sBpCCcc481zWVe208vH/lTYceAT4+lQtNn6Ny0RYBQeB2FWdYn6mlwqrck4I9"
    "s1kXdUP5Krp9quevd3Fygw3RIVFb0DEDJrae+uJH6jHCrwqjgCs44ZZsY+EIMMarw6Xa3cKqjhT5Ga6/xY9XNmh5ZXWmLIhwqgjk"
    "MR2oLKaSFhHcMWx+dUwv71XkAIzjNJTRBjk847f1WnGvUvezBlYP0ZcgjEiY4odOjVZGO0KpPZZNwHHp4r6VNynJPPvSTpMjHawP"
    "zFF+r2TvymfabSYtNkW/syiwyPiRH5C58j0otItJbqMXlzI628YzGuT8f9VvPaTX0Yilw0eQSvg4pwwuqqGlAUeBSZYmrJkhq2s4"
    "kS2Zskh2yfhIo4NkczTRM249lBrS2tZLgBIjhPJNVbewhtU4XLeSauJoiydt/9k="
)
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
