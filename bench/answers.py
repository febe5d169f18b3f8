"""How much better the better answers are: rejection, few-shot, calibration and many-of-many, measured.

    python -m bench.answers          # after new weights: everything that depends on them is written anew

For the embedded model, bench/results/answers.json, the tables of docs/better-answers.md and
models/embedded_constants.py are written; figures of another (`--model`) are only printed. Constants are
chosen on one set (caltech101); rejection, calibration and many-of-many are reported on the others, too.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import models
from bench import answers_written, pointing, tip_adapter
from bench.figures import auroc, rounded, spread
from bench.mosaics import mosaics
from bench.rejections import DRAWS, rejected
from models.classifier import Classifier
from models.evaluation.dataset import Dataset, find
from models.evaluation.embed_dataset import embed
from models.evaluation.evaluate import truth_of
from models.pretrained.catalogue import EMBEDDED
from models.scoring import calibration, few_shot, multi_label, out_of_set
from models.scoring.ranking import softmax

CHOSEN_ON = "caltech101"
REPORTED_ON = ("imagenette", "imagenet-1k-one-each")
RESULTS = Path("bench/results/answers.json")
FEW_LABELS = 5
SHOTS = (0, 1, 2, 4, 8)
MOSAICS = 400
ASKED = 10  # labels asked for each mosaic: the two that are there, and eight others

Floats = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One data set as the model sees it."""

    data: Dataset
    labels: tuple[str, ...]
    vectors: Floats  # (M, D)
    truth: NDArray[np.intp]  # (M,)
    matrix: Floats  # (N, D)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("../shared/eval"))
    parser.add_argument("--model", default=EMBEDDED)
    asked = parser.parse_args()
    classifier = models.load(asked.model)
    result = measured(classifier, asked.folder)
    if asked.model == EMBEDDED:
        pointing.draw(classifier)
    classifier.close()
    text = json.dumps(result, indent=1) + "\n"
    print(text, end="")
    if asked.model == EMBEDDED:
        RESULTS.write_text(text, encoding="utf-8")
        page = answers_written.GUIDE.read_text(encoding="utf-8")
        answers_written.GUIDE.write_text(answers_written.guide(page, result), encoding="utf-8")
        answers_written.FITTED.write_text(answers_written.fitted(result), encoding="utf-8")


def measured(classifier: Classifier, folder: Path) -> dict[str, Any]:
    """Every figure, by the part that it is of."""
    sets = {name: see(classifier, folder / f"{name}.tar.gz") for name in (CHOSEN_ON, *REPORTED_ON)}
    bank = classifier.label_matrix(out_of_set.nouns()).result().vectors
    scale = classifier.info.logit_scale

    def refused(known: int | None) -> dict[str, Any]:
        return {n: rejected(s.vectors, s.truth, s.matrix, bank, scale, known=known) for n, s in sets.items()}

    return {
        "model": classifier.info.name,
        "fingerprint": classifier.info.fingerprint,
        "logit_scale": scale,
        "calibration": calibrated(sets, scale),
        "rejection": refused(None),
        "rejection_few_labels": refused(FEW_LABELS),
        "few_shot": {name: few(sets[name], scale) for name in (CHOSEN_ON, REPORTED_ON[0])},
        "many": many(classifier, {name: sets[name] for name in (CHOSEN_ON, REPORTED_ON[0])}, bank),
        "explain": pointing.measured(classifier, sets[CHOSEN_ON].data) if classifier.grid else None,
    }


def see(classifier: Classifier, source: Path) -> Seen:
    data = find(source)
    embedded = embed(classifier, data)
    matrix = classifier.label_matrix(data.classes).result()
    truth = truth_of(embedded.items, matrix.labels)
    return Seen(data, matrix.labels, embedded.vectors, truth, matrix.vectors)


def calibrated(sets: dict[str, Seen], scale: float) -> dict[str, Any]:
    """ECE without a temperature, with the one of CHOSEN_ON, and with the set's own (cross-fitted)."""
    logits = {name: scale * seen.vectors @ seen.matrix.T for name, seen in sets.items()}
    carried = calibration.temperature(logits[CHOSEN_ON], sets[CHOSEN_ON].truth)
    found: dict[str, Any] = {"temperature": round(carried, 3), "fitted_on": CHOSEN_ON}
    for name, seen in sets.items():
        own = calibration.fit(logits[name], seen.truth)
        confidence, correct = calibration.outcomes(softmax(logits[name] / carried), seen.truth)
        found[name] = rounded(
            top1=correct.mean(),
            ece_before=own.ece_before,
            ece_with_carried=calibration.ece(confidence, correct),
            ece_with_own=own.ece_after,
            own_temperature=own.temperature,
        )
    return found


