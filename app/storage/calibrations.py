"""What was fitted for a model, or for a label set's answers with it. Every function blocks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from app.storage.database import ANYHOW, Condition, Database, live, next_version
from app.storage.tables import calibrations

ANY_LABELS: Final = ""
"""In place of a set's name: a calibration for the model, whatever the labels."""


@dataclass(frozen=True, slots=True)
class StoredCalibration:
    """What was fitted for a model, and a label set: a temperature, and the curve of mode multi."""

    fingerprint: str
    temperature: float
    slope: float | None  # of the curve; None where the model needs none
    offset: float | None
    images: int
    ece_before: float
    ece_after: float
    version: int  # of the set, when it was fitted


def save(db: Database, name: str, fitted: StoredCalibration, *, condition: Condition = ANYHOW) -> int:
    """Keep what was fitted for a set, or for a model's every answer (ANY_LABELS); the set's new version."""
    with db.write(name) as connection:
        version = 0
        if name != ANY_LABELS:
            row = live(connection, name)
            condition.check(name, row.version)
            version = next_version(connection, row)
        of_model = (calibrations.c.label_set == name) & (calibrations.c.fingerprint == fitted.fingerprint)
        connection.execute(delete(calibrations).where(of_model))
        values = asdict(fitted) | {"label_set": name, "version": version}
        connection.execute(insert(calibrations).values(**values))
        return version


def for_model(db: Database, fingerprint: str) -> StoredCalibration | None:
    """What was fitted for a model, whatever the labels."""
    with db.read() as connection:
        return fitted_for(connection, ANY_LABELS, fingerprint)


def fitted_for(connection: Connection, name: str, fingerprint: str) -> StoredCalibration | None:
    """That of a model."""
    return next((c for c in of_label_set(connection, name) if c.fingerprint == fingerprint), None)


def of_label_set(connection: Connection, name: str) -> list[StoredCalibration]:
    """Those of every model."""
    rows = connection.execute(select(calibrations).where(calibrations.c.label_set == name)).mappings()
    return [StoredCalibration(**{key: row[key] for key in StoredCalibration.__slots__}) for row in rows]
