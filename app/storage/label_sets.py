"""Label sets in a database. Every function blocks.

A change is committed before its function returns, under the next version; a reader gets one version whole.
Knows no HTTP and no model: a document is a dictionary, a vector is an array.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.engine import Connection

from app.storage.calibrations import StoredCalibration, fitted_for, of_label_set
from app.storage.database import (
    ANYHOW,
    Condition,
    Database,
    found,
    how_many,
    labels_in,
    live,
    next_version,
    version_of,
)
from app.storage.errors import StoreUnavailable
from app.storage.tables import calibrations, examples, label_sets, matrices
from app.storage.vectors import Vectors, from_bytes
from models.errors import InvalidRequest

Document: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a label set, as a person sees it."""

    name: str
    version: int
    updated: int  # seconds since 1970
    document: Document
    examples: Mapping[str, int]  # how many, by label
    calibrations: tuple[StoredCalibration, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """A set as it is listed."""

    name: str
    version: int
    updated: int  # seconds since 1970
    labels: int
    examples: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of a label set, as a model answers by it."""

    version: int
    document: Document
    owners: tuple[str, ...]  # the labels of the examples
    vectors: Vectors  # (M, D) of the examples
    unseen: int  # examples that this model has no embedding of
    calibration: StoredCalibration | None


def summaries(db: Database) -> list[Summary]:
    """Every set, by name. Documents are read one at a time, and only those of versions not counted before."""
    held = (
        select(examples.c.label_set, func.count(func.distinct(examples.c.id)).label("held"))
        .group_by(examples.c.label_set)
        .subquery()
    )
    columns = (label_sets.c.name, label_sets.c.version, label_sets.c.updated, held.c.held)
    query = (
        select(*columns)
        .join_from(label_sets, held, label_sets.c.name == held.c.label_set, isouter=True)
        .where(label_sets.c.live)
        .order_by(label_sets.c.name)
    )
    with db.read() as connection:
        rows = connection.execute(query).all()
        counts = {row.name: _counted(db, connection, row.name, row.version) for row in rows}
    db.label_counts = {row.name: (row.version, counts[row.name]) for row in rows}
    return [Summary(row.name, row.version, row.updated, counts[row.name], row.held or 0) for row in rows]


def _counted(db: Database, connection: Connection, name: str, version: int) -> int:
    """Labels of a set; 0 of one whose document is damaged, so that the others can be listed."""
    known = db.label_counts.get(name)
    if known is not None and known[0] == version:
        return known[1]
    document = select(label_sets.c.document).where(label_sets.c.name == name)
    try:
        return len(labels_in(connection.execute(document).scalar_one(), name))
    except StoreUnavailable:
        return 0


def document_chars(db: Database, name: str) -> int:
    """How long the set's document is, without reading it; 0 when there is no set."""
    length = select(func.length(label_sets.c.document)).where(label_sets.c.name == name)
    with db.read() as connection:
        return connection.execute(length).scalar_one_or_none() or 0


def get(db: Database, name: str) -> Stored:
    """The set. Raises NotFound."""
    with db.read() as connection:
        return _stored(connection, name)


def snapshot(db: Database, name: str, fingerprint: str, *, known: int | None = None) -> Snapshot | None:
    """What the model answers by; None when the set is still at the version that is `known`. NotFound."""
    with db.read() as connection:
        if known is not None and version_of(connection, name) == known:
            return None
        row = live(connection, name)
        query = select(examples.c.label, examples.c.vector).where(
            examples.c.label_set == name, examples.c.fingerprint == fingerprint
        )
        rows = connection.execute(query.order_by(examples.c.number)).all()
        count = select(func.count(func.distinct(examples.c.id))).where(examples.c.label_set == name)
        held = connection.execute(count).scalar_one()
        fitted = fitted_for(connection, name, fingerprint)
    vectors = np.stack([from_bytes(r.vector) for r in rows]) if rows else np.empty((0, 0), dtype=np.float32)
    document, owners = _document(row), tuple(r.label for r in rows)
    return Snapshot(row.version, document, owners, vectors, held - len(rows), fitted)


def put(
    db: Database, name: str, document: Document, *, most: int, condition: Condition = ANYHOW
) -> tuple[Stored, bool]:
    """Store the document in whole; True when the set is new. No more than `most` sets are kept."""
    with db.write(name) as connection:
        row = found(connection, name)
        new = row is None or not row.live
        condition.check(name, None if row is None or new else row.version)
        if new and how_many(connection) >= most:
            raise InvalidRequest(f"{most} label sets are kept; delete one first (limit: max_label_sets)")
        if row is None:
            first = {"name": name, "version": 1, "updated": int(time.time())}
            connection.execute(insert(label_sets).values(**first, document=json.dumps(document), live=True))
        else:
            next_version(connection, row, document=json.dumps(document), live=True)
        _forget_labels(connection, name, document)
        return _stored(connection, name), new


def change(
    db: Database, name: str, edit: Callable[[Document], Document], *, condition: Condition = ANYHOW
) -> Stored:
    """Store what `edit` makes of the present document. Raises NotFound, and what `edit` raises."""
    with db.write(name) as connection:
        row = live(connection, name)
        condition.check(name, row.version)
        document = edit(_document(row))
        next_version(connection, row, document=json.dumps(document))
        _forget_labels(connection, name, document)
        return _stored(connection, name)


def remove(db: Database, name: str, *, condition: Condition = ANYHOW) -> None:
    """Delete the set with all that belongs to it. Raises NotFound."""
    with db.write(name) as connection:
        row = live(connection, name)
        condition.check(name, row.version)
        next_version(connection, row, document="{}", live=False)
        for table in (examples, calibrations, matrices):
            connection.execute(delete(table).where(table.c.label_set == name))


def _document(row: Row[Any]) -> Document:
    labels_in(row.document, row.name)  # damaged ones are told by name
    document: Document = json.loads(row.document)
    return document


def _stored(connection: Connection, name: str) -> Stored:
    row = live(connection, name)
    query = select(examples.c.label, func.count(func.distinct(examples.c.id)))
    held = connection.execute(query.where(examples.c.label_set == name).group_by(examples.c.label)).all()
    fitted = tuple(of_label_set(connection, name))
    counts = {row[0]: row[1] for row in held}
    return Stored(name, row.version, row.updated, _document(row), counts, fitted)


def _forget_labels(connection: Connection, name: str, document: Document) -> None:
    """Examples of a label that is gone go with it."""
    query = select(examples.c.label).where(examples.c.label_set == name).distinct()
    gone = set(connection.execute(query).scalars()) - {label["label"] for label in document["labels"]}
    for label in gone:
        connection.execute(delete(examples).where(examples.c.label_set == name, examples.c.label == label))
