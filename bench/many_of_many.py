"""Many of many measured: two pictures side by side, and for each of ten labels, is it there?

The curve is fitted on the embedded model and carried to other towers, beside one that `candid calibrate`
would find for each of these with labelled pictures. So is rejection's threshold.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import models
from bench import towers
from bench.figures import auroc, rounded
from bench.mosaics import mosaics
from bench.rejections import rejected
from bench.seen import Seen, see
from models.classifier import Classifier
from models.labels.label_matrix import LabelMatrix
from models.labels.label_set import LabelSet
from models.scoring import calibration, fitting, multi_label, out_of_set
from models.scoring.multi_label import Curve
from models.scoring.scorer import Scorer, above_nouns, scorer

MOSAICS = 400
ASKED = 10  # labels asked for each mosaic: the two that are there, and eight others
THERE = np.tile(np.arange(ASKED) < 2, (MOSAICS, 1))
LABELLED = 200  # pictures for a curve of one's own

Floats = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Mosaics of a set as a tower sees them."""

    vectors: Floats  # (MOSAICS, D)
    asked: NDArray[np.intp]  # (MOSAICS, ASKED), the first two are there


@dataclass(frozen=True, slots=True)
class Tower:
    """A model's geometry on some sets."""

    scale: float
    bank: Floats  # (K, D)
    sets: dict[str, tuple[Seen, Pairs]]


def tower(classifier: Classifier, sets: dict[str, Seen]) -> Tower:
    bank = classifier.label_matrix(out_of_set.nouns()).result().vectors
    return Tower(
        classifier.info.logit_scale,
        bank,
        {name: (seen, _pairs(classifier, seen)) for name, seen in sets.items()},
    )


def _pairs(classifier: Classifier, seen: Seen) -> Pairs:
    made = list(mosaics(seen.data, MOSAICS))
    vectors = np.stack([f.result().vector for f in [classifier.embed_image(data) for data, _ in made]])
    asked = np.stack([_asked_of(pair, seen.labels, seed) for seed, (_, pair) in enumerate(made)])
    return Pairs(vectors, asked)


def _asked_of(pair: tuple[str, str], labels: tuple[str, ...], seed: int) -> NDArray[np.intp]:
    """Indices (ASKED,) of the two labels that are there and of others."""
    there = [labels.index(label) for label in pair]
    others = np.setdiff1d(np.arange(len(labels)), there)
    return np.concatenate([there, np.random.default_rng(seed).permutation(others)[: ASKED - 2]])


def many(classifier: Classifier, seen_by: Tower, fitted_on: str) -> dict[str, Any]:
    """The embedded model's curve, fitted on one set, and how good it is on all."""
    found: dict[str, Any] = {}
    z: dict[str, Floats] = {}
    for name, (seen, pairs) in seen_by.sets.items():
        without = classifier.label_matrix(seen.labels, templates=("a photo without a {}.",)).result().vectors
        similarities = _of_asked(pairs.vectors @ seen.matrix.T, pairs)
        z[name] = _z(seen_by, name)
        options = {
            "cosine": similarities,
            "against_a_prompt_without": similarities - _of_asked(pairs.vectors @ without.T, pairs),
            "against_the_bank": z[name],
        }
        found[name] = rounded(
            **{f"auroc_{n}": auroc(v[:, :2].ravel(), v[:, 2:].ravel()) for n, v in options.items()}
        )
    curve = multi_label.fit(z[fitted_on].ravel(), THERE.ravel())
    for name, values in z.items():
        p = curve(values)
        said = p >= multi_label.THRESHOLD
        found[name] |= rounded(
            ece=_off(curve, values),
            precision=THERE[said].mean() if said.any() else 0.0,
            recall=said[THERE].mean(),
        )
    return {"slope": round(curve.slope, 3), "offset": round(curve.offset, 3), "fitted_on": fitted_on, **found}


