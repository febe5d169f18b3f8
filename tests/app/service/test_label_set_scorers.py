"""Stored label sets made ready to answer by, while others use them too."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.requests.question import Question
from app.schemas.label_sets import LabelSetBody
from app.service.label_set_scorers import LabelSetScorers
from app.service.scorer import LabelSetScorer
from app.storage import label_sets
from app.storage.database import Database

PETS = Question(name="pets")


def test_a_set_that_others_put_out_of_the_cache_meanwhile_is_answered_by(
    classifier: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = Database(f"sqlite:///{tmp_path / 'sets.db'}")
    body = LabelSetBody.model_validate({"labels": ["cat", "dog"]})
    label_sets.put(db, "pets", body.model_dump(), most=10)
    scorers, snapshot = LabelSetScorers(db), label_sets.snapshot

    def slow_snapshot(*asked: Any, **options: Any) -> Any:
        found = snapshot(*asked, **options)
        scorers._kept.clear()  # as 64 other sets do that are asked for in this moment
        return found

    async def twice() -> tuple[LabelSetScorer, LabelSetScorer]:
        first = await scorers.scorer_for(classifier, PETS)
        monkeypatch.setattr(label_sets, "snapshot", slow_snapshot)
        return first, await scorers.scorer_for(classifier, PETS)

    first, second = asyncio.run(twice())
    db.close()
    assert first is second
