"""Answers as the docs page shows them, each with an example.

Routes answer with plain JSON of these shapes; a test holds the examples against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.schemas import examples
from models.labels.label_set import Mode
from models.labels.vocabularies import VocabularyName


def with_example(example: Mapping[str, Any]) -> ConfigDict:
    """What the docs page shows as the answer, in place of made-up values."""
    return ConfigDict(json_schema_extra={"examples": [dict(example)]}, protected_namespaces=())


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

    model_config = with_example(examples.ERROR)

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


class ExplainedLabel(BaseModel):
    """Where one label is."""

    label: str
    relevance: list[list[float]] = Field(description="Of each place to the label's words, row by row.")
    overlay: str | None = Field(None, description="With `explain=overlay`: the picture with it, a data URI.")


class Explanation(BaseModel):
    """With `explain`: where in the picture its best labels are."""

    method: Literal["cam", "naclip", "maskclip"] = Field(
        description="`cam`: a label's relevances add up to its similarity. `naclip`, `maskclip`: each is the "
        "cosine of place and label."
    )
    box: list[float] = Field(
        description="What the grid covers: left, top, right, bottom, in pixels of the upright picture. Less "
        "than the picture where the model is shown a part of it."
    )
    rows: int
    columns: int
    labels: list[ExplainedLabel]


class Result(BaseModel):
    """One picture's answer: a ranking, or an error in its place."""

    name: str | None = Field(description="The file's name, if one was sent.")
    width: int | None = Field(None, description="Pixels, upright.")
    height: int | None = None
    ranking: list[Rank] | None = None
    rejection: Rejected | None = None
    tree: Tree | None = None
    explanation: Explanation | None = None
    error: ErrorDetail | None = None


class Timing(BaseModel):
    """Milliseconds. Of several pictures, which share a batch: the longest of each step."""

    decode: float
    queue: float
    encode: float
    total: float


class Classification(BaseModel):
    """Rankings, in the order of the pictures."""

    model_config = with_example(examples.CLASSIFICATION)

    model: str
    label_set: LabelSetVersion | None = Field(None, description="The stored set that gave the answer.")
    vocabulary: VocabularyName | None = Field(None, description="Whose words the labels are.")
    mode: Mode | None = Field(None, description="When more is asked for than plain labels.")
    calibrated: bool = Field(
        False, description="Whether something fitted for this model makes probabilities honest."
    )
    temperature: float | None = Field(None, description="The fitted one, of mode single.")
    temperature_of: Literal["label_set", "model", "catalogue"] | None = None
    curve_of: Literal["label_set", "model", "catalogue"] | None = Field(
        None, description="In mode multi: for what the curve that makes probabilities was fitted."
    )
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

    model_config = with_example(examples.EMBEDDINGS)

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage
    warnings: list[str] = []


class VocabularyCard(BaseModel):
    """A list of words that ships with Candid."""

    name: VocabularyName
    labels: int = Field(description="How many.")
    template: str | None = Field(description="Its prompt template; null: the model's own.")
    source: str
    licence: str


class VocabularyList(BaseModel):
    """All of them."""

    model_config = with_example(examples.VOCABULARIES)

    object: Literal["list"] = "list"
    data: list[VocabularyCard]


class VocabularyWords(BaseModel):
    """One of them."""

    model_config = with_example(examples.VOCABULARY)

    name: VocabularyName
    labels: list[str]


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
    encoder: str = Field(description="What runs the towers: `torch` or `openvino`.")
    kind: Literal["softmax", "sigmoid"]
    logit_scale: float
    logit_bias: float | None
    default_template: str
    parameters: int
    fingerprint: str
    note: str
    explain: str | None = Field(description="By which method it explains; null: it cannot.")


class ModelList(BaseModel):
    """The loaded models; the first answers when a request names none."""

    model_config = with_example(examples.MODELS)

    object: Literal["list"] = "list"
    data: list[ModelCard]


class Health(BaseModel):
    """The process answers."""

    model_config = with_example(examples.HEALTH)

    status: Literal["ok"] = "ok"
    version: str


class Readiness(BaseModel):
    """Whether requests should be sent here."""

    model_config = with_example(examples.READINESS)

    ready: bool
    draining: bool
    models: dict[str, bool]
