"""Transactions on the label sets' database: opened when first needed, errors in our own words.

So a place that cannot be written to stops nobody who keeps no label sets. A reader sees one state throughout;
a writer of a set has it for itself from its first look at it. Every call blocks: make it on one of the
database's own threads, so that one that hangs keeps nothing else waiting, and writers no readers.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, Row, func, select, text, update
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from app.storage import tables
from app.storage.errors import NotFound, PreconditionFailed, StoreUnavailable
from app.storage.tables import label_sets
from app.storage.threads import DaemonThreads

logger = logging.getLogger(__name__)

THREADS: Final = 4
"""For readers, and as many for writers."""
BACK_OFF_S: Final = 2.0
"""After a database could not be reached: so long whoever asks is refused at once, not after a time-out."""


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
        self._file: tuple[int, int] | None = None  # device and inode of the SQLite file that is open
        self._refused_until = {False: 0.0, True: 0.0}  # time.monotonic(), of readers and of writers
        self._lock = threading.Lock()
        self.readers = DaemonThreads(THREADS, "candid-database-read")
        self.writers = DaemonThreads(THREADS, "candid-database-write")
        # Version and number of labels by name: a list need not read documents.
        self.label_counts: dict[str, tuple[int, int]] = {}

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database."""
        with self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def write(self, name: str) -> Iterator[Connection]:
        """A transaction that no other writer of the set `name` runs beside; committed when it ends well."""
        with self._transaction(writes=True) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL lock_timeout = {tables.BUSY_TIMEOUT_MS}"))
                # A row that does not exist yet cannot be locked; a number can.
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name}
                )
            yield connection
        if self._file != self._file_now():
            raise StoreUnavailable("the database's file was taken away: what was just written is lost")

    def close(self) -> None:
        """Close the connections; the next transaction opens new ones."""
        self.readers.shutdown()
        self.writers.shutdown()
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        engine = self._open(writes)
        options: dict[str, Any] = {"candid_write": writes}
        if engine.dialect.name == "postgresql" and not writes:
            options["isolation_level"] = "REPEATABLE READ"  # SQLite's readers see one state anyway
        try:
            with ExitStack() as stack:
                try:
                    connection = stack.enter_context(engine.execution_options(**options).connect())
                    stack.enter_context(connection.begin())
                except SQLAlchemyError:
                    self._refused_until[writes] = time.monotonic() + BACK_OFF_S
                    raise
                yield connection
        except SQLAlchemyError as error:
            raise self._unavailable(error) from error

    def _open(self, writes: bool) -> Engine:
        with self._lock:
            if self._engine is not None and self._file != self._file_now():
                logger.error("%s was taken away: it is opened anew", self._place())
                self._engine.dispose()
                self._engine = None
            if time.monotonic() < self._refused_until[writes]:
                raise StoreUnavailable("the label sets' database could not be reached a moment ago")
            if self._engine is None:
                try:
                    self._engine = tables.open_engine(self._parsed())
                except ModuleNotFoundError as error:
                    raise StoreUnavailable(
                        f"CANDID_DATABASE_URL needs the module {error.name}: pip install 'candid[postgres]'"
                    ) from error
                except (SQLAlchemyError, OSError) as error:
                    self._refused_until = dict.fromkeys((False, True), time.monotonic() + BACK_OFF_S)
                    raise self._unavailable(error) from error
                self._file = self._file_now()
            return self._engine

    def _parsed(self) -> URL:
        try:
            return tables.parse_url(self._url or tables.default_url())
        except ArgumentError as error:  # its words would show the URL, and with it a password
            raise StoreUnavailable("CANDID_DATABASE_URL is no URL of a database") from error

    def _place(self) -> str:
        return self._parsed().render_as_string(hide_password=True)

    def _file_now(self) -> tuple[int, int] | None:
        """Device and inode of the SQLite file; None of a database that is none, or whose file is gone."""
        url = self._parsed()
        if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
            return None
        try:
            found = Path(str(url.database)).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        """The place and the driver's words are for the log: callers need not know them."""
        logger.error("label sets in %s: %s", self._place(), _driver_message(error))
        return StoreUnavailable(
            "the label sets' database (CANDID_DATABASE_URL) cannot be read or written to; the log says why"
        )


def labels_in(document: str, name: str) -> list[dict[str, Any]]:
    """The labels of a set's document. Raises StoreUnavailable for one that was damaged."""
    try:
        labels: list[dict[str, Any]] = json.loads(document)["labels"]
    except (ValueError, KeyError, TypeError) as error:
        logger.error("the document of label set %r is damaged: %s", name, error)
        raise StoreUnavailable(f"label set {name!r} is damaged: put it again, or delete it") from error
    return labels


def live(connection: Connection, name: str) -> Row[Any]:
    """The set's row. Raises NotFound."""
    row = found(connection, name)
    if row is None or not row.live:
        raise NotFound(f"there is no label set {name!r}", field="label_set")
    return row


def found(connection: Connection, name: str) -> Row[Any] | None:
    """The set's row, also that of a deleted one."""
    return connection.execute(select(label_sets).where(label_sets.c.name == name)).one_or_none()


def version_of(connection: Connection, name: str) -> int | None:
    """The set's version, without its document; None where there is none, or no more."""
    columns = select(label_sets.c.version).where(label_sets.c.name == name, label_sets.c.live)
    return connection.execute(columns).scalar_one_or_none()


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


def _driver_message(error: Exception) -> str:
    """The driver's own words, without SQLAlchemy's statement and parameters."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
