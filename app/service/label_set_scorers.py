"""From a question to its scorer: labels embedded, a stored set's examples and calibration, nouns to reject.

A stored set is read in one transaction, so an answer is of one version; what was made of it is kept until the
version changes, and made once however many ask. The nouns are encoded once a model, beside all other work.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from app.requests.body import offload_many
from app.requests.question import Question
from app.schemas.label_sets import LabelSetBody, label_set_of
from app.service import transactions
from app.service.embedded_labels import embedded_labels, vectors_key
from app.service.fitted import fitted_for
from app.service.scorer import LabelSetScorer, held_bytes
from app.service.single_flight import Flight, Once
from app.storage import label_sets
from app.storage.database import Database
from app.storage.label_sets import Snapshot
from models.labels.label_matrix import LabelMatrix
from models.labels.label_set import LabelSet, check
from models.labels.prompts import templates_of
from models.labels.vocabularies import NAMES, vocabulary
from models.scoring import out_of_set
from models.scoring import scorer as scoring
from models.scoring.few_shot import Taught

if TYPE_CHECKING:
    from models.classifier import Classifier
    from models.pretrained.info import ModelInfo

logger = logging.getLogger(__name__)

MAX_KEPT: Final = 64
MAX_KEPT_BYTES: Final = 256 << 20
"""Scorers of stored label sets kept ready: one of 1,000 labels with 512 numbers each takes 2 MB."""
MAX_LESSONS: Final = 8
"""What examples of a version add, to be shared by requests that change something else of it: as large."""
NO_DEADLINE: Final = float("inf")
READ: Final = ("templates", "domain")
"""Changes to a set with which its labels read differently."""
PLAIN: Final = LabelSet(())
"""What a scorer needs to know of plain labels beside their matrix: nothing."""


class LabelSetScorers:
    """One service's questions, made ready to answer by. For one event loop."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._kept: OrderedDict[Hashable, tuple[int, Flight[LabelSetScorer]]] = OrderedDict()  # with versions
        self._banks: Once[Hashable, NDArray[np.float32]] = Once(MAX_KEPT)
        self._rivals: Once[Hashable, NDArray[np.intp]] = Once(MAX_KEPT)  # of vocabularies
        self._lessons: Once[Hashable, Taught] = Once(MAX_LESSONS)

    async def scorer_for(
        self, classifier: Classifier, question: Question, deadline: float = NO_DEADLINE
    ) -> LabelSetScorer:
        """Raises NotFound for an unknown set, InvalidRequest for what cannot be made into a classifier."""
        if question.name is not None:
            return await self._stored(classifier, question)
        if question.label_set is not None:
            return await self._made(classifier, question, question.label_set, None, deadline)
        texts = len(question.labels) * max(1, len(templates_of(question.templates)))
        future = await offload_many(
            texts, classifier.label_matrix, question.labels, templates=question.templates, deadline=deadline
        )
        matrix = await asyncio.wrap_future(future)
        scorer = scoring.scorer(PLAIN, matrix, logit_scale=classifier.info.logit_scale)
        return LabelSetScorer(scorer, is_plain=True, vocabulary=question.vocabulary, warnings=matrix.warnings)

    async def warm(self, classifiers: Iterable[Classifier]) -> None:
        """Have each model's vocabularies and nouns ready before anybody asks. Requests come between them."""
        for classifier in classifiers:
            for words in map(vocabulary, NAMES):
                future = await asyncio.to_thread(
                    classifier.label_matrix, words.labels, templates=words.templates
                )
                await asyncio.wrap_future(future)
            await self._bank(classifier)

    async def _stored(self, classifier: Classifier, question: Question) -> LabelSetScorer:
        assert question.name is not None
        model = _model_key(classifier.info)
        key = (model, question.name, question.calibrated, *sorted(question.changes.items()))
        while True:
            version, flight = self._usable(key)
            fingerprint = vectors_key(classifier.info)
            read = await transactions.read(
                self.db, label_sets.snapshot, question.name, fingerprint, known=version
            )
            if read is not None:
                version, flight = self._usable(key)  # another request may have begun it meanwhile
                if flight is None or version != read.version:
                    flight = Flight(partial(self._of_snapshot, classifier, question, read))
                    self._kept[key] = read.version, flight
                    self._forget_oldest()
            if flight is None or flight.failed:  # while the database was asked
                continue
            if key in self._kept:
                self._kept.move_to_end(key)
            scorer = await flight.result()
            self._forget_oldest()
            return scorer

    def _usable(self, key: Hashable) -> tuple[int, Flight[LabelSetScorer]] | tuple[None, None]:
        version, flight = self._kept.get(key, (None, None))
        return (None, None) if flight is None or version is None or flight.failed else (version, flight)

    def _forget_oldest(self) -> None:
        """Keep within the bounds; of sets that are larger than them one stays."""
        while len(self._kept) > 1 and (len(self._kept) > MAX_KEPT or self.nbytes > MAX_KEPT_BYTES):
            self._kept.popitem(last=False)

    @property
    def nbytes(self) -> int:
        """Bytes of the scorers that are kept."""
        ready = (flight.landed for _, flight in self._kept.values())
        return sum(scorer.nbytes for scorer in ready if scorer is not None)

    async def _of_snapshot(
        self, classifier: Classifier, question: Question, read: Snapshot
    ) -> LabelSetScorer:
        def label_set() -> LabelSet:
            stored = label_set_of(LabelSetBody.model_validate(read.document))
            changed = replace(stored, **question.changes)
            check(changed)
            return changed

        # Whoever waits has a deadline; when nobody waits any more, this is cancelled.
        changed = await asyncio.to_thread(label_set)
        made = await self._made(classifier, question, changed, read, NO_DEADLINE)
        return replace(made, nbytes=await asyncio.to_thread(held_bytes, made))

    async def _made(
        self,
        classifier: Classifier,
        question: Question,
        label_set: LabelSet,
        read: Snapshot | None,
        deadline: float,
    ) -> LabelSetScorer:
        info = classifier.info
        bank: NDArray[np.float32] | None = None
        nouns = None
        if scoring.needs_bank(label_set, kind=info.kind):
            nouns = asyncio.create_task(self._bank(classifier))  # beside the labels, not after them
        try:
            # Only the set's own texts are kept with it.
            name = question.name if question.changes.keys().isdisjoint(READ) else None
            matrix = await embedded_labels(self.db, classifier, label_set, name, deadline)
            bank = await nouns if nouns else None
        finally:
            if nouns:
                nouns.cancel()
        calibration = read.calibration if read else None
        fitted, source, warnings = await fitted_for(
            self.db, info, label_set.mode, calibration, question.calibrated
        )
        rivals = None
        if bank is not None and label_set.reject and question.vocabulary is not None:
            key = (_model_key(info), question.vocabulary, label_set.templates, label_set.domain)
            of_matrix = partial(asyncio.to_thread, out_of_set.unrelated, matrix.vectors, bank)
            rivals = await self._rivals.get(key, of_matrix)
        taught = None
        if read is not None:
            if read.unseen:
                warnings += (f"{read.unseen} examples were added without this model: it does not use them",)
            taught = await self._taught(info, question, read, matrix)
        scorer = await asyncio.to_thread(
            scoring.scorer,
            label_set,
            matrix,
            logit_scale=info.logit_scale,
            logit_bias=info.logit_bias if info.kind == "sigmoid" else None,
            bank=bank,
            rivals=rivals,
            taught=taught,
            fitted=fitted,
        )
        idle = scoring.idle(label_set, question.changes if read else None)
        return LabelSetScorer(
            scorer,
            name=question.name,
            vocabulary=question.vocabulary,
            version=read.version if read else None,
            fitted_of=source,
            warnings=(*question.warnings, *matrix.warnings, *idle, *warnings),
        )

    async def _bank(self, classifier: Classifier) -> NDArray[np.float32]:
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

        return await self._banks.get(_model_key(info), encode)

    async def _taught(
        self, info: ModelInfo, question: Question, read: Snapshot, matrix: LabelMatrix
    ) -> Taught | None:
        """What the set's examples add; worked out once a version, whatever else requests change."""
        if not len(read.vectors):
            return None
        said = tuple(question.changes.get(change) for change in READ)

        async def teach() -> Taught:
            return await asyncio.to_thread(
                scoring.teach, read.vectors, read.owners, matrix, logit_scale=info.logit_scale
            )

        return await self._lessons.get((_model_key(info), question.name, read.version, *said), teach)


def _model_key(info: ModelInfo) -> Hashable:
    """Models of one key give the very same vectors, and are spoken of by the same name."""
    return info.name, vectors_key(info), info.precision, info.encoder
