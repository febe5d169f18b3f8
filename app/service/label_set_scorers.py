"""What a request asks of a model, put together: stored label set, examples, temperature, nouns.

A stored set is read in one transaction, so an answer is of one version; what was made of it is kept until the
version changes. The nouns that rejection needs are encoded once a model, beside everybody else's work. Knows
vectors and label sets, no pictures and no HTTP.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from app.requests.question import Question
from app.schemas.label_sets import LabelSetBody, label_set_of
from app.service.single_flight import Once
from app.storage import label_sets
from app.storage.database import Database
from app.storage.errors import StoreUnavailable
from app.storage.label_sets import Matrix, Snapshot
from models.labels.label_matrix import LabelMatrix
from models.labels.label_set import LabelSet, check, templates_for, texts_of
from models.pretrained import catalogue
from models.scoring import out_of_set
from models.scoring import scorer as scorers
from models.scoring.few_shot import Constants
from models.scoring.scorer import Examples, Fitted, Scorer

if TYPE_CHECKING:
    from models.classifier import Classifier

logger = logging.getLogger(__name__)

MAX_KEPT: Final = 64
MAX_KEPT_BYTES: Final = 256 << 20
"""Scorers of stored label sets kept ready: one of 1,000 labels with 512 numbers each takes 2 MB."""
READ: Final = ("templates", "domain")
"""Changes to a set with which its labels read differently."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that is needed to answer, and what the answer must tell of it."""

    label_set: LabelSet
    scorer: Scorer
    name: str | None
    version: int | None
    temperature_of: str | None  # "label_set", "model", "catalogue"; None: not calibrated
    warnings: tuple[str, ...]


