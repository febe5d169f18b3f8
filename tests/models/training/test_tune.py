from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models.training import checkpoint, export, tune
from models.training.learner import Run
from models.training.schedule import Clock
from models.training.team import ALONE


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "PICTURES", 24)


@pytest.fixture
def joint(start: Callable[[], Run]) -> dict[str, Any]:
    """A checkpoint of the joint training before its first step."""
    return start().state(Clock(1.0))


def tuned(run: Run, joint: dict[str, Any], path: Path, *, seconds: float) -> dict[str, Any]:
    state = tune.begin(joint, path)
    run.model.load_state_dict(state["model"])
    clock = Clock(seconds + state["elapsed"], state["elapsed"])
    given = (run.model, run.corpus, run.names, run.lesson, clock, path, state, [])
    tune.train(*given, side=64, seed=0, team=ALONE)
    found = checkpoint.load(path)
    assert found is not None
    return found


def test_the_text_tower_learns_and_the_image_tower_is_locked(
    start: Callable[[], Run], joint: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joint["model"] = {name: value.clone() for name, value in joint["model"].items()}
    after = tuned(start(), joint, tmp_path / "tuned.pt", seconds=3)
    assert after["tuned"] > 0
    assert f"tune: step {after['tuned']}" in capsys.readouterr().out
    changed = {n for n, value in after["model"].items() if not torch.equal(value, joint["model"][n])}
    assert changed
    assert all(name.startswith("text.") for name in changed)
    assert "text.token_embedding.weight" not in changed


def test_the_loss_falls(start: Callable[[], Run]) -> None:
    run = start()
    run.model.eval()
    locked = tune.embed(run.model.visual, run.corpus, 24, 64, run.generator, tell=False)
    assert locked.rows.norm(dim=1).tolist() == pytest.approx([1] * 24, abs=1e-4)
    optimizer = torch.optim.AdamW(run.model.text.transformer.parameters(), lr=1e-3)
    history = []
    for _ in range(30):
        value = tune.loss(
            run.model.text, 20.0, locked, run.corpus, run.names, run.lesson, run.rng, run.generator
        )
        optimizer.zero_grad()
        torch.autograd.backward(value)
        optimizer.step()
        history.append(value.item())
    assert sum(history[-5:]) < sum(history[:5])


def test_it_goes_on_where_it_was_and_begins_anew_on_other_weights(
    start: Callable[[], Run], joint: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "tuned.pt"
    first = tuned(start(), joint, path, seconds=1)
    assert tune.begin(joint, path)["tuned"] == first["tuned"]
    second = tuned(start(), joint, path, seconds=1)
    assert second["tuned"] > first["tuned"]
    assert tune.begin({**joint, "step": joint["step"] + 1}, path)["tuned"] == 0


def test_weights_that_were_not_tuned_since_are_not_exported(joint: dict[str, Any], tmp_path: Path) -> None:
    asked = Namespace(cache=tmp_path, out=tmp_path / "out", image_tower="test_efficientnet", image_size=64)
    checkpoint.save(tmp_path / "joint.pt", joint)
    with pytest.raises(FileNotFoundError, match="then `tune`"):
        export.run(asked)
    checkpoint.save(tmp_path / "tuned.pt", {**tune.begin(joint, tmp_path / "tuned.pt"), "tuned": 7})
    export.run(asked)
    assert (asked.out / export.WEIGHTS).is_file()
    checkpoint.save(tmp_path / "joint.pt", {**joint, "step": joint["step"] + 1})
    with pytest.raises(FileNotFoundError, match="then `tune`"):
        export.run(asked)
