"""Answers of label sets as JSON shows them. Knows no request."""

from __future__ import annotations

from typing import Any

from app.service.label_set_scorers import Prepared
from models.labels.hierarchy import Node
from models.scoring import scorer
from models.scoring.ranking import Ranked


def shown(prepared: Prepared, top_k: int | None, vector: Any) -> dict[str, Any]:
    """One picture's answer."""
    answer = scorer.answer(prepared.scorer, vector, top_k=top_k)
    found: dict[str, Any] = {"ranking": [_place(place) for place in answer.ranking]}
    if answer.rejection is not None:
        found["rejection"] = {
            "score": digits(answer.rejection.score),
            "threshold": answer.rejection.threshold,
            "rejected": answer.rejection.rejected,
        }
    if answer.tree is not None:
        sure = answer.tree.sure
        found["tree"] = {
            "levels": [[_node(node) for node in level[:top_k]] for level in answer.tree.levels],
            "answer": _node(sure) if sure else None,
        }
    return found


def told_of(prepared: Prepared) -> dict[str, Any]:
    """What holds for all pictures of a request: which set and version, which mode, which temperature."""
    told: dict[str, Any] = {}
    if prepared.name is not None and prepared.version is not None:
        told["label_set"] = {"name": prepared.name, "version": prepared.version}
    told |= {"mode": prepared.label_set.mode, "calibrated": False}
    if prepared.temperature_of is not None:
        temperature = digits(prepared.scorer.fitted.temperature)
        told |= {"calibrated": True, "temperature": temperature, "temperature_of": prepared.temperature_of}
    return told


def digits(number: float) -> float:
    """Six of them: float32 carries seven, more would be noise in the answer."""
    return float(f"{number:.6g}")


def ranked(place: Ranked | scorer.Place) -> dict[str, Any]:
    """One label of a ranking."""
    return {
        "label": place.label,
        "similarity": round(place.similarity, 6),
        "probability": digits(place.probability),
    }


def _place(place: scorer.Place) -> dict[str, Any]:
    return ranked(place) if place.holds is None else ranked(place) | {"holds": place.holds}


def _node(node: Node) -> dict[str, Any]:
    return {"label": node.label, "probability": digits(node.probability)}
