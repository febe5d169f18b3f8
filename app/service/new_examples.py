"""Pictures, or vectors of them, to examples of labels that can be kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from app.http.errors import detail_of
from app.requests.uploads import UploadedImage
from app.requests.vectors import vectors_of
from app.service.embedded_labels import vectors_key
from app.service.embedding import Outcome, embed_all
from app.storage.examples import Coming, id_of

if TYPE_CHECKING:
    from models.classifier import Classifier

Lines: TypeAlias = list[dict[str, Any]]
"""What an answer says of each picture: its name, and the error of one that is no example."""


async def of_images(
    classifiers: Sequence[Classifier],
    images: Sequence[UploadedImage],
    labels: Sequence[str],  # of each picture
    deadline: float,
) -> tuple[list[Coming], Lines]:
    """As every one of the classifiers sees them; the error of a single picture is raised."""
    outcomes = [await embed_all(classifier, images, deadline) for classifier in classifiers]
    return await asyncio.to_thread(_sorted, classifiers, images, labels, outcomes)


async def of_vectors(
    classifier: Classifier, embeddings: Sequence[Any], labels: Sequence[str]
) -> tuple[list[Coming], Lines]:
    """Vectors that the classifier gave: examples for it alone."""

    def coming() -> list[Coming]:
        key = vectors_key(classifier.info)
        vectors = vectors_of(embeddings, classifier.info.embed_dim)
        # What stands for the picture, which nobody sent: its vector, with whose it is.
        return [
            Coming(label, id_of(label, key.encode() + vector.tobytes()), {key: vector})
            for label, vector in zip(labels, vectors, strict=True)
        ]

    return await asyncio.to_thread(coming), [{"name": None} for _ in labels]


def _sorted(
    classifiers: Sequence[Classifier],
    images: Sequence[UploadedImage],
    labels: Sequence[str],
    outcomes: Sequence[Sequence[Outcome]],
) -> tuple[list[Coming], Lines]:
    """Readable pictures, and of each a line, with its error if any."""
    coming: list[Coming] = []
    lines: Lines = []
    for image, label, seen in zip(images, labels, zip(*outcomes, strict=True), strict=True):
        errors = [found for found in (image.data, *seen) if isinstance(found, Exception)]
        if errors or not isinstance(image.data, bytes):
            lines.append({"name": image.name, "error": detail_of(errors[0])})
            continue
        vectors = {vectors_key(c.info): o.vector for c, o in zip(classifiers, seen, strict=True)}
        coming.append(Coming(label, id_of(label, image.data), vectors))
        lines.append({"name": image.name})
    return coming, lines
