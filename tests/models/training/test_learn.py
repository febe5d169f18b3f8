"""The phases, run one after another by the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file

from models.training import begin, checkpoint, evaluate_zero_shot, export, features, learn, lite, tower
from models.training.phases import JOINT, LOCKED, PHASES
from tests.models.training.conftest import COLOURS, SECONDS, SIDE, TOWER, Place


def state(made: Place, phase: str) -> dict[str, Any]:
    found = checkpoint.load(made.cache / f"{phase}.pt")
    assert found is not None
    return found


def test_every_phase_took_steps_and_left_a_record(made: Place) -> None:
    lines = [json.loads(line) for line in (made.cache / learn.RECORD).read_text().splitlines()]
    assert {line["phase"] for line in lines} == {"locked", "joint"}
    assert all(0 <= line["top1 imagenette"] <= 1 for line in lines if "top1 imagenette" in line)
    for name in PHASES:
        assert state(made, name)["step"] > 0
        assert state(made, name)["elapsed"] >= SECONDS


def test_the_image_tower_learns_only_in_the_joint_phase_and_its_means_never(made: Place) -> None:
    begun = lite.read(made.folder / "lite.pth", TOWER).features
    locked, joint = (state(made, name)["model"] for name in ("locked", "joint"))
    moved = {n for n, value in begun.items() if not torch.equal(joint[f"visual.trunk.{n}"], value)}
    assert all(torch.equal(locked[f"visual.trunk.{name}"], value) for name, value in begun.items())
    assert "conv_head.weight" in moved
    assert "conv_stem.weight" not in moved
    assert not [name for name in moved if "running" in name]


def test_the_finished_model_tells_the_colours_apart(made: Place) -> None:
    model = tower.build(tower.config(TOWER, SIDE))
    model.load_state_dict(state(made, "joint")["model"])
    sets = evaluate_zero_shot.read_sets(made.folder / "eval", SIDE)
    assert sets[0].classes == sorted(COLOURS)
    assert evaluate_zero_shot.evaluate(model.eval(), sets)["top1 imagenette"] > 0.5


def test_the_exported_folder_loads_through_open_clip(made: Place) -> None:
    folder = made.folder / "out"
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    assert preprocess is not None
    weights = load_file(folder / export.WEIGHTS)
    joint = state(made, "joint")["model"]
    name = "visual.trunk.classifier.weight"
    assert torch.allclose(weights[name].float(), joint[name], atol=1e-3)
    assert model.visual.image_size == (SIDE, SIDE)
    assert (folder / "training.png").is_file()


def test_a_finished_phase_is_not_run_again_but_by_more_hours(
    made: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    before = state(made, "joint")
    made.run("joint")
    assert "spent already" in capsys.readouterr().out
    assert state(made, "joint")["step"] == before["step"]
    made.run("joint", hours=(before["elapsed"] + 0.5) / 3600)
    assert state(made, "joint")["step"] > before["step"]
    assert state(made, "joint")["seen"] == min(JOINT.fresh, 24) * state(made, "joint")["step"]


def test_a_phase_without_the_one_before_is_told(made: Place, tmp_path: Path) -> None:
    chosen = made.options("locked")
    given = begin.material(chosen)
    chosen.cache = tmp_path
    with pytest.raises(FileNotFoundError, match=r"text\.pt"):
        begin.model(chosen, LOCKED, given)


@torch.no_grad()
def test_the_joint_phase_begins_nearer_to_what_the_classifier_says(made: Place) -> None:
    chosen = made.options("joint")
    given = begin.material(chosen)
    classifier = lite.read(made.folder / "lite.pth", TOWER)
    rows = torch.from_numpy(given.features.views[:, 0]).float()
    rows -= rows.mean(dim=0)  # what pictures share decides nothing
    said = (rows @ classifier.rows.T).flatten()

    def agreement(model: Any) -> float:
        bank = tower.encode_texts(model.text, [names[0] for names in given.words.banks["classes"].names])
        similar = (rows @ model.visual.trunk.get_classifier().weight.T @ bank.T).flatten()
        return float(torch.corrcoef(torch.stack([similar, said]))[0, 1])

    locked = tower.build(tower.config(TOWER, SIDE))
    locked.load_state_dict(state(made, "locked")["model"])
    assert agreement(begin.model(chosen, JOINT, given)) > agreement(locked) + 0.1
    assert given.rows.keys() >= {"classes", "labels"}


def test_features_are_computed_once_and_classes_get_pictures(made: Place) -> None:
    found = features.load(made.cache, lite.read(made.folder / "lite.pth", TOWER))
    assert found.views.shape[:2] == (24, features.VIEWS)
    assert found.soft_p.sum(axis=1) == pytest.approx(1, abs=1e-3)
    assert np.isfinite(found.of_classes).all()
    part = made.cache / "features-000.npy"
    written = part.stat().st_mtime_ns
    made.run("prepare")
    assert part.stat().st_mtime_ns == written


def test_averaging_goes_back_to_the_first_weights(made: Place) -> None:
    begun = lite.read(made.folder / "lite.pth", TOWER).features
    joint = state(made, "joint")["model"]
    name = "conv_head.weight"
    back = export.nearer(joint, begun, 1.0)
    half = export.nearer(joint, begun, 0.5)[f"visual.trunk.{name}"]
    assert torch.equal(back[f"visual.trunk.{name}"], begun[name])
    assert torch.allclose(half, (joint[f"visual.trunk.{name}"] + begun[name]) / 2, atol=1e-6)
