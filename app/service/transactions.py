"""Calls to `app/storage`, which block, from an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from app.storage.database import Database

P = ParamSpec("P")
T = TypeVar("T")


async def transaction(
    db: Database, function: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """`function(db, …)` on a thread. Who is cancelled stops waiting; what was begun is finished."""
    return await asyncio.to_thread(function, db, *args, **kwargs)
