"""The one loop: every phase's steps, the optimizer, the clock, the record and the checkpoints.

Notable: the image tower's running means stay as they were learnt on ImageNet, and its first stages do not
learn: edges are edges. A phase's state is in PHASE.pt; the next one begins where it ended.
"""

from __future__ import annotations

import argparse
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.training.loop import evaluate_zero_shot, initialize, train_step
from models.training.loop.phases import PHASES, Phase
from models.training.loop.schedule import Clock, warm_cosine
from models.training.model import checkpoint

RECORD = "run.jsonl"
WARM = 40  # steps up to the full learning rate
FROZEN = 4  # stages of the image tower that never learn: the stem and three of blocks
STAGE_DECAY = 0.75  # a stage's learning rate against that of the next
LARGEST_SCALE = 100.0  # of the logits; CLIP's own bound
TELL_S, SAVE_S, MEASURE_S = 20, 120, 300  # seconds between two


def stages(trunk: Any) -> list[list[torch.nn.Parameter]]:
    """The image tower's parameters from its stem to its head, less the projection."""
    modules = [(trunk.conv_stem, trunk.bn1), *((block,) for block in trunk.blocks)]
    modules.append((trunk.conv_head, trunk.bn2))
    return [[p for module in each for p in module.parameters()] for each in modules]


def optimizer_of(model: Any, phase: Phase) -> torch.optim.Optimizer:
    """AdamW on what learns in this phase, each group with the rate it is to reach."""
    model.visual.requires_grad_(False)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in model.text.parameters() if p.requires_grad], "rate": phase.text_rate}
    ]
    if phase.projection_rate:
        projection = [*model.visual.trunk.get_classifier().parameters(), model.logit_scale]
        groups.append({"params": projection, "rate": phase.projection_rate})
    if phase.image_rate:
        learning = stages(model.visual.trunk)[FROZEN:]
        for above, each in enumerate(reversed(learning)):
            groups.append({"params": each, "rate": phase.image_rate * STAGE_DECAY**above})
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_(True)
    return torch.optim.AdamW(groups, lr=phase.text_rate, betas=(0.9, 0.98), weight_decay=0.0)


class Learner:
    """One phase of the run, and all of it that an interruption must not lose."""

    def __init__(self, model: Any, phase: Phase, seed: int, state: dict[str, Any] | None) -> None:
        """`state`: this phase's own, or None at its beginning."""
        self.model, self.phase = model, phase
        if state is not None:
            model.load_state_dict(state["model"])
        model.train()
        model.visual.eval()  # running means are not to move
        self.optimizer = optimizer_of(model, phase)
        self.step, self.seen, self.before_s = 0, 0, 0.0
        if state is not None:
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seen, self.before_s = state["step"], state["seen"], state["elapsed"]
        self.rng = np.random.default_rng([seed, self.step])  # other chances after an interruption

    def state(self, elapsed: float) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seen": self.seen,
            "elapsed": elapsed,
        }

    def learn(self, given: train_step.Material, share: float, pool: ThreadPoolExecutor) -> dict[str, float]:
        """One step of the optimizer; returns the losses."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * warm_cosine(share, self.step, warm=WARM)
        found = train_step.of_step(self.model, self.phase, given, self.rng, pool)
        total = torch.stack([weight * found[name] for name, weight in self.phase.weights.items()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        for tower in (self.model.visual, self.model.text):
            torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, math.log(LARGEST_SCALE))
        self.step += 1
        self.seen += min(self.phase.fresh, len(given.corpus))
        return {name: round(float(value.detach()), 4) for name, value in found.items()}


def train(
    learner: Learner,
    given: train_step.Material,
    hours: float,
    sets: list[evaluate_zero_shot.ZeroShotSet],
    folder: Path,
) -> None:
    """Go on until the phase's hours are spent, earlier calls' included."""
    phase, clock = learner.phase, Clock(hours * 3600, learner.before_s)
    printed = saved = measured = time.monotonic()

    def note(**values: float) -> None:
        line = {"phase": phase.name, "step": learner.step, "seen": learner.seen, **values}
        checkpoint.log(folder / RECORD, hours=round(clock.elapsed / 3600, 4), **line)
        print(f"{line}, {clock.left / 60:.1f} min left", flush=True)

    def measure() -> None:
        if sets:
            note(**evaluate_zero_shot.evaluate(learner.model, sets))

    with ThreadPoolExecutor() as pool:
        while clock.share < 1:
            found = learner.learn(given, clock.share, pool)
            now = time.monotonic()
            if now - printed > TELL_S:
                note(**found, scale=round(float(learner.model.logit_scale.detach().exp()), 2))
                printed = now
            if now - saved > SAVE_S:
                checkpoint.save(folder / f"{phase.name}.pt", learner.state(clock.elapsed))
                saved = now
            if phase.cached and now - measured > MEASURE_S:
                measure()
                measured = time.monotonic()
    checkpoint.save(folder / f"{phase.name}.pt", learner.state(clock.elapsed))
    if phase.cached:
        measure()


def run(chosen: argparse.Namespace) -> None:
    """The steps `text`, `locked` and `joint` of the command line."""
    phase = PHASES[chosen.step]
    state = checkpoint.load(chosen.cache / f"{phase.name}.pt")
    hours = phase.hours if chosen.hours is None else chosen.hours
    if state is not None and state["elapsed"] >= hours * 3600:
        print(f"{phase.name}: its hours are spent already")
        return
    given = initialize.material(chosen)
    model = initialize.model(chosen, phase, given)
    sets = evaluate_zero_shot.read_sets(chosen.eval, chosen.image_size)
    train(Learner(model, phase, chosen.seed, state), given, hours, sets, chosen.cache)
