"""Pictures to embeddings, several at a time, for every route that takes pictures.

Knows no HTTP: what comes out is a vector or an error for each picture, and how long it took.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.requests.body import offload_many
from app.requests.pictures import Picture
from app.requests.text_or_image_items import Item
from models.errors import EncoderFailed, ImageRejected

if TYPE_CHECKING:
    from models.batching.image_embeddings import EmbeddedImage
    from models.classifier import Classifier

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


async def embed_items(
    classifier: Classifier, items: Sequence[Item], deadline: float
) -> list[NDArray[np.float32]]:
    """One unit vector (D,) an item, in the order of the items."""
    texts = [item.value for item in items if isinstance(item.value, str)]
    if not texts:
        return [picture.vector for picture in await embed_pictures(classifier, items, deadline)]
    future = await offload_many(len(texts), classifier.embed_texts, texts, deadline=deadline)
    try:
        pictures = iter(await embed_pictures(classifier, items, deadline))
        rows = await asyncio.wrap_future(future)  # (N, D)
    finally:
        future.cancel()
    row = iter(rows)
    return [next(row) if item.is_text else next(pictures).vector for item in items]


async def embed_pictures(
    classifier: Classifier, items: Sequence[Item], deadline: float
) -> list[EmbeddedImage]:
    """The embeddings of those items that are pictures, or the first one's error under its own field."""
    sent = [item for item in items if not item.is_text]
    pictures = [Picture(None, item.value) for item in sent if isinstance(item.value, bytes)]
    found: list[EmbeddedImage] = []
    for item, outcome in zip(
        sent, [o async for o in embed_each(classifier, pictures, deadline)], strict=True
    ):
        if isinstance(outcome, ImageRejected):
            raise ImageRejected(outcome.reason, outcome.message, field=item.field)
        if isinstance(outcome, Exception):
            raise outcome
        found.append(outcome)
    return found
