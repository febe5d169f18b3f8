"""Where in a picture its labels are: the relevance of each place, as numbers and drawn over the picture.

Of the labels' words alone: what examples add to a label set is of the whole picture.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.requests.classify import Explaining
from app.requests.limits import MAX_PLACES
from app.service.rendering import digits
from app.service.scorer import LabelSetScorer
from app.service.sizes import NUMBER_BYTES, OVERLAY_BYTES, REST_BYTES
from models.errors import InvalidRequest

if TYPE_CHECKING:
    from models.batching.image_embeddings import EmbeddedImage
    from models.classifier import Classifier
    from models.encoders.encoder import Grid

FLOAT_BYTES: Final = 4
OVERLAY_WORK: Final = 10_000
"""An overlay's work, in labels shown: 60 ms, measured."""


@dataclass(frozen=True, slots=True)
class Explainer:
    """What one model is asked of each picture beside its ranking."""

    asked: Explaining
    grid: Grid
    dim: int  # of the model's vectors

    @property
    def places(self) -> int:
        """That one picture has."""
        return self.grid.rows * self.grid.columns

    @property
    def answer_bytes(self) -> int:
        """Of one picture's answer, at most."""
        drawn = OVERLAY_BYTES * 4 // 3 if self.asked.overlay else 0  # base64: 4 bytes for 3
        return self.asked.top_k * (self.places * (NUMBER_BYTES + 2) + drawn + REST_BYTES)

    @property
    def held_bytes(self) -> int:
        """For one picture until all are answered: its vectors, and what it is drawn on."""
        drawn_on = OVERLAY_BYTES if self.asked.overlay else 0
        return (1 + self.places) * self.dim * FLOAT_BYTES + drawn_on

    @property
    def work(self) -> int:
        """Of one picture, in labels shown: a number takes a quarter of a label's time."""
        return self.asked.top_k * (self.places // 4 + OVERLAY_WORK * self.asked.overlay)

    def explain(
        self, scorer: LabelSetScorer, picture: EmbeddedImage, ranking: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        """Of the first labels of `ranking`, as it is shown."""
        places = picture.places
        assert places is not None, "it was embedded to be explained"
        labels = [place["label"] for place in ranking[: self.asked.top_k]]
        chosen = scorer.scorer.matrix.vectors[[scorer.labels.index(label) for label in labels]]  # (K, D)
        shape = (-1, self.grid.rows, self.grid.columns)
        relevance = (chosen @ places.vectors.T).reshape(shape)
        warmth = float(relevance.min()), float(relevance.max())  # one scale for all that are compared
        shown = []
        for label, of_label in zip(labels, relevance, strict=True):
            numbers = of_label.astype(np.float64).tolist()
            entry = {"label": label, "relevance": [list(map(digits, row)) for row in numbers]}
            if places.thumbnail is not None:
                png = picture.overlay(of_label, warmth)
                entry["overlay"] = f"data:image/png;base64,{base64.b64encode(png).decode()}"
            shown.append(entry)
        return {
            "method": self.grid.method,
            "box": [round(edge, 2) for edge in places.box],
            "rows": self.grid.rows,
            "columns": self.grid.columns,
            "labels": shown,
        }


def explainer(classifier: Classifier, asked: Explaining, pictures: int) -> Explainer:
    """Raises InvalidRequest for a model that cannot explain, or too large an answer."""
    info, grid = classifier.info, classifier.grid
    if grid is None:
        raise InvalidRequest(
            f"explain: no way is known to say where model {info.name!r} looks; /v1/models says of each "
            "loaded model whether it can explain",
            field="explain",
        )
    made = Explainer(asked, grid, info.embed_dim)
    if made.places * asked.top_k * pictures > MAX_PLACES:
        raise InvalidRequest(
            f"explain: {pictures} pictures × {asked.top_k} labels × {made.places} places; at most "
            f"{MAX_PLACES} in one answer: send fewer pictures, or ask for a smaller explain_top_k",
            field="explain_top_k",
        )
    return made
