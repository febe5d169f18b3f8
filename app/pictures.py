"""Pictures to embeddings, several at a time, for every route that takes pictures.

Knows no HTTP: what comes out is a vector or an error for each picture, and how long it took.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from app.inputs import Picture
from models.errors import EncoderFailed, ImageRejected

if TYPE_CHECKING:
    from models.classifier import Classifier
    from models.image_embeddings import EmbeddedImage

AHEAD: Final = 64
"""Pictures of one request that are under way at once: two full batches, so that the encoder never waits for a
large request and a large request never fills the queue."""

Outcome: TypeAlias = "EmbeddedImage | ImageRejected | EncoderFailed"


async def embed_all(classifier: Classifier, pictures: Sequence[Picture], deadline: float) -> list[Outcome]:
    """Every picture's embedding or its own error. A single picture's error is the request's: it is raised."""
    outcomes = [outcome async for outcome in embed_each(classifier, pictures, deadline)]
    if len(outcomes) == 1 and isinstance(outcomes[0], Exception):
        raise outcomes[0]
    return outcomes


async def embed_each(
    classifier: Classifier, pictures: Sequence[Picture], deadline: float
) -> AsyncIterator[Outcome]:
    """Outcomes in the order of the pictures, each as soon as it and those before it are there."""
    room = asyncio.Semaphore(AHEAD)
    tasks = [
        asyncio.create_task(_embed(classifier, picture, f"images[{index}]", deadline, room))
        for index, picture in enumerate(pictures)
    ]
    try:
        for task in tasks:
            yield await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # so that no error goes unseen


async def embed_ready(
    classifier: Classifier, pictures: Sequence[Picture], deadline: float
) -> AsyncGenerator[tuple[int, Outcome], None]:
    """Outcomes in the order in which they are ready, each with its picture's index."""
    room = asyncio.Semaphore(AHEAD)

    async def numbered(index: int, picture: Picture) -> tuple[int, Outcome]:
        return index, await _embed(classifier, picture, f"images[{index}]", deadline, room)

    tasks = [asyncio.create_task(numbered(index, picture)) for index, picture in enumerate(pictures)]
    try:
        for done in asyncio.as_completed(tasks):
            yield await done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _embed(
    classifier: Classifier, picture: Picture, field: str, deadline: float, room: asyncio.Semaphore
) -> Outcome:
    # Errors that are one picture's own are its outcome; any other (no time, no room) ends the whole request.
    try:
        if isinstance(picture.data, ImageRejected):
            raise picture.data
        async with room:
            return await asyncio.wrap_future(classifier.embed_image(picture.data, deadline=deadline))
    except ImageRejected as error:
        return ImageRejected(error.reason, error.message, field=field)
    except EncoderFailed as error:
        return EncoderFailed(error.message, field=field)
