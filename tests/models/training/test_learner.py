from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.training import learner
from models.training.learner import Run
from models.training.schedule import Clock


def test_the_losses_fall(start: Callable[[], Run]) -> None:
    run, banks = start(), None
    history = []
    for i in range(30):
        if i % 5 == 0:
            banks = learner.refresh(run)
        for group in run.optimizer.param_groups:
            group["lr"] = group["rate"] / 4
        assert banks is not None
        history.append(learner.step(run, Clock(60), banks, run.rng.choice(24, 12), 64))
    for name in ("contrastive", "soft", "labels", "mentions", "replay"):
        losses = [each[name] for each in history if name in each]
        assert np.median(losses[-5:]) < np.median(losses[:3]), name
    assert sum("contrastive" in each for each in history) == 30 / learner.TEXT_EVERY
    assert run.step == 30
    assert run.seen == 360
