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
from models.training.team import Team, together


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "PICTURES", 24)


@pytest.fixture
def joint(start: Callable[[], Run]) -> dict[str, Any]:
    """A checkpoint of the joint training before its first step."""
    return start().state(Clock(1.0))


def tuned(run: Run, joint: dict[str, Any], folder: Path, *, seconds: float) -> dict[str, Any]:
    state = tune.begin(joint, folder)
    run.model.load_state_dict(state["model"])
    clock = Clock(seconds + state["elapsed"], state["elapsed"])
    tune.train(run, clock, [], folder, state, side=64)
    found = checkpoint.load(folder / tune.TUNED)
    assert found is not None
    return found


def test_the_text_tower_learns_and_the_image_tower_is_locked(
    start: Callable[[], Run], joint: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    after = tuned(start(), joint, tmp_path, seconds=2)
    assert f"tune: step {after['tuned']}" in capsys.readouterr().out
    changed = {n for n, value in after["model"].items() if not torch.equal(value, joint["model"][n])}
    assert changed
    assert all(name.startswith("text.") for name in changed)
    assert "text.token_embedding.weight" not in changed


def test_the_loss_falls(start: Callable[[], Run]) -> None:
    run = start()
    run.model.eval()
    locked = tune.embed(run, 24, 64, tell=False)
    assert locked.rows.norm(dim=1).tolist() == pytest.approx([1] * 24, abs=1e-4)
    optimizer = torch.optim.AdamW(run.model.text.transformer.parameters(), lr=1e-3)
    history = []
    for _ in range(30):
        value = tune.loss(run, locked)
        optimizer.zero_grad()
        torch.autograd.backward(value)
        optimizer.step()
        history.append(value.item())
    assert sum(history[-5:]) < sum(history[:5])


def test_a_team_tunes_one_text_tower(start: Callable[[], Run], joint: dict[str, Any], tmp_path: Path) -> None:
    run = start()
    threads = torch.get_num_threads()

    def work(team: Team) -> None:
        run.part_of(team, 0)
        tune.train(run, Clock(1.0), [], tmp_path, tune.begin(joint, tmp_path), side=64)
        checkpoint.save(tmp_path / f"{team.rank}.pt", run.model.state_dict())

    torch.set_num_threads(1)
    together(2, work)
    torch.set_num_threads(threads)
    one, other = (checkpoint.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert one is not None and other is not None
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_it_goes_on_where_it_was_and_begins_anew_on_other_weights(
    start: Callable[[], Run], joint: dict[str, Any], tmp_path: Path
) -> None:
    first = tuned(start(), joint, tmp_path, seconds=1)
    assert first["tuned"] > 0
    assert tune.begin(joint, tmp_path)["tuned"] == first["tuned"]
    second = tuned(start(), joint, tmp_path, seconds=1)
    assert second["tuned"] > first["tuned"]
    over = Clock(second["elapsed"], second["elapsed"])
    tune.train(start(), over, [], tmp_path, second, side=64)
    assert tune.begin(joint, tmp_path)["tuned"] == second["tuned"], "a finished run was begun again"
    assert tune.begin({**joint, "step": joint["step"] + 1}, tmp_path)["tuned"] == 0


def test_weights_that_were_not_tuned_since_are_not_exported(joint: dict[str, Any], tmp_path: Path) -> None:
    asked = Namespace(cache=tmp_path, out=tmp_path / "out", image_tower="test_efficientnet", image_size=64)
    checkpoint.save(tmp_path / "joint.pt", joint)
    with pytest.raises(FileNotFoundError, match="then `tune`"):
        export.run(asked)
    checkpoint.save(tmp_path / tune.TUNED, {**tune.begin(joint, tmp_path), "tuned": 7})
    export.run(asked)
    assert (asked.out / export.WEIGHTS).is_file()
    checkpoint.save(tmp_path / "joint.pt", {**joint, "step": joint["step"] + 1})
    with pytest.raises(FileNotFoundError, match="then `tune`"):
        export.run(asked)
