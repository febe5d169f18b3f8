"""Which temperature, or curve of mode multi, makes a question's probabilities honest, and who found it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from app.service import transactions
from app.service.embedded_labels import vectors_key
from app.storage import calibrations
from app.storage.calibrations import StoredCalibration
from app.storage.database import Database
from app.storage.errors import StoreUnavailable
from models.labels.label_set import Mode
from models.pretrained import catalogue
from models.scoring.fitting import Fits
from models.scoring.multi_label import Curve
from models.scoring.scorer import Fitted

if TYPE_CHECKING:
    from models.pretrained.info import ModelInfo

logger = logging.getLogger(__name__)

CHANGES: Final = {"mode": "multi", "reject": False}
"""To a stored set whose answers something is fitted to: mode multi has all that both fits need."""
NEEDS_NONE: Final = "the model has probabilities for mode multi by itself; calibrated has no effect here"


async def fitted_for(
    db: Database, info: ModelInfo, mode: Mode, of_set: StoredCalibration | None, wanted: bool | None
) -> tuple[Fitted, str | None, tuple[str, ...]]:
    """The set's own unless it is not `wanted`; the model's if it is, and in mode multi, which needs a curve.

    Also where it is from, and warnings: a curve that was fitted for another model is told.
    """
    multi = mode == "multi"
    if multi and info.kind == "sigmoid":
        return Fitted(), None, (NEEDS_NONE,) if wanted else ()
    if wanted is False:
        return Fitted(), None, ()
    if of_set is not None:
        return _of(of_set), "label_set", ()
    if not wanted and not multi:
        return Fitted(), None, ()
    try:
        of_model = await transactions.read(db, calibrations.for_model, vectors_key(info))
    except StoreUnavailable as error:  # what the catalogue knows needs no database
        of_model = None
        logger.warning("no calibration from the database: %s", error.message)
    if of_model is not None:
        return _of(of_model), "model", ()
    row = catalogue.find(info.name)
    if row is not None and row.temperature is not None:
        return Fitted(row.temperature), "catalogue", ()  # the embedded model: its curve is the default
    missing = "curve was fitted for" if multi else "temperature is known for"
    instead = "; these probabilities go by the embedded model's" if multi else ""
    return Fitted(), None, (f"no {missing} {info.name}{instead}: candid calibrate finds one",)


def kept(info: ModelInfo, fits: Fits) -> StoredCalibration:
    """What is stored of a fit for the model."""
    found, curve = fits.temperature, fits.curve
    return StoredCalibration(
        fingerprint=vectors_key(info),
        temperature=found.temperature,
        slope=curve.curve.slope if curve else None,
        offset=curve.curve.offset if curve else None,
        images=found.images,
        ece_before=found.ece_before,
        ece_after=found.ece_after,
        version=0,
    )


def _of(kept: StoredCalibration) -> Fitted:
    if kept.slope is None or kept.offset is None:
        return Fitted(kept.temperature)
    return Fitted(kept.temperature, Curve(kept.slope, kept.offset))
