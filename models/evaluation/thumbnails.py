"""Small JPEGs of a data set's pictures, for a report. Decodes as carefully as serving."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from models.errors import ImageRejected
from models.evaluation import dataset as pictures
from models.evaluation.dataset import Dataset, LabelledPicture
from models.images import decode
from models.images.decode import ImageLimits

SIDE: Final = 192  # px, the longer side: a mistake is recognisable, a report of 100 stays under 1 MB
QUALITY: Final = 80  # of libjpeg's 100


def thumbnails(
    dataset: Dataset, items: Iterable[LabelledPicture], *, limits: ImageLimits | None = None
) -> dict[str, bytes]:
    """JPEG bytes by the name of the item, in one pass over the data set; what cannot be read is left out."""
    wanted = set(items)
    some = replace(dataset, items=tuple(item for item in dataset.items if item in wanted))
    made = {}
    for loaded in pictures.load(some):
        try:
            picture = decode.decode(loaded.data, limits or ImageLimits(), at_least=SIDE).rgb
        except ImageRejected:
            continue
        picture.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=QUALITY)
        made[loaded.item.name] = buffer.getvalue()
    return made
