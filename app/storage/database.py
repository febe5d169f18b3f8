"""Transactions on the label sets' database: opened when first needed, errors in our own words.

So a place that cannot be written to stops nobody who keeps no label sets. A reader sees one state throughout;
a writer of a set has it for itself from its first look at it. Every call blocks: make it on a thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, Row, func, select, text, update
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from app.storage import tables
from app.storage.errors import NotFound, PreconditionFailed, StoreUnavailable
from app.storage.tables import label_sets


@dataclass(frozen=True, slots=True)
class Condition:
    """What the caller believes is stored (If-Match, If-None-Match); by default nothing."""

    versions: frozenset[int] | None = None  # one of these
    exists: bool = False  # any version
    absent: bool = False  # no version

    def check(self, name: str, version: int | None) -> None:
        """Raise PreconditionFailed when `version` (None: there is no such set) is not what was believed."""
        if self.absent and version is not None:
            raise PreconditionFailed(f"label set {name!r} exists already, as version {version}")
        if version is None and (self.exists or self.versions is not None):
            raise PreconditionFailed(f"there is no label set {name!r}")
        if self.versions is not None and version not in self.versions:
            raise PreconditionFailed(f"label set {name!r} is at version {version} now")


ANYHOW: Final = Condition()


class Database:
    """One database, by its URL; None is a SQLite file in the user's data directory."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database."""
        with self._transaction() as connection:
            yield connection

    @contextmanager
    def write(self, name: str) -> Iterator[Connection]:
        """A transaction that no other writer of the set `name` runs beside; committed when it ends well."""
        with self._transaction(candid_write=True) as connection:
            if connection.dialect.name == "postgresql":
                # A row that does not exist yet cannot be locked; a number can.
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name}
                )
            yield connection

    def close(self) -> None:
        """Close the connections; the next transaction opens new ones."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    @contextmanager
    def _transaction(self, **options: Any) -> Iterator[Connection]:
        engine = self._open()
        if engine.dialect.name == "postgresql" and not options:
            options = {"isolation_level": "REPEATABLE READ"}  # SQLite's readers see one state anyway
        try:
            with engine.execution_options(**options).begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StoreUnavailable(_told(error)) from error

    def _open(self) -> Engine:
        with self._lock:
            if self._engine is None:
                url: URL | None = None
                try:
                    url = tables.parse_url(self._url or tables.default_url())
                    self._engine = tables.open_engine(url)
                except ModuleNotFoundError as error:
                    raise StoreUnavailable(
                        f"CANDID_DATABASE_URL needs the module {error.name}: pip install 'candid[postgres]'"
                    ) from error
                except ArgumentError as error:  # its words would show the URL, and with it a password
                    raise StoreUnavailable("CANDID_DATABASE_URL is no URL of a database") from error
                except (SQLAlchemyError, OSError) as error:
                    place = url.render_as_string(hide_password=True) if url else "the database"
                    raise StoreUnavailable(
                        f"label sets cannot be kept in {place}: {_told(error)}; set CANDID_DATABASE_URL to a "
                        "place that can be written to"
                    ) from error
            return self._engine


def live(connection: Connection, name: str) -> Row[Any]:
    """The set's row. Raises NotFound."""
    row = found(connection, name)
    if row is None or not row.live:
        raise NotFound(f"there is no label set {name!r}", field="label_set")
    return row


def found(connection: Connection, name: str) -> Row[Any] | None:
    """The set's row, also that of a deleted one."""
    return connection.execute(select(label_sets).where(label_sets.c.name == name)).one_or_none()


def how_many(connection: Connection) -> int:
    """Label sets that are there."""
    return connection.execute(
        select(func.count()).select_from(label_sets).where(label_sets.c.live)
    ).scalar_one()


def next_version(connection: Connection, row: Row[Any], **values: Any) -> int:
    """Change the set's row, at least its version and time."""
    version = int(row.version) + 1
    changed = {"version": version, "updated": int(time.time()), **values}
    connection.execute(update(label_sets).where(label_sets.c.name == row.name).values(**changed))
    return version


def _told(error: Exception) -> str:
    """The driver's own words, without SQLAlchemy's statement and parameters."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
