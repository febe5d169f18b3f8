"""Answers as JSON shows them: one renderer for the document, the lines of a stream, and the command line."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.requests.body import offload_many
from app.service.scorer import LabelSetScorer
from models.labels.hierarchy import Node
from models.scoring.scorer import Place

T = TypeVar("T")


def answer_of(scorer: LabelSetScorer, vector: NDArray[np.float32], top_k: int | None) -> dict[str, Any]:
    """The answer for one picture's vector (D,)."""
    answer = scorer.answer(vector, top_k)
    shown: dict[str, Any] = {"ranking": [_place(place) for place in answer.ranking]}
    if answer.rejection is not None:
        shown["rejection"] = {
            "score": digits(answer.rejection.score),
            "threshold": answer.rejection.threshold,
            "rejected": answer.rejection.rejected,
        }
    if answer.tree is not None:
        sure = answer.tree.sure
        shown["tree"] = {
            "levels": [[_node(node) for node in level[:top_k]] for level in answer.tree.levels],
            "answer": _node(sure) if sure else None,
        }
    return shown


def about(scorer: LabelSetScorer) -> dict[str, Any]:
    """What holds for all pictures of a request: which set and version, which mode, what was fitted."""
    shown: dict[str, Any] = {}
    if scorer.vocabulary is not None:
        shown["vocabulary"] = scorer.vocabulary
    if scorer.version is not None:
        shown["label_set"] = {"name": scorer.name, "version": scorer.version}
    if not scorer.is_plain:
        shown["mode"] = scorer.scorer.mode
    shown["calibrated"] = scorer.fitted_of is not None
    if scorer.fitted_of is not None and scorer.scorer.mode == "multi":
        shown["curve_of"] = scorer.fitted_of
    elif scorer.fitted_of is not None:
        temperature = digits(scorer.scorer.fitted.temperature)
        shown |= {"temperature": temperature, "temperature_of": scorer.fitted_of}
    return shown


def to_json(value: Mapping[str, Any] | list[float] | str) -> bytes:
    """As the framework writes JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


class OneList:
    """One JSON object with one list, written entry by entry, in whatever order these come.

    Into one place: a list of entries that is joined at the end takes twice the memory.
    """

    def __init__(self, head: dict[str, Any], field: str) -> None:
        self._written = BytesIO()
        self._written.write(to_json(head | {field: []})[:-2])
        self._count = 0
        self._early: dict[int, bytes] = {}

    def add(self, index: int, entry: bytes) -> None:
        """An entry, which is JSON already."""
        self._early[index] = entry
        while self._count in self._early:
            self._written.write(b"," if self._count else b"")
            self._written.write(self._early.pop(self._count))
            self._count += 1

    def end(self, tail: Mapping[str, Any]) -> bytes:
        """The object, with `tail` behind the list."""
        self._written.write(b"]," + to_json(tail)[1:] if tail else b"]}")
        return self._written.getvalue()  # CPython hands out what was written, without a copy


def encoded(vector: NDArray[np.float32], encoding_format: str) -> list[float] | str:
    """A vector as OpenAI's clients read it: numbers, or base64 of little-endian float32."""
    row = np.asarray(vector, dtype="<f4")
    if encoding_format == "base64":
        return base64.b64encode(row.tobytes()).decode()
    return [round(number, 7) for number in row.tolist()]


async def offload_numbers(vectors: int, dim: int, render: Callable[[], T]) -> T:
    """Render an answer of so many vectors (D,): eight numbers cost what a label does."""
    return await offload_many(vectors * dim // 8, render)


def digits(number: float) -> float:
    """Six of them: float32 carries seven, more would be noise in the answer."""
    return float(f"{number:.6g}")


def _place(place: Place) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "label": place.label,
        "similarity": round(place.similarity, 6),
        "probability": digits(place.probability),
    }
    if place.holds is not None:
        shown["holds"] = place.holds
    return shown


def _node(node: Node) -> dict[str, Any]:
    return {"label": node.label, "probability": digits(node.probability)}
