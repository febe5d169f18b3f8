"""Several processes, one model: each takes its own share of the batch, and their gradients are averaged.

On a CPU that other programs use as well, this beats one process with several threads: threads meet after
every operation and wait for the slowest, processes meet once a step. Refuses to know what is trained.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

_PATIENCE = timedelta(hours=1)  # a member waits so long for another that evaluates or saves


@dataclass(frozen=True, slots=True)
class Team:
    """This process' place among `size` of them."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def average(self, parameters: Iterable[torch.nn.Parameter], share: float) -> float:
        """Average all gradients over the team in place; returns `share` averaged, so that all agree on it."""
        if self.size == 1:
            return share
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([*(g.flatten() for g in gradients), torch.tensor([share])])
        dist.all_reduce(flat)
        flat /= self.size
        for gradient, mean in zip(
            gradients, torch.split(flat[:-1], [g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(mean.view_as(gradient))
        return float(flat[-1])


ALONE = Team()


def together(size: int, work: Callable[[Team], None]) -> None:
    """Call `work` in `size` processes, this one among them, and wait for all.

    The others are forked, so what this process has loaded is shared; it must not have used threads before.
    """
    if size == 1:
        work(ALONE)
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{Path(folder) / 'meeting'}"
        context = multiprocessing.get_context("fork")
        others = [
            context.Process(target=_join, args=(work, Team(rank, size), meeting), daemon=True)
            for rank in range(1, size)
        ]
        for other in others:
            other.start()
        _join(work, Team(0, size), meeting)
        for other in others:
            other.join()


def _join(work: Callable[[Team], None], team: Team, meeting: str) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # a tiny gradient must not cost a hundred times an ordinary one
    dist.init_process_group(
        "gloo", init_method=meeting, rank=team.rank, world_size=team.size, timeout=_PATIENCE
    )
    work(team)
    dist.destroy_process_group()
