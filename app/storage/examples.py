"""The examples of label sets in the database: embeddings by model, never a picture. Every function blocks."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sqlalchemy import delete, func, insert, select
from sqlalchemy.engine import Connection

from app.storage.database import ANYHOW, Condition, Database, live, next_version
from app.storage.errors import NotFound
from app.storage.label_sets import Vectors, blob, floats
from app.storage.tables import examples
from models.errors import InvalidRequest

SAME: Final = 0.9999
"""Cosine from which two examples of a label are the same picture: batches change the seventh digit, a crop or
another compression the third."""


@dataclass(frozen=True, slots=True)
class Example:
    """One example, without its vectors."""

    id: str
    label: str
    fingerprints: tuple[str, ...]
    added: int  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one picture."""

    id: str
    duplicate: bool  # it was there already, under this id


def id_of(label: str, data: bytes) -> str:
    """The same picture (its bytes) has the same id wherever it is added to this label."""
    return hashlib.sha256(label.encode() + b"\0" + data).hexdigest()[:32]


def add(
    db: Database,
    name: str,
    label: str,
    pictures: Sequence[tuple[str, Mapping[str, Vectors]]],  # of each: its id, and its vector by fingerprint
    *,
    most: int,
    condition: Condition = ANYHOW,
) -> tuple[int, list[Added]]:
    """Keep embeddings as examples of a label: the set's version now, and what became of each picture.

    A picture that is there already is not added again, but gets what embeddings it lacks. A set holds at most
    `most` examples. NotFound when there is no such set or label.
    """
    with db.write(name) as connection:
        row = live(connection, name)
        condition.check(name, row.version)
        _has_label(row.document, name, label)
        known = _known(connection, name, label)
        results, rows = [], []
        for own_id, vectors in pictures:
            same = own_id if own_id in known else _same(known, vectors)
            own = same or own_id
            lacking = {f: v for f, v in vectors.items() if f not in known.get(own, {})}
            known.setdefault(own, {}).update(lacking)
            results.append(Added(own, same is not None))
            rows += [_values(name, label, own, fingerprint, v) for fingerprint, v in lacking.items()]
        if not rows:
            return row.version, results
        count = select(func.count(func.distinct(examples.c.id))).where(examples.c.label_set == name)
        new = sum(not added.duplicate for added in results)
        if connection.execute(count).scalar_one() + new > most:
            raise InvalidRequest(f"a label set holds at most {most} examples (limit: max_examples)")
        connection.execute(insert(examples), rows)
        return next_version(connection, row), results


def listed(db: Database, name: str, label: str) -> tuple[int, list[Example]]:
    """The set's version and the label's examples, oldest first. Raises NotFound."""
    with db.read() as connection:
        row = live(connection, name)
        _has_label(row.document, name, label)
        own = select(examples.c.id, examples.c.fingerprint, examples.c.added).where(
            examples.c.label_set == name, examples.c.label == label
        )
        rows = connection.execute(own.order_by(examples.c.number)).all()
    grouped: dict[str, list[Any]] = {}
    for each in rows:
        grouped.setdefault(each.id, []).append(each)
    return row.version, [
        Example(own_id, label, tuple(r.fingerprint for r in parts), parts[0].added)
        for own_id, parts in grouped.items()
    ]


def remove(db: Database, name: str, label: str, own_id: str, *, condition: Condition = ANYHOW) -> int:
    """Delete one example; the set's new version. Raises NotFound."""
    with db.write(name) as connection:
        row = live(connection, name)
        condition.check(name, row.version)
        own = (examples.c.label_set == name) & (examples.c.label == label) & (examples.c.id == own_id)
        if not connection.execute(delete(examples).where(own)).rowcount:
            raise NotFound(f"label {label[:80]!r} of {name!r} has no example {own_id[:40]!r}", field="id")
        return next_version(connection, row)


def _has_label(document: str, name: str, label: str) -> None:
    if all(each["label"] != label for each in json.loads(document)["labels"]):
        raise NotFound(f"label set {name!r} has no label {label[:80]!r}", field="label")


def _known(connection: Connection, name: str, label: str) -> dict[str, dict[str, Vectors]]:
    """The label's examples: vectors by fingerprint, by id."""
    query = select(examples).where(examples.c.label_set == name, examples.c.label == label)
    known: dict[str, dict[str, Vectors]] = {}
    for row in connection.execute(query.order_by(examples.c.number)):
        known.setdefault(row.id, {})[row.fingerprint] = floats(row.vector)
    return known


def _same(known: Mapping[str, Mapping[str, Vectors]], vectors: Mapping[str, Vectors]) -> str | None:
    for own_id, kept in known.items():
        shared = kept.keys() & vectors.keys()
        if shared and all(float(np.dot(kept[f], vectors[f])) >= SAME for f in shared):
            return own_id
    return None


def _values(name: str, label: str, own_id: str, fingerprint: str, vector: Vectors) -> dict[str, Any]:
    return {
        "id": own_id,
        "label_set": name,
        "label": label,
        "fingerprint": fingerprint,
        "vector": blob(vector),
        "added": int(time.time()),
    }
