"""A label set's labels as one model's vectors; those of a stored set are kept with it in the database."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from typing import TYPE_CHECKING

from app.service import transactions
from app.storage import label_matrices
from app.storage.database import Database
from app.storage.errors import StoreUnavailable
from app.storage.label_matrices import Matrix
from models.labels.label_matrix import LabelMatrix
from models.labels.label_set import LabelSet, templates_for, texts_of

if TYPE_CHECKING:
    from models.classifier import Classifier
    from models.pretrained.info import ModelInfo

logger = logging.getLogger(__name__)


def vectors_key(info: ModelInfo) -> str:
    """Models of one key give vectors that compare: of the same weights, preprocessing and tokenizer."""
    return hashlib.sha256(f"{info.fingerprint} {info.config}".encode()).hexdigest()


async def embedded_labels(
    db: Database, classifier: Classifier, label_set: LabelSet, name: str | None, deadline: float
) -> LabelMatrix:
    """One row a label; of a stored set (`name`) those that are kept, if they are of these very texts."""
    if name is None:
        return await _embed(classifier, label_set, deadline)
    key = vectors_key(classifier.info)
    digest = await asyncio.to_thread(_digest, classifier.info, label_set)
    kept = await transactions.read(db, label_matrices.get, name, key, digest)
    if kept is not None:
        return LabelMatrix(label_set.names, kept.vectors, kept.warnings)
    matrix = await _embed(classifier, label_set, deadline)
    try:
        made = Matrix(digest, matrix.vectors, matrix.warnings)
        await transactions.write(db, label_matrices.save, name, key, made)
    except StoreUnavailable as error:  # only a shortcut for the next time
        logger.warning("the labels of %s are not kept: %s", name, error.message)
    return matrix


async def _embed(classifier: Classifier, label_set: LabelSet, deadline: float) -> LabelMatrix:
    # Making the prompts takes its time with many labels.
    future = await asyncio.to_thread(classifier.label_set_matrix, label_set, deadline=deadline)
    return await asyncio.wrap_future(future)


def _digest(info: ModelInfo, label_set: LabelSet) -> str:
    """Stands for all texts that are embedded for the set, and for what else decides their vectors."""
    texts = texts_of(label_set, templates_for(label_set, info.default_template))
    return hashlib.sha256(json.dumps([info.config, info.precision, texts]).encode()).hexdigest()