def few(seen: Seen, scale: float) -> dict[str, Any]:
    """Top-1 by the examples a label; the pictures that are measured are never among the examples.

    Beside what Candid does: Tip-Adapter, which it did before. "4 of every other" is with 4 examples of every
    other label and none of the rest.
    """
    found = {str(shots): few_of(seen, scale, shots) for shots in SHOTS}
    return {**found, "4 of every other": few_of(seen, scale, 4, every=2)}


def few_of(seen: Seen, scale: float, shots: int, *, every: int = 1) -> dict[str, Any]:
    rows = []
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        order = [rng.permutation(np.flatnonzero(seen.truth == i)) for i in range(len(seen.labels))]
        pool = np.concatenate([o[:shots] for o in order[::every]]).astype(np.intp)
        rest = np.concatenate([o[max(SHOTS) :] for o in order])
        vectors, truth = seen.vectors[rest], seen.truth[rest]
        words = scale * (vectors @ seen.matrix.T).astype(np.float64)
        scores = {"candid": words}
        if shots:
            given = seen.vectors[pool], seen.truth[pool], seen.matrix
            taught = few_shot.teach(*given, logit_scale=scale)
            scores["candid"] = (words + few_shot.added(taught, vectors)) / taught.temperature
            old = tip_adapter.choose(*given, logit_scale=scale)
            scores["tip_adapter"] = words + tip_adapter.logits(
                vectors, *given[:2], len(seen.labels), alpha=old.alpha, beta=old.beta
            )
        row = {}
        for name, logits in scores.items():
            confidence, correct = calibration.outcomes(softmax(logits), truth)
            row |= {f"top1_{name}": correct.mean(), f"ece_{name}": calibration.ece(confidence, correct)}
        rows.append(row)
    return spread(rows)


def many(classifier: Classifier, sets: dict[str, Seen], bank: Floats) -> dict[str, Any]:
    """Two pictures side by side: is each label there? The curve is fitted on CHOSEN_ON."""
    z: dict[str, Floats] = {}
    found: dict[str, Any] = {}
    for name, seen in sets.items():
        made = list(mosaics(seen.data, MOSAICS))
        vectors = np.stack([f.result().vector for f in [classifier.embed_image(data) for data, _ in made]])
        asked = np.stack([asked_of(pair, seen.labels, seed) for seed, (_, pair) in enumerate(made)])
        without = classifier.label_matrix(seen.labels, templates=("a photo without a {}.",)).result().vectors
        similarities = np.take_along_axis(vectors @ seen.matrix.T, asked, axis=1)  # (P, ASKED)
        absent = np.take_along_axis(vectors @ without.T, asked, axis=1)
        z[name] = multi_label.normalised(similarities, vectors @ bank.T)
        options = {
            "cosine": similarities,
            "against_a_prompt_without": similarities - absent,
            "against_the_bank": z[name],
        }
        found[name] = rounded(
            **{f"auroc_{n}": auroc(v[:, :2].ravel(), v[:, 2:].ravel()) for n, v in options.items()}
        )
    there = np.tile(np.arange(ASKED) < 2, (MOSAICS, 1))
    curve = multi_label.fit(z[CHOSEN_ON].ravel(), there.ravel())
    for name, values in z.items():
        p = 1 / (1 + np.exp(-(curve.slope * values + curve.offset)))
        said = p >= multi_label.THRESHOLD
        found[name] |= rounded(
            ece=calibration.ece(p.ravel(), there.ravel()),
            precision=there[said].mean() if said.any() else 0.0,
            recall=said[there].mean(),
        )
    return {"slope": round(curve.slope, 3), "offset": round(curve.offset, 3), "fitted_on": CHOSEN_ON, **found}


def asked_of(pair: tuple[str, str], labels: tuple[str, ...], seed: int) -> NDArray[np.intp]:
    """Indices (ASKED,) of the two labels that are there and of others."""
    there = [labels.index(label) for label in pair]
    others = np.setdiff1d(np.arange(len(labels)), there)
    return np.concatenate([there, np.random.default_rng(seed).permutation(others)[: ASKED - 2]])


if __name__ == "__main__":
    main()
