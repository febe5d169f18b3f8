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
    for name in ("contrastive", "soft", "labels"):
        assert np.median([h[name] for h in history[-9:]]) < np.median([h[name] for h in history[:3]]), name
    assert history[-3]["replay"] < history[0]["replay"] if "replay" in history[-3] else True
    assert run.step == 30
    assert run.seen == 360
