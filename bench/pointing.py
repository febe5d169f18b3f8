"""The pointing game: does the place of highest relevance lie on the thing that was asked for?

    python -m bench.pointing         # the embedded model's figures, and docs/images/explain.jpg anew

A hit: the maximum of the relevance, drawn as `explain=overlay` draws it, lies in a box of the thing. On pairs
of pictures side by side, each asked for by the name of its class, and on scikit-image's photographs, whose
boxes were marked by hand. Part of `python -m bench.answers`.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

import models
from bench.figures import rounded
from bench.mosaics import SIDE, mosaics
from models.batching.image_embeddings import EmbeddedImage
from models.classifier import Classifier
from models.evaluation.dataset import Dataset, find

PAIRS: Final = 500
FINE: Final = 16
"""Times as many points as places: where the maximum is sought."""
PICTURE: Final = Path("docs/images/explain.jpg")
SHOWN: Final = (("coffee", "coffee cup"), ("cat", "cat"), ("rocket", "rocket"))

Box = tuple[float, float, float, float]  # left, top, right, bottom, px
Floats = NDArray[Any]

BOXES: Final[dict[str, dict[str, list[Box]]]] = {
    "astronaut": {
        "face": [(152, 15, 300, 190)],
        "helmet": [(278, 342, 512, 512)],
        "space shuttle": [(335, 0, 470, 290)],
        "flag": [(0, 0, 115, 500)],
    },
    "camera": {
        "man": [(0, 60, 300, 512)],
        "camera": [(254, 135, 331, 206)],
        "tripod": [(232, 198, 402, 512)],
    },
    "cat": {
        "cat": [(9, 0, 391, 300)],
        "eye": [(137, 84, 210, 151), (300, 109, 351, 165)],
        "nose": [(226, 220, 296, 272)],
    },
    "coffee": {
        "coffee cup": [(170, 10, 425, 310)],
        "spoon": [(320, 65, 430, 330)],
    },
    "rocket": {
        "rocket": [(307, 130, 338, 411)],
        "lattice tower": [(25, 0, 87, 427), (176, 130, 205, 420), (440, 126, 466, 420), (556, 0, 620, 427)],
    },
    "stereo_motorcycle": {
        "motorcycle": [(95, 61, 688, 452)],
        "wheel": [(126, 233, 269, 403), (510, 257, 688, 453)],
        "headlight": [(506, 120, 561, 186)],
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("../shared/eval"))
    classifier = models.load("embedded")
    print(measured(classifier, find(parser.parse_args().folder / "caltech101.tar.gz")))
    draw(classifier)
    classifier.close()


def measured(classifier: Classifier, pairs_of: Dataset) -> dict[str, Any]:
    """Shares of hits: each label by itself, less the mean of its picture's labels, and by chance."""
    found: dict[str, Any] = {}
    for name, games in (("pairs", pairs(classifier, pairs_of)), ("photographs", photographs(classifier))):
        count = len(games)
        alone, against, chance = (np.array(column, dtype=float) for column in zip(*games, strict=True))
        found[name] = {"asked": count} | rounded(
            hits=alone.mean(), hits_against_others=against.mean(), chance=chance.mean()
        )
    return found


Game = tuple[bool, bool, float]  # a hit by itself, a hit against the others, the chance of one


def pairs(classifier: Classifier, dataset: Dataset) -> list[Game]:
    """Each on a white square, so that the model is shown all of it."""
    games: list[Game] = []
    halves = [[(0.0, 0.0, float(SIDE), 2.0 * SIDE)], [(float(SIDE), 0.0, 2.0 * SIDE, 2.0 * SIDE)]]
    for data, labels in mosaics(dataset, PAIRS):
        square = Image.new("RGB", (2 * SIDE, 2 * SIDE), "white")
        square.paste(Image.open(io.BytesIO(data)), (0, SIDE // 2))
        games += played(classifier, square, dict(zip(labels, halves, strict=True)))
    return games


def photographs(classifier: Classifier) -> list[Game]:
    return [game for name, things in BOXES.items() for game in played(classifier, photograph(name), things)]


def photograph(name: str) -> Image.Image:
    pixels = getattr(skimage.data, name)()
    return Image.fromarray(pixels[0] if isinstance(pixels, tuple) else pixels).convert("RGB")


def played(classifier: Classifier, picture: Image.Image, things: dict[str, list[Box]]) -> list[Game]:
    """One game a thing, asked for by its name."""
    seen, grids = explained(classifier, picture, list(things))
    assert seen.places is not None
    games = []
    for grid, against, boxes in zip(grids, grids - grids.mean(axis=0), things.values(), strict=True):
        hits = [inside(pointed(each, seen.places.box), boxes) for each in (grid, against)]
        games.append((*hits, chance(boxes, seen.places.box)))
    return games


def explained(
    classifier: Classifier, picture: Image.Image, labels: Sequence[str], *, overlay: bool = False
) -> tuple[EmbeddedImage, Floats]:
    """The picture with its places, and a grid of relevances a label (N, rows, columns)."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    seen = classifier.embed_places(buffer.getvalue(), overlay=overlay).result()
    assert seen.places is not None and classifier.grid is not None
    relevance = classifier.label_matrix(labels).result().vectors @ seen.places.vectors.T
    return seen, relevance.reshape(len(labels), classifier.grid.rows, classifier.grid.columns)


def pointed(grid: Floats, box: Box) -> tuple[float, float]:
    """Where its maximum is, in pixels of the picture."""
    rows, columns = grid.shape
    fine = Image.fromarray(grid.astype(np.float32)).resize(
        (columns * FINE, rows * FINE), Image.Resampling.BICUBIC
    )
    y, x = np.unravel_index(np.asarray(fine).argmax(), (rows * FINE, columns * FINE))
    left, top, right, bottom = box
    across, down = (x + 0.5) / (columns * FINE), (y + 0.5) / (rows * FINE)
    return left + float(across) * (right - left), top + float(down) * (bottom - top)


def inside(point: tuple[float, float], boxes: list[Box]) -> bool:
    x, y = point
    return any(left <= x < right and top <= y < bottom for left, top, right, bottom in boxes)


def chance(boxes: list[Box], seen: Box) -> float:
    """Share of the part that the model saw; boxes of one thing do not overlap."""
    area = 0.0
    for box in boxes:
        across = max(0.0, min(box[2], seen[2]) - max(box[0], seen[0]))
        area += across * max(0.0, min(box[3], seen[3]) - max(box[1], seen[1]))
    return area / ((seen[2] - seen[0]) * (seen[3] - seen[1]))


def draw(classifier: Classifier) -> None:
    """The picture of the guide: three photographs with the relevance of what they show."""
    drawn = []
    for name, label in SHOWN:
        seen, (grid,) = explained(classifier, photograph(name), [label], overlay=True)
        overlay = Image.open(io.BytesIO(seen.overlay(grid, (float(grid.min()), float(grid.max())))))
        drawn.append(overlay.resize((round(overlay.width * 220 / overlay.height), 220)))
    sheet = Image.new("RGB", (sum(each.width for each in drawn) + 10 * (len(drawn) - 1), 220), "white")
    left = 0
    for each in drawn:
        sheet.paste(each, (left, 0))
        left += each.width + 10
    sheet.save(PICTURE, quality=82)


if __name__ == "__main__":
    main()
