"""What follows the clock: the share of the time budget that is spent sets the learning rate.

A wall clock, not a count of steps: a run takes as many steps as the machine has room for and still ends with
its learning rate at nought. A larger budget given later continues the run with a warm restart.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Clock:
    """Seconds spent of a budget, those before an interruption included."""

    budget_s: float
    before_s: float = 0.0
    began: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        return self.before_s + time.monotonic() - self.began

    @property
    def left(self) -> float:
        return max(0.0, self.budget_s - self.elapsed)

    @property
    def share(self) -> float:
        return min(1.0, self.elapsed / self.budget_s)


def warm_cosine(share: float, step: int, *, warm: int) -> float:
    """The learning rate's factor: up over the first `warm` steps, then down a cosine to nought."""
    return min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
