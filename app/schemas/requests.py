"""Requests as the docs page shows them, and as they are checked whichever way they came.

Limits that are settings are checked in `app/requests`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from app.schemas.fields import (
    BASE64,
    Body,
    Domain,
    Explain,
    Labels,
    ModeField,
    ModelName,
    PictureField,
    Share,
    Templates,
    Text,
    VectorField,
)
from models.labels.vocabularies import TOP_K, VocabularyName


class PicturesBody(Body):
    """Pictures, and which model looks at them."""

    images: list[PictureField] = Field(default=[], description="Pictures.")
    model: ModelName = None


class PicturesOrVectorsBody(PicturesBody):
    """Pictures, or what is known of them already."""

    embeddings: list[VectorField] = Field(
        default=[],
        description="In place of `images`: vectors that `/v1/embeddings/images` gave.",
    )


class ClassifyBody(PicturesOrVectorsBody):
    """Pictures (or embeddings that `/v1/embeddings/images` gave) and labels."""

    labels: Labels = Field(default=[])
    label_set: Text | None = Field(None, description="In place of `labels`: the name of a stored label set.")
    vocabulary: VocabularyName | None = Field(
        None,
        description="In place of `labels`: words that ship with Candid (`GET /v1/vocabularies`). `top_k` is "
        f"then {TOP_K} unless it is given.",
    )
    template: Templates = Field(default=[])
    top_k: int | None = Field(None, ge=1, description="Only the best so many labels; none: all.")
    domain: Domain | None = None
    mode: ModeField | None = None
    threshold: Share | None = Field(None, description="Of mode `multi`: when a label holds.")
    reject: bool | None = Field(None, description="Say whether the picture fits none of the labels.")
    reject_threshold: Share | None = Field(None, description="Score below which it fits none.")
    calibrated: bool | None = Field(
        None, description="Go by what was fitted; none: if the label set has it, or in mode multi."
    )
    explain: Explain | None = None
    explain_top_k: int | None = Field(
        None, ge=1, le=10, description="With `explain`: of so many labels; none: 3."
    )


class EmbedImagesBody(PicturesBody):
    """Pictures to embed."""

    encoding_format: Literal["float", "base64"] = Field(
        "float", description="`base64`: little-endian float32, a quarter of the size."
    )


_NAMED_ITEM: Final = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "image": BASE64},
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}
_ITEM: Final = {"anyOf": [{"type": "string"}, _NAMED_ITEM]}
_MESSAGE_PART: Final = {
    "type": "object",
    "description": 'a text, or a picture: `{"type": "image_url", "image_url": {"url": "data:image/…"}}`',
}


class EmbedTextsBody(Body):
    """OpenAI's request for embeddings, of texts and of pictures."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["input"]}, {"required": ["messages"]}]}
    )

    input: Annotated[
        Any,
        WithJsonSchema(
            {"anyOf": [_ITEM, {"type": "array", "minItems": 1, "items": _ITEM}, {"type": "null"}]}
        ),
        Field(
            description='One text or several. A `data:image/…;base64,…` URI or `{"image": …}` is a picture.'
        ),
    ] = None
    modality: Literal["text", "image"] | None = Field(
        None, description="`image`: every string of `input` is a picture; none: told by how it begins."
    )
    messages: Annotated[
        Any,
        WithJsonSchema(
            {
                "type": ["array", "null"],
                "minItems": 1,
                "maxItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "role": {"const": "user"},
                        "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": _MESSAGE_PART}]},
                    },
                    "required": ["role", "content"],
                },
            }
        ),
        Field(description="In place of `input`: one message with one part, a text or a picture."),
    ] = None
    model: ModelName = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, description="Must be the model's own number, if given.")
    user: Any = Field(None, description="Ignored.")
