"""The tables that label sets are kept in, and how a database is opened: a SQLite file or PostgreSQL.

SQLite is opened so that what was committed survives a kill and a power cut (write-ahead log,
`synchronous=FULL`), and so that a writer takes its lock when it begins, not half-way through. Knows nothing
of what a document says.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    text,
)
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.pool import QueuePool

BUSY_TIMEOUT_MS: Final = 5_000  # how long a writer waits for another one
CONNECT_TIMEOUT_S: Final = 5  # for a PostgreSQL server that does not answer
POSTGRES_ARGUMENTS: Final = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "tcp_user_timeout": 10_000,  # ms, for what is sent and never acknowledged
    "keepalives_idle": 5,  # s
    "keepalives_interval": 5,  # s
    "keepalives_count": 2,
}
"""libpq's, for a server that is gone without a word."""
_SCHEMA_LOCK: Final = 0x43414E444944  # "CANDID": processes that start together create the tables in turn

metadata = MetaData()

label_sets = Table(
    "candid_label_sets",
    metadata,
    Column("name", String(64), primary_key=True),
    # Goes up with every change and never back, not even when a set is deleted and made anew: an old ETag
    # must not fit a new set. So a deleted set leaves its row behind.
    Column("version", Integer, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("document", Text, nullable=False),  # JSON
    Column("updated", Integer, nullable=False),  # seconds since 1970
)
examples = Table(
    "candid_examples",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),  # the order they came in
    Column("id", String(32), nullable=False),  # one for all models' embeddings of a picture
    Column("label_set", String(64), nullable=False),
    Column("label", Text, nullable=False),
    Column("fingerprint", String(64), nullable=False),  # of the model's weights
    Column("vector", LargeBinary, nullable=False),  # little-endian float32
    Column("added", Integer, nullable=False),  # seconds since 1970
    Index("candid_examples_by_set", "label_set", "fingerprint"),
)
calibrations = Table(
    "candid_fits",
    metadata,
    Column("label_set", String(64), primary_key=True),  # "": for the model, whatever the labels
    Column("fingerprint", String(64), primary_key=True),
    Column("temperature", Float, nullable=False),
    Column("slope", Float),  # of the curve of mode multi; of none where the model needs none
    Column("offset", Float),
    Column("images", Integer, nullable=False),
    Column("ece_before", Float, nullable=False),
    Column("ece_after", Float, nullable=False),
    Column("version", Integer, nullable=False),  # of the set, when it was fitted
)
matrices = Table(
    "candid_matrices",
    metadata,
    Column("label_set", String(64), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("digest", String(64), nullable=False),  # of the texts that were embedded
    Column("rows", Integer, nullable=False),  # N
    Column("vectors", LargeBinary, nullable=False),  # little-endian float32, (N, D)
    Column("warnings", Text, nullable=False),  # JSON
)


def default_url() -> str:
    """A SQLite file where the user's programs keep their data, wherever the service is started from."""
    base = os.environ.get("XDG_DATA_HOME") or os.environ.get("LOCALAPPDATA")
    folder = Path(base) if base else Path.home() / ".local" / "share"
    return f"sqlite:///{folder / 'candid' / 'candid.db'}"


def parse_url(url: str) -> URL:
    """The URL with the driver that Candid brings; `postgres://` is what many hosts hand out."""
    parsed = make_url(url)
    if parsed.drivername in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def open_engine(url: URL) -> Engine:
    """An engine whose tables exist. Raises what SQLAlchemy, the driver or the file system raises."""
    if url.get_backend_name() == "sqlite":
        engine = _sqlite(url)
    else:
        arguments = POSTGRES_ARGUMENTS if url.get_backend_name() == "postgresql" else {}
        engine = create_engine(url, connect_args=dict(arguments), pool_pre_ping=True)
    try:
        with engine.execution_options(candid_write=True).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
            metadata.create_all(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _sqlite(url: URL) -> Engine:
    memory = url.database in (None, "", ":memory:")
    if memory:  # each connection would be a database of its own
        engine = create_engine(url, poolclass=QueuePool, pool_size=1, max_overflow=0)
    else:
        Path(str(url.database)).expanduser().parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # Python's own BEGIN comes too late for a consistent read
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_TIMEOUT_MS}"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        write = connection.get_execution_options().get("candid_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
