from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch

from models.training import checkpoint, joint
from models.training.learner import Run
from models.training.schedule import Clock
from models.training.team import Team, together


def test_a_run_goes_on_where_it_was_interrupted(start: Callable[[], Run], tmp_path: Path) -> None:
    first = start()
    joint.train(first, Clock(1.0), [], tmp_path, side=64, tell_every_s=0.1)
    state = checkpoint.load(tmp_path / "joint.pt")
    assert state is not None
    assert state["step"] == first.step > 0
    assert state["elapsed"] >= 1.0
    second = start()
    second.restore(state)
    assert (second.step, second.seen) == (first.step, first.seen)
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name
    larger = state["elapsed"] + 1  # on a busy machine one step may take longer than the first budget
    joint.train(second, Clock(larger, state["elapsed"]), [], tmp_path, side=64)
    later = checkpoint.load(tmp_path / "joint.pt")
    assert later is not None
    assert later["step"] > state["step"]
    assert later["elapsed"] >= larger
    lines = [json.loads(line) for line in (tmp_path / "joint.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)


def test_token_embeddings_stay_as_the_first_phase_left_them(start: Callable[[], Run], tmp_path: Path) -> None:
    run = start()
    before = run.model.text.token_embedding.weight.clone()
    joint.train(run, Clock(0.5), [], tmp_path, side=64)
    assert torch.equal(before, run.model.text.token_embedding.weight)


def test_a_team_trains_one_model(start: Callable[[], Run], tmp_path: Path) -> None:
    run = start()
    threads = torch.get_num_threads()

    def work(team: Team) -> None:
        run.part_of(team, 0)
        joint.train(run, Clock(1.0), [], tmp_path / str(team.rank), side=64)
        checkpoint.save(tmp_path / f"{team.rank}.pt", run.state(Clock(1.0)))

    torch.set_num_threads(1)
    together(2, work)
    torch.set_num_threads(threads)
    one, other = (checkpoint.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert one is not None
    assert other is not None
    assert one["step"] == other["step"]
    for name in ("visual.trunk.classifier.weight", "logit_scale", "text.text_projection"):
        assert torch.equal(one["model"][name], other["model"][name]), name