class Answers:
    """One service's label sets, ready to answer by."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._kept: OrderedDict[tuple[str, str], tuple[int, Prepared]] = OrderedDict()
        self._banks: Once[str, NDArray[np.float32]] = Once(MAX_KEPT)
        self._constants: Once[tuple[object, ...], Constants] = Once(MAX_KEPT)

    async def prepare(self, classifier: Classifier, special: Question, deadline: float) -> Prepared:
        """Raises NotFound for an unknown set, InvalidRequest for what cannot be made into a classifier."""
        if special.name is None:
            assert special.label_set is not None
            return await self._made(classifier, special.label_set, None, special, deadline)
        key = (classifier.info.fingerprint, special.name)
        simple = not special.changes and special.calibrated is None
        known, prepared = self._kept.get(key, (None, None)) if simple else (None, None)
        read = await asyncio.to_thread(label_sets.snapshot, self.db, special.name, key[0], known=known)
        if read is None:
            assert prepared is not None
            if key in self._kept:  # another request may have put it out while the database was asked
                self._kept.move_to_end(key)
            return prepared
        label_set = label_set_of(LabelSetBody.model_validate(read.document))
        changed = replace(label_set, **special.changes)
        check(changed)
        made = await self._made(classifier, changed, read, special, deadline)
        if simple:
            self._keep(key, read.version, made)
        return made

    async def _made(
        self,
        classifier: Classifier,
        label_set: LabelSet,
        read: Snapshot | None,
        special: Question,
        deadline: float,
    ) -> Prepared:
        info = classifier.info
        bank: NDArray[np.float32] | None = None
        nouns = None
        if scorers.needs_bank(label_set, kind=info.kind):
            nouns = asyncio.create_task(self.bank(classifier))  # beside the labels, not after them
        try:
            # Only the set's own texts are kept with it.
            name = special.name if special.changes.keys().isdisjoint(READ) else None
            matrix = await self._matrix(classifier, label_set, name, deadline)
            bank = await nouns if nouns else None
        finally:
            if nouns:
                nouns.cancel()
        fitted, source, warnings = await self._fitted(classifier, label_set, read, special.calibrated)
        examples = None
        if read is not None:
            if read.unseen:
                warnings += (f"{read.unseen} examples were added without this model: it does not use them",)
            examples = await self._examples(classifier, special, read, matrix)
        scorer = await asyncio.to_thread(
            scorers.scorer,
            label_set,
            matrix,
            logit_scale=info.logit_scale,
            logit_bias=info.logit_bias if info.kind == "sigmoid" else None,
            bank=bank,
            examples=examples,
            fitted=fitted,
        )
        version = read.version if read else None
        idle = scorers.idle(label_set, special.changes if read else None)
        warnings = (*special.warnings, *matrix.warnings, *idle, *warnings)
        return Prepared(label_set, scorer, special.name, version, source, warnings)

    async def bank(self, classifier: Classifier) -> NDArray[np.float32]:
        """The nouns (K, D) as the model sees them, encoded by the first who asks."""
        info = classifier.info

        async def encode() -> NDArray[np.float32]:
            words = out_of_set.nouns()
            logger.info("model %s: encoding %d nouns, once", info.name, len(words))
            started = time.monotonic()
            future = classifier.label_matrix(words, templates=(info.default_template,))
            made = await asyncio.wrap_future(future)
            logger.info("model %s: the nouns are ready after %.1f s", info.name, time.monotonic() - started)
            return made.vectors

        return await self._banks.get(info.fingerprint, encode)

    async def _examples(
        self, classifier: Classifier, special: Question, read: Snapshot, matrix: LabelMatrix
    ) -> Examples | None:
        """The set's examples; their constants are sought once a version, whatever else requests change."""
        if not len(read.vectors):
            return None
        info, vectors, owners = classifier.info, read.vectors, read.owners
        said = tuple(special.changes.get(change) for change in READ)

        async def choose() -> Constants:
            return await asyncio.to_thread(
                scorers.constants_for, vectors, owners, matrix, logit_scale=info.logit_scale
            )

        key = (info.fingerprint, special.name, read.version, *said)
        return scorers.examples_of(vectors, owners, matrix, await self._constants.get(key, choose))

    async def _matrix(
        self, classifier: Classifier, label_set: LabelSet, name: str | None, deadline: float
    ) -> LabelMatrix:
        """The labels' rows: from the database when this very set was embedded before."""
        if name is None:
            return await _embedded(classifier, label_set, deadline)
        fingerprint = classifier.info.fingerprint
        digest = await asyncio.to_thread(_digest, classifier, label_set)
        kept = await asyncio.to_thread(label_sets.matrix, self.db, name, fingerprint, digest)
        if kept is not None:
            return LabelMatrix(label_set.names, kept.vectors, kept.warnings)
        matrix = await _embedded(classifier, label_set, deadline)
        try:
            made = Matrix(digest, matrix.vectors, matrix.warnings)
            await asyncio.to_thread(label_sets.save_matrix, self.db, name, fingerprint, made)
        except StoreUnavailable as error:  # only a shortcut for the next time
            logger.warning("the labels of %s are not kept: %s", name, error.message)
        return matrix

    async def _fitted(
        self, classifier: Classifier, label_set: LabelSet, read: Snapshot | None, wanted: bool | None
    ) -> tuple[Fitted, str | None, tuple[str, ...]]:
        """The temperature, where it is from, and warnings. It says nothing about mode "multi"."""
        info = classifier.info
        if wanted is False or label_set.mode == "multi":
            told = ("a temperature is for mode single; calibrated has no effect here",) if wanted else ()
            return Fitted(), None, told
        if read is not None and read.calibration is not None:
            return Fitted(read.calibration.temperature), "label_set", ()
        if not wanted:
            return Fitted(), None, ()
        try:
            own = await asyncio.to_thread(label_sets.calibration, self.db, info.fingerprint)
        except StoreUnavailable as error:  # what the catalogue knows needs no database
            own = None
            logger.warning("no temperatures from the database: %s", error.message)
        if own is not None:
            return Fitted(own.temperature), "model", ()
        row = catalogue.find(info.name)
        if row is not None and row.temperature is not None:
            return Fitted(row.temperature), "catalogue", ()
        return Fitted(), None, (f"no temperature is known for {info.name}: candid calibrate finds one",)

    def _keep(self, key: tuple[str, str], version: int, made: Prepared) -> None:
        self._kept[key] = (version, made)
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and (len(self._kept) > MAX_KEPT or self._bytes() > MAX_KEPT_BYTES):
            self._kept.popitem(last=False)

    def _bytes(self) -> int:
        return sum(_size(made.scorer) for _, made in self._kept.values())


def _size(scorer: Scorer) -> int:
    """Bytes that a scorer holds for itself; the bank is everybody's."""
    own = [scorer.matrix.vectors, scorer.rivals, scorer.examples.keys if scorer.examples else None]
    return sum(array.nbytes for array in own if array is not None)


async def _embedded(classifier: Classifier, label_set: LabelSet, deadline: float) -> LabelMatrix:
    # Making the prompts takes its time with many labels.
    future = await asyncio.to_thread(classifier.label_set_matrix, label_set, deadline=deadline)
    return await asyncio.wrap_future(future)


def _digest(classifier: Classifier, label_set: LabelSet) -> str:
    """Stands for all texts that are embedded for the set, and for what else decides their vectors."""
    info = classifier.info
    texts = texts_of(label_set, templates_for(label_set, info.default_template))
    return hashlib.sha256(json.dumps([info.config, texts]).encode()).hexdigest()
