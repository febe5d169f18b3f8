"""Pictures with two known things in them, for measuring many-of-many: two pictures of a set side by side."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator

from PIL import Image

from models.evaluation.dataset import Dataset, LabelledPicture, load

SIDE = 160  # px of each half


def mosaics(dataset: Dataset, count: int, *, seed: int = 0) -> Iterator[tuple[bytes, tuple[str, str]]]:
    """`count` JPEG files, each of two pictures of different labels, and these labels."""
    rng = random.Random(seed)
    files: dict[LabelledPicture, bytes] = {loaded.item: loaded.data for loaded in load(dataset)}
    items = list(files)
    for _ in range(count):
        first = rng.choice(items)
        second = rng.choice([item for item in items if item.label != first.label])
        sheet = Image.new("RGB", (2 * SIDE, SIDE))
        for i, item in enumerate((first, second)):
            with Image.open(io.BytesIO(files[item])) as picture:
                sheet.paste(picture.convert("RGB").resize((SIDE, SIDE)), (i * SIDE, 0))
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=90)
        yield buffer.getvalue(), (first.label, second.label)
