"""What a field of a request may hold: texts, labels, templates, pictures, vectors; and how it is documented.

Lists are measured before an entry of them is looked at, and fail at the first that does not fit: the errors
of a million entries would be a million objects.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from app.schemas.json_structure import too_much
from models.labels.label_set import Mode

MAX_FIELDS: Final = 20
"""Fields of an object within a request: more than any of ours has."""
MAX_ENTRIES: Final = 1_000_000
"""Entries of a list of texts; settings allow fewer."""


def _text(value: str) -> str:
    """No NUL (databases and C libraries end there) and no half of a surrogate pair (no encoder takes it)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        surrogate = True
    else:
        surrogate = False
    if surrogate or "\0" in value:
        raise ValueError("must not contain NUL or unpaired surrogate characters")
    return value


def _labels(value: Any) -> Any:
    """One string is a JSON array, else values between commas; a list is taken as it stands."""
    if not isinstance(value, str):
        return value
    listed = _json_array(value)
    return [part.strip() for part in value.split(",")] if listed is None else listed


def _templates(value: Any) -> Any:
    """One string is a JSON array, else one template: templates hold commas."""
    if not isinstance(value, str):
        return value
    return _json_array(value) or [value]


def _json_array(text: str) -> list[Any] | None:
    if not text.lstrip().startswith("["):
        return None
    if (why := too_much(text.encode(errors="replace"))) is not None:
        raise ValueError(f"has {why}")
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("begins with [ but is not a JSON array") from None
    return listed if isinstance(listed, list) else None


def _label(value: Any) -> Any:
    """A text, or an object whose fields are checked with the label set it makes."""
    if isinstance(value, str):
        return _text(value)
    return small_object(value, "must be a string, or an object with a label")


def _explain(value: Any) -> Any:
    """A form's texts as JSON has them."""
    read = {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
    if not isinstance(read, bool) and read != "overlay":
        raise ValueError("must be true, false or overlay")
    return read


def _picture(value: Any) -> Any:
    if isinstance(value, str):
        return {"data": value}
    return small_object(value, "must be base64, a data URI, or an object with data and name")


def small_object(value: Any, wanted: str) -> dict[str, Any]:
    """An object of at most MAX_FIELDS, else ValueError with what is `wanted`."""
    if not isinstance(value, dict) or len(value) > MAX_FIELDS:
        raise ValueError(wanted)
    return value


Text = Annotated[str, AfterValidator(_text)]
Texts = Annotated[list[Text], Field(fail_fast=True, max_length=MAX_ENTRIES)]
BASE64: Final = {"type": "string", "description": "base64, or a `data:image/…;base64,…` URI"}


class Body(BaseModel):
    """A request: unknown fields are errors, because a misspelt one would be ignored in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class PictureData(Body):
    """A picture in JSON."""

    data: str = Field(description="base64, or a `data:image/…;base64,…` URI")
    name: Text | None = Field(None, description="comes back in the answer")


PictureField = Annotated[
    PictureData,
    BeforeValidator(_picture),
    WithJsonSchema(
        {
            "anyOf": [
                BASE64,
                {
                    "type": "object",
                    "properties": {"data": BASE64, "name": {"type": "string"}},
                    "required": ["data"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
_TEXTS: Final = {"type": "array", "items": {"type": "string"}}
LABEL_SCHEMA: Final = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                "label": {"type": "string"},
                "aliases": _TEXTS | {"description": "Other names; each goes into the templates too."},
                "descriptions": _TEXTS | {"description": 'What it looks like: "a photo of a cat, {text}."'},
                "prompts": _TEXTS | {"description": "Whole texts, in place of the templates."},
                "threshold": {"type": "number", "minimum": 0, "maximum": 1},
            },
            "required": ["label"],
            "additionalProperties": False,
        },
    ]
}
LabelItem = Annotated[Any, AfterValidator(_label), WithJsonSchema(LABEL_SCHEMA)]
VectorField = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "number"}},
                {"type": "string", "description": "base64 of little-endian float32"},
            ]
        }
    ),
]
Labels = Annotated[
    Annotated[list[LabelItem], Field(fail_fast=True, max_length=MAX_ENTRIES)],
    BeforeValidator(_labels),
    Field(
        description="What the picture may show. A single text is split at commas, or read as a JSON array. "
        "`animal > dog > beagle` is a path in a tree."
    ),
]
TextLabels = Annotated[Texts, BeforeValidator(_labels)]
"""The same where a label can be nothing but a text."""
Templates = Annotated[
    Texts,
    BeforeValidator(_templates),
    Field(
        description='Prompt templates with one "{}" each, averaged; or a preset: `plain`, `photo`, '
        "`openai-7`, `openai-80`. None: the model's own.",
    ),
]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
ModeField = Annotated[
    Mode,
    Field(description="`single`: one of the labels, probabilities add up to 1. `multi`: each by itself."),
]
Explain = Annotated[
    Any,
    AfterValidator(_explain),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"const": "overlay"}]}),
    Field(
        description="Say of each picture where its best labels are; `overlay`: draw it as PNG, too. Not for "
        "`embeddings`."
    ),
]
Domain = Annotated[Text, Field(description='What kind of thing all labels are: "food", "bird".')]
ModelName = Annotated[Text | None, Field(description="A loaded model's name; none: the first one.")]
