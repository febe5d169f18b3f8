"""Label sets as requests write them and answers show them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from app.schemas import examples as answer_examples
from app.schemas.fields import (
    LABEL_SCHEMA,
    Body,
    Domain,
    ModeField,
    Share,
    Templates,
    Text,
    Texts,
    small_object,
)
from app.schemas.requests import PicturesOrVectorsBody
from app.schemas.responses import ErrorDetail, with_example
from models.labels.label_set import Label, LabelSet, Mode


def _label(value: Any) -> Any:
    if isinstance(value, str):
        return {"label": value}
    return small_object(value, "must be a text, or an object with a label")


class LabelBody(Body):
    """One label, and what else is known of it."""

    label: Text
    aliases: Texts = Field([], description="Other names; each goes into the templates like the first.")
    descriptions: Texts = Field([], description='What it looks like: "a photo of a {label}, {text}."')
    prompts: Texts = Field([], description="Whole texts, in place of the templates.")
    threshold: Share | None = Field(None, description="Of mode `multi`, for this label.")


LabelField = Annotated[LabelBody, BeforeValidator(_label), WithJsonSchema(LABEL_SCHEMA)]
LabelFields = Annotated[list[LabelField], Field(fail_fast=True)]


class LabelSetBody(Body):
    """A label set to store."""

    labels: LabelFields = Field(description="Labels; `a > b > c` is a path in a tree.")
    template: Templates = Field(default=[])
    domain: Domain | None = None
    mode: ModeField = "single"
    threshold: Share | None = Field(None, description="Of mode `multi`: when a label holds.")
    reject: bool = Field(False, description="Say when a picture fits none of the labels.")
    reject_threshold: Share | None = Field(None, description="Score below which a picture fits none.")


class LabelSetPatch(Body):
    """What to change; a field that is left out stays, and null takes it back to its default."""

    labels: LabelFields | None = Field(None, description="All labels: the list is replaced.")
    template: Templates | None = None
    domain: Domain | None = None
    mode: ModeField | None = None
    threshold: Share | None = None
    reject: bool | None = None
    reject_threshold: Share | None = None


class Calibrated(BaseModel):
    """What was fitted on labelled pictures."""

    model: str | None = Field(description="The loaded model it was fitted for; null: one not loaded now.")
    temperature: float = Field(description="Divides the logits before the softmax.")
    slope: float | None = Field(description="Of mode multi's curve; null where the model needs none.")
    offset: float | None
    images: int
    ece_before: float = Field(description="Expected calibration error without it, 0 … 1.")
    ece_after: float = Field(description="And with it, on pictures that the fit did not see.")
    version: int = Field(description="The version of the set that it was fitted at.")


def _list(value: Any) -> Any:
    """A form with one picture has one label, as it stands."""
    return [value] if isinstance(value, str) else value


class LabelledBody(PicturesOrVectorsBody):
    """Labelled pictures, or labelled embeddings of pictures."""

    labels: Annotated[Texts, BeforeValidator(_list)] = Field(
        description="The right label of each picture, in their order."
    )


class CalibrationAnswer(BaseModel):
    """What the fit found."""

    model_config = with_example(answer_examples.CALIBRATION)

    label_set: str
    version: int
    model: str
    temperature: float
    slope: float | None = Field(description="Of mode multi's curve; null where the model needs none.")
    offset: float | None
    images: int
    ece_before: float
    ece_after: float
    unreadable: list[AddedExample] = Field(description="Pictures that were left out.")


class StoredLabelSet(BaseModel):
    """A label set as it is kept."""

    model_config = with_example(answer_examples.LABEL_SET)

    name: str
    version: int = Field(description="Goes up with every change; also the ETag.")
    updated: int = Field(description="Seconds since 1970.")
    labels: list[LabelBody]
    template: list[str]
    domain: str | None
    mode: Mode
    threshold: float | None
    reject: bool
    reject_threshold: float | None
    examples: dict[str, int] = Field(description="How many each label has; none: left out.")
    calibration: list[Calibrated]


class LabelSetSummary(BaseModel):
    """One line of the list."""

    name: str
    version: int
    updated: int
    labels: int = Field(description="How many.")
    examples: int = Field(description="How many, all labels together.")


class LabelSetList(BaseModel):
    """Every label set, by name."""

    model_config = with_example(answer_examples.LABEL_SETS)

    object: Literal["list"] = "list"
    data: list[LabelSetSummary]


class Example(BaseModel):
    """One example: only its embeddings are kept, never the picture."""

    id: str
    label: str
    models: list[str] = Field(description="Loaded models that have an embedding of it.")
    added: int = Field(description="Seconds since 1970.")


class ExampleList(BaseModel):
    """Examples of one label, oldest first."""

    model_config = with_example(answer_examples.EXAMPLES)

    object: Literal["list"] = "list"
    label_set: str
    version: int
    data: list[Example]


class AddedExample(BaseModel):
    """What became of one picture."""

    name: str | None
    id: str | None = None
    duplicate: bool = Field(False, description="It was there already, under this id.")
    error: ErrorDetail | None = None


class AddedExamples(BaseModel):
    """What became of the pictures, in their order."""

    model_config = with_example(answer_examples.ADDED)

    label_set: str
    version: int
    label: str
    results: list[AddedExample]


class AddedLabelledExample(AddedExample):
    """What became of one picture, and whose example it is."""

    label: str


class AddedLabelledExamples(BaseModel):
    """What became of the pictures, in their order."""

    model_config = with_example(answer_examples.ADDED_LABELLED)

    label_set: str
    version: int
    results: list[AddedLabelledExample]


def label_set_of(body: LabelSetBody) -> LabelSet:
    """As the CLIP wing knows it."""
    return LabelSet(
        labels=tuple(
            Label(x.label, tuple(x.aliases), tuple(x.descriptions), tuple(x.prompts), x.threshold)
            for x in body.labels
        ),
        templates=tuple(body.template),
        domain=body.domain,
        mode=body.mode,
        threshold=body.threshold,
        reject=body.reject,
        reject_threshold=body.reject_threshold,
    )
