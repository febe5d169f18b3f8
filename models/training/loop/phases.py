"""The three phases as data: what one step holds, how fast each part learns, what each loss weighs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of the run; `loop.train` runs them all alike."""

    name: str
    hours: float  # wall-clock budget on 2 cores
    weights: dict[str, float]  # of the losses; those not named are not taken
    text_rate: float  # learning rate of AdamW at its highest
    projection_rate: float = 0.0
    image_rate: float = 0.0  # of the tower's last stage
    fresh: int = 0  # pictures of a step that run through the image tower
    cached: int = 0  # pictures of a step whose features were computed once
    pairs: int = 0  # of these, how many bring a text of their own, half of them captions
    of_classes: int = 0  # classes that the classifier's rows stand for
    replay: int = 128  # strings of the distillation
    names: dict[str, int] = field(default_factory=dict)  # how many are drawn from each bank
    strangers: int = 0  # names that are true of no picture, beside the kinds


# Losses that weigh the same whether the image tower learns or not.
_WEIGHTS = {
    "labels": 1.0,
    "classes": 1.0,
    "kinds": 0.5,
    "mentions": 0.5,
    "of_classes": 0.3,
    "of_kinds": 0.15,
    "replay": 1.0,
}
_NAMES = {"labels": 300, "classes": 450, "kinds": 220, "mentions": 220}

TEXT = Phase("text", 0.3, weights={"replay": 1.0}, text_rate=1e-3, replay=256)

# Locked-image tuning (LiT, Zhai et al. 2022): the image tower stays as it is, so a step costs only its texts.
LOCKED = Phase(
    "locked",
    1.0,
    weights={"contrastive": 0.5, **_WEIGHTS},
    text_rate=1e-3,
    projection_rate=5e-4,
    cached=3072,
    pairs=64,
    of_classes=256,
    names=_NAMES,
    strangers=150,
)

# As CLIP is trained, both towers; the cached features keep the names in touch with thousands of pictures.
JOINT = Phase(
    "joint",
    0.8,
    weights={"contrastive": 1.0, **_WEIGHTS, "rows": 10.0},
    text_rate=1.5e-4,
    projection_rate=1e-4,
    image_rate=2e-5,
    fresh=48,
    cached=1024,
    pairs=48,
    of_classes=256,
    replay=96,
    names={**_NAMES, "classes": 350},
    strangers=150,
)

PHASES = {phase.name: phase for phase in (TEXT, LOCKED, JOINT)}
