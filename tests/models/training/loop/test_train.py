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

from models.training.loop import evaluate_zero_shot, finish, initialize, projection, train
from models.training.loop.phases import JOINT, LOCKED, PHASES
from models.training.model import checkpoint, efficientnet_lite, export, image_features, towers
from tests.models.training.conftest import COLOURS, SECONDS, SIDE, TOWER, Place, by_chance


def state(made: Place, phase: str) -> dict[str, Any]:
    found = checkpoint.load(made.cache / f"{phase}.pt")
    assert found is not None
    return found


def test_every_phase_took_steps_and_left_a_record(made: Place) -> None:
    lines = [json.loads(line) for line in (made.cache / train.RECORD).read_text().splitlines()]
    assert {line["phase"] for line in lines} == {"locked", "joint"}
    assert all(0 <= line["top1 imagenette"] <= 1 for line in lines if "top1 imagenette" in line)
    for name in PHASES:
        assert state(made, name)["step"] > 0
        assert state(made, name)["elapsed"] >= SECONDS


def test_the_image_tower_learns_only_in_the_joint_phase_and_its_means_never(made: Place) -> None:
    begun = efficientnet_lite.read(made.folder / "lite.pth", TOWER).features
    locked, joint = (state(made, name)["model"] for name in ("locked", "joint"))
    moved = {n for n, value in begun.items() if not torch.equal(joint[f"visual.trunk.{n}"], value)}
    assert all(torch.equal(locked[f"visual.trunk.{name}"], value) for name, value in begun.items())
    assert "conv_head.weight" in moved
    assert "conv_stem.weight" not in moved
    assert not [name for name in moved if "running" in name]


def test_the_finished_model_tells_the_colours_apart(made: Place) -> None:
    model = towers.build(towers.config(TOWER, SIDE))
    model.load_state_dict(state(made, "joint")["model"])
    sets = evaluate_zero_shot.read_sets(made.folder / "eval", SIDE)
    assert sets[0].classes == sorted(COLOURS)
    assert evaluate_zero_shot.evaluate(model.eval(), sets)["top1 imagenette"] > 0.5


def test_the_exported_folder_loads_through_open_clip(made: Place) -> None:
    folder = made.folder / "out"
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    assert preprocess is not None
    weights = load_file(folder / export.WEIGHTS)
    finished, joint = (state(made, name)["model"] for name in ("finished", "joint"))
    name = "visual.trunk.classifier.weight"
    assert torch.allclose(weights[name].float(), finished[name], atol=1e-3)
    assert not torch.allclose(finished[name], joint[name], atol=1e-3)
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
    given = initialize.material(chosen)
    chosen.cache = tmp_path
    with pytest.raises(FileNotFoundError, match=r"text\.pt"):
        initialize.model(chosen, LOCKED, given)


def test_the_projection_repeats_the_classifier_behind_names(
    made: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = made.options("joint")
    given = initialize.material(chosen)
    classifier = efficientnet_lite.read(made.folder / "lite.pth", TOWER)
    monkeypatch.setattr(towers, "encode_texts", lambda _, texts: torch.from_numpy(by_chance(list(texts))))
    bank = torch.from_numpy(by_chance([names[0] for names in given.words.banks["classes"].names]))
    model = towers.build(towers.config(TOWER, SIDE))
    head = model.visual.trunk.get_classifier()

    def agreement() -> float:
        says = (bank @ head.weight.detach()).flatten()  # of each class, on each feature
        return float(torch.corrcoef(torch.stack([says, classifier.rows.flatten()]))[0, 1])

    assert abs(agreement()) < 0.1
    projection.move(model, given, classifier, share=100.0, labels=0)
    assert agreement() > 0.5  # 384 numbers a name leave that much of 1,000 rows of chance


def test_features_are_computed_once_and_classes_get_pictures(made: Place) -> None:
    found = image_features.load(made.cache, efficientnet_lite.read(made.folder / "lite.pth", TOWER))
    assert found.views.shape[:2] == (24, image_features.VIEWS)
    assert found.soft_p.sum(axis=1) == pytest.approx(1, abs=1e-3)
    assert np.isfinite(found.of_classes).all()
    part = made.cache / "features-000.npy"
    written = part.stat().st_mtime_ns
    made.run("prepare")
    assert part.stat().st_mtime_ns == written


def test_averaging_goes_back_to_what_the_joint_phase_began_with(made: Place) -> None:
    chosen = made.options("finish")
    begun = initialize.model(chosen, JOINT, initialize.material(chosen)).state_dict()
    joint = state(made, "joint")["model"]
    name = "text.text_projection"
    assert torch.equal(finish.average(joint, begun, 1.0)[name], begun[name])
    half = finish.average(joint, begun, 0.5)[name]
    assert torch.allclose(half, (joint[name] + begun[name]) / 2, atol=1e-6)
