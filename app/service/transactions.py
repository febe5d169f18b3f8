"""Calls to `app/storage`, which block, from an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from app.storage.database import Database

P = ParamSpec("P")
T = TypeVar("T")


async def read(
    db: Database, function: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """`function(db, …)` on one of the database's readers' threads."""
    return await _on(db.readers, partial(function, db, *args, **kwargs))


async def write(
    db: Database, function: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """The same on a writer's. Who is cancelled stops waiting: what was begun is finished, nothing else."""
    return await _on(db.writers, partial(function, db, *args, **kwargs))


async def _on(threads: Executor, function: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, function)
