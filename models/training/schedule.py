"""What follows the clock: the share of the time budget that is spent sets learning rate and resolution.

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

    @property
    def spent(self) -> bool:
        return self.elapsed >= self.budget_s


def warm_cosine(share: float, step: int, *, warm: int) -> float:
    """The learning rate's factor: up over the first `warm` steps, then down a cosine to nought."""
    return min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


_STEP = 32  # px; between multiples of its stride a convolutional tower sees worse than at the smaller of them
_SMALL = 0.75  # share of the run at the smallest side


def resolution(share: float, *, final: int) -> int:
    """Side of the training pictures in px: half of `final` or more at first, then in steps up to `final`.

    Two thirds of the side cost less than half of the time, and most is learnt while pictures are small.
    """
    sides = [side for side in range(_STEP, final, _STEP) if 2 * side >= final] + [final]
    if share < _SMALL or len(sides) == 1:
        return sides[0]
    return sides[min(len(sides) - 1, 1 + int((share - _SMALL) / (1 - _SMALL) * (len(sides) - 1)))]
