"""Stored label sets made ready to answer by, while others use them too."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app import store
from app.answers import Answers, Prepared, Special
from app.database import Database
from app.label_set_schemas import LabelSetBody

SPECIAL = Special(name="pets")
NO_DEADLINE = float("inf")


def test_a_set_that_others_put_out_of_the_cache_meanwhile_is_answered_by(
    classifier: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = Database(f"sqlite:///{tmp_path / 'sets.db'}")
    body = LabelSetBody.model_validate({"labels": ["cat", "dog"]})
    store.put(db, "pets", body.model_dump(), most=10)
    answers, snapshot = Answers(db), store.snapshot

    def slow_snapshot(*asked: Any, **options: Any) -> Any:
        found = snapshot(*asked, **options)
        answers._kept.clear()  # as 64 other sets do that are asked for in this moment
        return found

    async def twice() -> tuple[Prepared, Prepared]:
        first = await answers.prepare(classifier, SPECIAL, NO_DEADLINE)
        monkeypatch.setattr(store, "snapshot", slow_snapshot)
        return first, await answers.prepare(classifier, SPECIAL, NO_DEADLINE)

    first, second = asyncio.run(twice())
    db.close()
    assert first is second
