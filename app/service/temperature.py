"""Which fitted temperature a question's probabilities are divided by, and who found it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from app.service import transactions
from app.service.embedded_labels import vectors_key
from app.storage import label_sets
from app.storage.database import Database
from app.storage.errors import StoreUnavailable
from models.labels.label_set import Mode
from models.pretrained import catalogue
from models.scoring.scorer import Fitted

if TYPE_CHECKING:
    from models.pretrained.info import ModelInfo

logger = logging.getLogger(__name__)


async def temperature_for(
    db: Database,
    info: ModelInfo,
    mode: Mode,
    of_set: label_sets.StoredCalibration | None,
    wanted: bool | None,
) -> tuple[Fitted, str | None, tuple[str, ...]]:
    """The set's own unless it is not `wanted`; another only if it is. Also where it is from, and warnings."""
    if wanted is False or mode == "multi":
        vain = ("a temperature is for mode single; calibrated has no effect here",) if wanted else ()
        return Fitted(), None, vain
    if of_set is not None:
        return Fitted(of_set.temperature), "label_set", ()
    if not wanted:
        return Fitted(), None, ()
    try:
        of_model = await transactions.read(db, label_sets.calibration, vectors_key(info))
    except StoreUnavailable as error:  # what the catalogue knows needs no database
        of_model = None
        logger.warning("no temperatures from the database: %s", error.message)
    if of_model is not None:
        return Fitted(of_model.temperature), "model", ()
    row = catalogue.find(info.name)
    if row is not None and row.temperature is not None:
        return Fitted(row.temperature), "catalogue", ()
    return Fitted(), None, (f"no temperature is known for {info.name}: candid calibrate finds one",)
