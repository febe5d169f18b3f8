"""The examples of label sets in the database: embeddings by model, never a picture. Every function blocks."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import delete, func, insert, select
from sqlalchemy.engine import Connection

from app.storage.database import ANYHOW, Condition, Database, labels_in, live, next_version
from app.storage.errors import NotFound
from app.storage.tables import examples
from app.storage.vectors import Vectors, from_bytes, to_bytes
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


class Coming(NamedTuple):
    """A picture to become an example."""

    label: str
    id: str
    vectors: Mapping[str, Vectors]  # by fingerprint


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one picture."""

    id: str
    duplicate: bool  # it was there already, under this id


def id_of(label: str, data: bytes) -> str:
    """The same picture (its bytes) has the same id wherever it is added to this label."""
    return hashlib.sha256(label.encode() + b"\0" + data).hexdigest()[:32]


def add(
    db: Database, name: str, coming: Sequence[Coming], *, most: int, condition: Condition = ANYHOW
) -> tuple[int, list[Added]]:
    """Keep embeddings as examples: the set's version now, and what became of each picture.

    A picture that its label has already is not added again, but gets what embeddings it lacks. A set holds at
    most `most` examples. NotFound when there is no such set or label.
    """
    with db.write(name) as connection:
        row = live(connection, name)
        condition.check(name, row.version)
        _has_labels(row.document, name, {each.label for each in coming})
        known = _known(connection, name, coming)
        results, rows = [], []
        for each in coming:
            there = known[each.label]
            same = each.id if each.id in there.ids else there.same(each.vectors)
            example_id = same or each.id
            lacking = {f: v for f, v in each.vectors.items() if example_id not in there.places.get(f, {})}
            there.add(example_id, lacking)
            results.append(Added(example_id, same is not None))
            rows += [_values(name, each.label, example_id, f, v) for f, v in lacking.items()]
        if not rows:
            return row.version, results
        count = select(func.count(func.distinct(examples.c.id))).where(examples.c.label_set == name)
        new = sum(not added.duplicate for added in results)
        if connection.execute(count).scalar_one() + new > most:
            raise InvalidRequest(f"a label set holds at most {most} examples (limit: max_examples)")
        connection.execute(insert(examples), rows)
        return next_version(connection, row), results


def labels_of(db: Database, name: str) -> list[str]:
    """The set's labels, in their order. Raises NotFound."""
    with db.read() as connection:
        return [kept["label"] for kept in labels_in(live(connection, name).document, name)]


def listed(db: Database, name: str, label: str) -> tuple[int, list[Example]]:
    """The set's version and the label's examples, oldest first. Raises NotFound."""
    with db.read() as connection:
        row = live(connection, name)
        _has_labels(row.document, name, {label})
        query = select(examples.c.id, examples.c.fingerprint, examples.c.added).where(
            examples.c.label_set == name, examples.c.label == label
        )
        rows = connection.execute(query.order_by(examples.c.number)).all()
    grouped: dict[str, list[Any]] = {}
    for each in rows:
        grouped.setdefault(each.id, []).append(each)
    return row.version, [
        Example(example_id, label, tuple(r.fingerprint for r in parts), parts[0].added)
        for example_id, parts in grouped.items()
    ]


def remove(db: Database, name: str, label: str, example_id: str, *, condition: Condition = ANYHOW) -> int:
    """Delete one example; the set's new version. Raises NotFound."""
    with db.write(name) as connection:
        row = live(connection, name)
        condition.check(name, row.version)
        wanted = (examples.c.label_set == name) & (examples.c.label == label) & (examples.c.id == example_id)
        if not connection.execute(delete(examples).where(wanted)).rowcount:
            raise NotFound(f"label {label[:80]!r} of {name!r} has no example {example_id[:40]!r}", field="id")
        return next_version(connection, row)


def _has_labels(document: str, name: str, wanted: set[str]) -> None:
    for label in wanted.difference(kept["label"] for kept in labels_in(document, name)):
        raise NotFound(f"label set {name!r} has no label {label[:80]!r}", field="label")


def _known(connection: Connection, name: str, coming: Sequence[Coming]) -> dict[str, _Known]:
    """What each label that examples come for has already."""
    new: dict[str, list[Coming]] = {}
    for each in coming:
        new.setdefault(each.label, []).append(each)
    query = select(examples.c.label, examples.c.id, examples.c.fingerprint, examples.c.vector)
    query = query.where(examples.c.label_set == name, examples.c.label.in_(new)).order_by(examples.c.number)
    old: dict[str, list[Any]] = {label: [] for label in new}
    for row in connection.execute(query):
        old[row.label].append(row)
    return {label: _Known(old[label], new[label]) for label in new}


class _Known:
    """A label's examples and those being added: ids in their order, vectors in one array a model."""

    def __init__(self, rows: Sequence[Any], coming: Sequence[Coming]) -> None:
        self.ids: dict[str, int] = {}  # id: its place in the order
        self.places: dict[str, dict[str, int]] = {}  # fingerprint: id: row
        self._vectors: dict[str, Vectors] = {}  # fingerprint: (M, D), rows that nothing is in yet at the end
        dims = {f: len(v) for each in coming for f, v in each.vectors.items()}
        dims |= {row.fingerprint: len(row.vector) // 4 for row in rows}
        for fingerprint, dim in dims.items():
            self._vectors[fingerprint] = np.zeros((len(rows) + len(coming), dim), dtype=np.float32)
        for row in rows:
            self.add(row.id, {row.fingerprint: from_bytes(row.vector)})

    def add(self, example_id: str, vectors: Mapping[str, Vectors]) -> None:
        self.ids.setdefault(example_id, len(self.ids))
        for fingerprint, vector in vectors.items():
            rows = self.places.setdefault(fingerprint, {})
            rows[example_id] = len(rows)
            self._vectors[fingerprint][rows[example_id]] = vector

    def same(self, vectors: Mapping[str, Vectors]) -> str | None:
        """The first example that looks the same to every model that has seen both; None if there is none."""
        like: set[str] = set()
        unlike: set[str] = set()
        for fingerprint, vector in vectors.items():
            rows = self.places.get(fingerprint, {})
            near = self._vectors[fingerprint][: len(rows)] @ vector >= SAME  # (M,)
            for example_id, is_near in zip(rows, near.tolist(), strict=True):
                (like if is_near else unlike).add(example_id)
        return min(like - unlike, key=self.ids.__getitem__, default=None)


def _values(name: str, label: str, example_id: str, fingerprint: str, vector: Vectors) -> dict[str, Any]:
    return {
        "id": example_id,
        "label_set": name,
        "label": label,
        "fingerprint": fingerprint,
        "vector": to_bytes(vector),
        "added": int(time.time()),
    }
