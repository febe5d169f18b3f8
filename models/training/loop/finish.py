"""The last step: half of the way back to where the joint phase began, and the projection in closed form.

Averaging tuned with begun weights keeps what the pictures of the joint phase do not show (WiSE-FT, Wortsman
et al. 2022).
"""

from __future__ import annotations

import argparse

import torch

from models.training.loop import initialize, projection
from models.training.loop.phases import JOINT
from models.training.model import checkpoint, efficientnet_lite, export, towers

BACK = 0.5  # of the way
SHARE = 0.8  # of the present projection's length
LABELS = 2.0  # what a label counts against a class


def average(
    tuned: dict[str, torch.Tensor], begun: dict[str, torch.Tensor], back: float
) -> dict[str, torch.Tensor]:
    """The weights `back` of the way from `tuned` to `begun`; counters as they are."""
    return {
        name: torch.lerp(value, begun[name].to(value), back) if value.is_floating_point() else value
        for name, value in tuned.items()
    }


def run(chosen: argparse.Namespace) -> None:
    """The `finish` step of the command line."""
    state = checkpoint.load(chosen.cache / "joint.pt")
    if state is None:
        raise FileNotFoundError(f"{chosen.cache} holds no joint.pt: run `joint` first")
    given = initialize.material(chosen)
    begun = initialize.model(chosen, JOINT, given).cpu().state_dict()
    model = towers.build(towers.config(chosen.image_tower, chosen.image_size))
    model.load_state_dict(average(state["model"], begun, BACK))
    classifier = efficientnet_lite.read(chosen.lite, chosen.image_tower)
    projection.move(model, given, classifier, share=SHARE, labels=LABELS)
    checkpoint.save(chosen.cache / export.FINISHED, {"model": model.state_dict(), "seen": state["seen"]})
