"""Requests and responses as the docs page shows them; each example works when it is tried there.

Requests are checked with these models whichever way they came (form, JSON, raw body with a query). Limits
that are settings are checked in `inputs`. Knows no HTTP.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema


def _text(value: str) -> str:
    """No NUL (databases and C libraries end there) and no half of a surrogate pair (no encoder takes it)."""
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
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
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("begins with [ but is not a JSON array") from None
    return listed if isinstance(listed, list) else None


def _label(value: Any) -> Any:
    """A text, or an object whose fields are checked with the label set it makes (label_set_schemas)."""
    if isinstance(value, str):
        return _text(value)
    if not isinstance(value, dict):
        raise ValueError("must be a string, or an object with a label")
    return value


def _picture(value: Any) -> Any:
    if isinstance(value, str):
        return {"data": value}
    if not isinstance(value, dict):
        raise ValueError("must be base64, a data URI, or an object with data and name")
    return value


Text = Annotated[str, AfterValidator(_text)]
_BASE64: Final = {"type": "string", "description": "base64, or a `data:image/…;base64,…` URI"}


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
                _BASE64,
                {
                    "type": "object",
                    "properties": {"data": _BASE64, "name": {"type": "string"}},
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
    list[LabelItem],
    BeforeValidator(_labels),
    Field(
        description="What the picture may show. A single text is split at commas, or read as a JSON array. "
        "`animal > dog > beagle` is a path in a tree."
    ),
]
Templates = Annotated[
    list[Text],
    BeforeValidator(_templates),
    Field(
        description='Prompt templates with one "{}" each, averaged; or a preset: `plain`, `photo`, '
        "`openai-7`, `openai-80`. None: the model's own."
    ),
]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Mode = Literal["single", "multi"]
ModeField = Annotated[
    Mode,
    Field(description="`single`: one of the labels, probabilities add up to 1. `multi`: each by itself."),
]
Domain = Annotated[Text, Field(description='What kind of thing all labels are: "food", "bird".')]
ModelName = Annotated[Text | None, Field(description="A loaded model's name; none: the first one.")]


class PicturesBody(Body):
    """Pictures, and which model looks at them."""

    images: list[PictureField] = Field(default=[], description="Pictures.")
    model: ModelName = None


class ClassifyBody(PicturesBody):
    """Pictures (or embeddings that `/v1/embeddings/images` gave) and labels."""

    embeddings: list[VectorField] = Field(
        default=[],
        description="In place of `images`: vectors that `/v1/embeddings/images` gave.",
    )
    labels: Labels = []
    label_set: Text | None = Field(None, description="In place of `labels`: the name of a stored label set.")
    template: Templates = []
    top_k: int | None = Field(None, ge=1, description="Only the best so many labels; none: all.")
    domain: Domain | None = None
    mode: ModeField | None = None
    threshold: Share | None = Field(None, description="Of mode `multi`: when a label holds.")
    reject: bool | None = Field(None, description="Say whether the picture fits none of the labels.")
    reject_threshold: Share | None = Field(None, description="Score below which it fits none.")
    calibrated: bool | None = Field(
        None, description="Divide by a fitted temperature; none: if the label set has one of its own."
    )


class EmbedImagesBody(PicturesBody):
    """Pictures to embed."""

    encoding_format: Literal["float", "base64"] = Field(
        "float", description="`base64`: little-endian float32, a quarter of the size."
    )


_NAMED_ITEM: Final = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "image": _BASE64},
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


class Rank(BaseModel):
    """One label's place."""

    label: str
    similarity: float = Field(description="Cosine of picture and label, -1 … 1.")
    probability: float = Field(description="Softmax over all labels with the model's own logit scale, 0 … 1.")
    holds: bool | None = Field(None, description="Mode `multi`: at or above its threshold.")


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(description="Stable, for programs.", examples=["image_rejected"])
    message: str = Field(description="For people.")
    field: str | None = Field(None, description="The field it is about.", examples=["images[0]"])
    reason: str | None = Field(None, description="Why a picture was rejected.", examples=["not_an_image"])


class RequestError(ErrorDetail):
    """What went wrong with a whole request."""

    request_id: str = Field(description="Also in the header X-Request-ID and in the log.")


class ErrorEnvelope(BaseModel):
    """The one shape of every error."""

    error: RequestError


class Rejected(BaseModel):
    """With `reject`: whether the picture fits none of the labels."""

    score: float = Field(description="Share of probability that the labels keep against unrelated nouns.")
    threshold: float
    rejected: bool


class TreeNode(BaseModel):
    """One place in the tree of labels."""

    label: str
    probability: float = Field(description="Of all labels at and below it.")


class Tree(BaseModel):
    """With labels that are paths: each level ranked."""

    levels: list[list[TreeNode]]
    answer: TreeNode | None = Field(description="The deepest that is sure; null: not even a root is.")


class LabelSetVersion(BaseModel):
    """Which label set gave the answer."""

    name: str
    version: int


class Result(BaseModel):
    """One picture's answer: a ranking, or an error in its place."""

    name: str | None = Field(description="The file's name, if one was sent.")
    width: int | None = Field(None, description="Pixels, upright.")
    height: int | None = None
    ranking: list[Rank] | None = None
    rejection: Rejected | None = None
    tree: Tree | None = None
    error: ErrorDetail | None = None


class Timing(BaseModel):
    """Milliseconds. Of several pictures, which share a batch: the longest of each step."""

    decode: float
    queue: float
    encode: float
    total: float


class Classification(BaseModel):
    """Rankings, in the order of the pictures."""

    model: str
    label_set: LabelSetVersion | None = Field(None, description="The stored set that gave the answer.")
    mode: Mode | None = Field(None, description="When more is asked for than plain labels.")
    calibrated: bool = Field(False, description="Whether a fitted temperature makes probabilities honest.")
    temperature: float | None = Field(None, description="The fitted one.")
    temperature_of: Literal["label_set", "model", "catalogue"] | None = None
    results: list[Result]
    warnings: list[str] = Field(description="Labels that were cut at the context length, and duplicates.")
    timing_ms: Timing


class Usage(BaseModel):
    """Tokens, begin and end included."""

    prompt_tokens: int
    total_tokens: int


class Embedding(BaseModel):
    """One unit vector."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str | None
    name: str | None = None
    width: int | None = None
    height: int | None = None
    error: ErrorDetail | None = None


class EmbeddingList(BaseModel):
    """OpenAI's answer."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage
    warnings: list[str] = []


class ModelCard(BaseModel):
    """A loaded model: OpenAI's fields first, then what a person wants to know."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="When it was loaded, seconds since 1970.")
    owned_by: str = "candid"
    ready: bool
    architecture: str
    pretrained: str
    embed_dim: int
    image_size: int = Field(description="Pixels.")
    context_length: int = Field(description="Tokens.")
    licence: str
    imagenet_top1: float | None = Field(description="Zero-shot, percent.")
    accuracy_source: str | None
    device: str
    precision: str
    kind: Literal["softmax", "sigmoid"]
    logit_scale: float
    logit_bias: float | None
    default_template: str
    parameters: int
    fingerprint: str
    note: str


class ModelList(BaseModel):
    """The loaded models; the first answers when a request names none."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str


class Readiness(BaseModel):
    """Whether requests should be sent here."""

    ready: bool
    draining: bool
    models: dict[str, bool]
