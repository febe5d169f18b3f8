from __future__ import annotations

import time

import pytest

from models.training.loop.schedule import Clock, warm_cosine


def test_the_clock_counts_what_was_spent_before() -> None:
    clock = Clock(100.0, 60.0)
    assert clock.share == pytest.approx(0.6, abs=0.01)
    assert clock.left == pytest.approx(40, abs=1)


def test_a_larger_budget_continues_a_finished_run() -> None:
    assert Clock(100.0, 100.0).share == 1
    assert Clock(200.0, 100.0).share == pytest.approx(0.5, abs=0.01)


def test_the_clock_runs() -> None:
    clock = Clock(10.0)
    time.sleep(0.01)
    assert clock.elapsed >= 0.01


def test_the_learning_rate_rises_then_falls_to_nought() -> None:
    assert warm_cosine(0.0, 0, warm=10) == pytest.approx(0.1)
    assert warm_cosine(0.0, 9, warm=10) == pytest.approx(1.0)
    assert warm_cosine(0.5, 1000, warm=10) == pytest.approx(0.5)
    assert warm_cosine(1.0, 1000, warm=10) == pytest.approx(0.0)
