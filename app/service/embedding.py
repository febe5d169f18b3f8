"""Uploaded pictures and texts to embeddings, several at a time: a vector or an error for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.requests.body import offload_many
from app.requests.classify import Explaining
from app.requests.uploads import Upload, UploadedImage, UploadedText
from app.tracing.steps import note, traced
from models.errors import EncoderFailed, ImageRejected

if TYPE_CHECKING:
    from models.batching.image_embeddings import EmbeddedImage
    from models.classifier import Classifier

AHEAD: Final = 64
"""Pictures of one request that are under way at once: two full batches, so that the encoder never waits for a
large request and a large request never fills the queue."""

Outcome: TypeAlias = "EmbeddedImage | ImageRejected | EncoderFailed"


async def embed_each(
    classifier: Classifier,
    images: Sequence[UploadedImage],
    deadline: float,
    explaining: Explaining | None = None,
) -> AsyncGenerator[tuple[int, Outcome], None]:
    """Each picture's index with its embedding or its own error, in the order in which they are ready.

    To be explained, they come with their places. Any other error (no time, no room) is the request's.
    """
    room = asyncio.Semaphore(AHEAD)
    embedded = classifier.embed_image
    if explaining is not None:
        embedded = partial(classifier.embed_places, overlay=explaining.overlay)

    async def embed(index: int, image: UploadedImage) -> tuple[int, Outcome]:
        try:
            if isinstance(image.data, ImageRejected):
                raise image.data
            async with room:
                done = await asyncio.wrap_future(embedded(image.data, deadline=deadline))
            _note(done)
            return index, done
        except ImageRejected as error:
            return index, ImageRejected(error.reason, error.message, field=image.field)
        except EncoderFailed as error:
            return index, EncoderFailed(error.message, field=image.field)

    tasks = [asyncio.create_task(embed(index, image)) for index, image in enumerate(images)]
    try:
        for done in asyncio.as_completed(tasks):
            yield await done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # so that no error goes unseen


def _note(image: EmbeddedImage) -> None:
    """For who traces the request. The three follow one another."""
    if traced.get() is None:
        return
    queued = image.ended - (image.queue_ms + image.encode_ms) / 1e3
    began_encoding = image.ended - image.encode_ms / 1e3
    note("decode", queued - image.decode_ms / 1e3, queued)
    if image.batch:
        note("queue", queued, began_encoding)
        note("encode", began_encoding, image.ended, batch=image.batch)


async def embed_all(
    classifier: Classifier, images: Sequence[UploadedImage], deadline: float
) -> list[Outcome]:
    """The same in the order of the pictures. A single picture's error is the request's: it is raised."""
    found: dict[int, Outcome] = {}
    async with aclosing(embed_each(classifier, images, deadline)) as outcomes:
        async for index, outcome in outcomes:
            if isinstance(outcome, Exception) and len(images) == 1:
                raise outcome
            found[index] = outcome
    return [found[index] for index in range(len(images))]


async def embed_images(
    classifier: Classifier, images: Sequence[UploadedImage], deadline: float
) -> list[EmbeddedImage]:
    """The same where the answer has no place for one picture's own error: the first one is raised."""
    found: list[EmbeddedImage] = []
    for outcome in await embed_all(classifier, images, deadline):
        if isinstance(outcome, Exception):
            raise outcome
        found.append(outcome)
    return found


async def embed_uploads(
    classifier: Classifier, uploads: Sequence[Upload], deadline: float
) -> list[NDArray[np.float32]]:
    """One unit vector (D,) each, in their order."""
    images = [upload for upload in uploads if isinstance(upload, UploadedImage)]
    texts = [upload.text for upload in uploads if isinstance(upload, UploadedText)]
    if not texts:
        return [image.vector for image in await embed_images(classifier, images, deadline)]
    future = await offload_many(len(texts), classifier.embed_texts, texts, deadline=deadline)
    try:
        pictures = iter(await embed_images(classifier, images, deadline))
        rows = await asyncio.wrap_future(future)  # (N, D)
    finally:
        future.cancel()
    row = iter(rows)
    return [next(row) if isinstance(upload, UploadedText) else next(pictures).vector for upload in uploads]
