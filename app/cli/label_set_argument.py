"""What `--label-set` names on the command line: a stored label set, or a JSON file as PUT takes it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.options import failed
from app.settings import Settings
from models.errors import CandidError

if TYPE_CHECKING:
    from app.requests.question import Question
    from app.schemas.label_sets import LabelSetBody
    from app.service.scorer import LabelSetScorer
    from models.classifier import Classifier
    from models.labels.label_set import LabelSet


def is_name(label_set: str) -> bool:
    """Whether a stored set is meant, not a file."""
    return not Path(label_set).is_file() and re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", label_set) is not None


def label_set_body(path: Path) -> LabelSetBody:
    """A file as it stands; ends the command when it cannot be read."""
    from app.requests.body import parse_json
    from app.schemas.label_sets import LabelSetBody
    from models.evaluation.picture_files import read_file

    try:
        return parse_json(read_file(path), LabelSetBody)
    except OSError as error:
        raise failed(f"{path}: {error.strerror}") from error
    except CandidError as error:
        raise failed(f"{path}: {error.message}") from error


def read_label_set(path: Path) -> LabelSet:
    """The label set in a file; ends the command when it is none."""
    from app.schemas.label_sets import label_set_of
    from models.labels.label_set import check

    try:
        label_set = label_set_of(label_set_body(path))
        check(label_set)
    except CandidError as error:
        raise failed(f"{path}: {error.message}") from error
    return label_set


def version_of(name: str, settings: Settings) -> int:
    """The stored set's version now. Raises NotFound."""
    from app.storage import label_sets
    from app.storage.database import Database

    db = Database(settings.database_url)
    try:
        return label_sets.get(db, name).version
    finally:
        db.close()


def prepare(question: Question, classifier: Classifier, settings: Settings) -> LabelSetScorer:
    """All that the model needs to answer, of a stored set also its examples and temperature."""
    from app.service.label_set_scorers import LabelSetScorers
    from app.storage.database import Database

    db = Database(settings.database_url)
    try:
        return asyncio.run(LabelSetScorers(db).scorer_for(classifier, question))
    finally:
        db.close()
