"""Embedded labels of label sets: each text is embedded once a model. Every function blocks."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from app.storage.database import Database, found
from app.storage.tables import matrices
from app.storage.vectors import Vectors, from_bytes, to_bytes


@dataclass(frozen=True, slots=True)
class Matrix:
    """A set's embedded labels, kept so that they are embedded once a model."""

    digest: str  # of the texts
    vectors: Vectors  # (N, D)
    warnings: tuple[str, ...]


def get(db: Database, name: str, fingerprint: str, digest: str) -> Matrix | None:
    """The set's embedded labels, if they are of the texts that `digest` stands for."""
    of_model = (matrices.c.label_set == name) & (matrices.c.fingerprint == fingerprint)
    with db.read() as connection:
        row = connection.execute(select(matrices).where(of_model, matrices.c.digest == digest)).one_or_none()
    if row is None:
        return None
    warnings = tuple(json.loads(row.warnings))
    vectors = from_bytes(row.vectors)
    return Matrix(digest, vectors.reshape(row.rows, -1), warnings)


def save(db: Database, name: str, fingerprint: str, made: Matrix) -> None:
    """Keep a set's embedded labels, in place of those of an earlier version."""
    of_model = (matrices.c.label_set == name) & (matrices.c.fingerprint == fingerprint)
    with db.write(name) as connection:
        if not getattr(found(connection, name), "live", False):
            return  # deleted in the meantime
        connection.execute(delete(matrices).where(of_model))
        values = {"label_set": name, "fingerprint": fingerprint, "digest": made.digest}
        kept = {
            "vectors": to_bytes(made.vectors),
            "rows": len(made.vectors),
            "warnings": json.dumps(made.warnings),
        }
        connection.execute(insert(matrices).values(**values, **kept))