def carried(own: Tower, found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """By tower and set: what the embedded model's curve and rejection's threshold are worth there."""
    default = Curve(found["slope"], found["offset"])
    seen, pairs = own.sets[found["fitted_on"]]
    cosines = _of_asked(pairs.vectors @ seen.matrix.T, pairs)
    of_cosines = multi_label.fit(cosines.ravel(), THERE.ravel())
    others = {"the embedded model": own, **{n: _moved(own, *by) for n, by in towers.OFFSETS.items()}}
    with tempfile.TemporaryDirectory() as place:
        for name, weights in towers.earlier(Path(place)):
            classifier = models.load(str(weights), models.LoadOptions(encoder_dir=Path(place)))
            sets = {each: see(classifier, folder / f"{each}.tar.gz") for each in own.sets}
            others[name] = tower(classifier, sets)
            classifier.close()
    return {
        name: {each: _figures(other, each, default, of_cosines) for each in other.sets}
        for name, other in others.items()
    }


def _moved(own: Tower, pictures: float, texts: float) -> Tower:
    """The tower with its vectors moved; its logit scale the likeliest on the first set."""
    sets = {}
    for name, (seen, pairs) in own.sets.items():
        vectors, matrix = towers.moved(seen.vectors, pictures, 0), towers.moved(seen.matrix, texts, 1)
        sets[name] = (
            Seen(seen.data, seen.labels, vectors, seen.truth, matrix),
            Pairs(towers.moved(pairs.vectors, pictures, 0), pairs.asked),
        )
    first, _ = next(iter(sets.values()))
    scale = 1 / calibration.temperature(first.vectors @ first.matrix.T, first.truth)
    return Tower(scale, towers.moved(own.bank, texts, 1), sets)


def _figures(of: Tower, name: str, default: Curve, of_cosines: Curve) -> dict[str, float]:
    seen, pairs = of.sets[name]
    made = _scorer(of, name)
    order = np.random.default_rng(0).permutation(len(seen.truth))
    given, rest = order[:LABELLED], order[LABELLED:]
    decided = rejected(seen.vectors, seen.truth, seen.matrix, of.bank, of.scale)["decision"]
    own = fitting.fit(made, seen.vectors[given], seen.truth[given]).curve
    assert own is not None
    cosines, z = _of_asked(pairs.vectors @ seen.matrix.T, pairs), _z(of, name)
    alone, there = _alone(above_nouns(made, seen.vectors[rest]), seen.truth[rest])
    return rounded(
        top1=((seen.vectors @ seen.matrix.T).argmax(axis=1) == seen.truth).mean(),
        map_cosine=_mean_average_precision(cosines, pairs.asked),
        map=_mean_average_precision(z, pairs.asked),
        ece_cosine=_off(of_cosines, cosines),
        ece=_off(default, z),
        ece_own=_off(own.curve, z),
        ece_alone=_off(default, alone, there),
        ece_alone_own=_off(own.curve, alone, there),
        known_kept=decided["known_kept"]["mean"],
        unknown_refused=decided["unknown_refused"]["mean"],
    )


def _alone(z: Floats, truth: NDArray[np.intp]) -> tuple[Floats, NDArray[np.bool_]]:
    """Of single pictures (M, N): their own labels and four others, and which is which, (M, 5)."""
    steps = np.random.default_rng(1).integers(1, z.shape[1], (len(truth), 4))
    asked = np.concatenate([truth[:, None], (truth[:, None] + steps) % z.shape[1]], axis=1)
    return np.take_along_axis(z, asked, axis=1), np.tile(np.arange(5) == 0, (len(truth), 1))


def _z(of: Tower, name: str) -> Floats:
    _, pairs = of.sets[name]
    return _of_asked(above_nouns(_scorer(of, name), pairs.vectors), pairs)


def _scorer(of: Tower, name: str) -> Scorer:
    seen, _ = of.sets[name]
    matrix = LabelMatrix(seen.labels, seen.matrix)
    return scorer(LabelSet((), mode="multi"), matrix, logit_scale=of.scale, bank=of.bank)


def _of_asked(values: Floats, pairs: Pairs) -> Floats:
    """(MOSAICS, N) -> (MOSAICS, ASKED)."""
    return np.take_along_axis(values, pairs.asked, axis=1)


def _off(curve: Curve, values: Floats, there: NDArray[np.bool_] = THERE) -> float:
    return calibration.ece(curve(values).ravel(), there.ravel())


def _mean_average_precision(scores: Floats, asked: NDArray[np.intp]) -> float:
    """Mean over the labels: how well the pictures for which a label was asked are ordered by it."""
    found = []
    for label in np.unique(asked[:, :2]):
        rows, columns = np.nonzero(asked == label)
        there = (columns < 2)[np.argsort(-scores[rows, columns], kind="stable")]
        found.append((np.cumsum(there) / np.arange(1, len(there) + 1))[there].mean())
    return float(np.mean(found))
