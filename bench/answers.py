"""How much better the better answers are: rejection, few-shot, calibration and many-of-many, measured.

    python -m bench.answers          # after new weights: everything that depends on them is written anew

For the embedded model, bench/results/answers.json, the tables of docs/better-answers.md and
models/embedded_constants.py are written; figures of another (`--model`) are only printed. Constants are
chosen on one set (caltech101); rejection, calibration and many-of-many are reported on the others, too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import models
from bench import answers_written, many_of_many, pointing, tip_adapter
from bench.figures import rounded, spread
from bench.rejections import DRAWS, rejected
from bench.seen import Seen, see
from models.classifier import Classifier
from models.pretrained.catalogue import EMBEDDED
from models.scoring import calibration, few_shot, out_of_set
from models.scoring.ranking import softmax

CHOSEN_ON = "caltech101"
REPORTED_ON = ("imagenette", "imagenet-1k-one-each")
RESULTS = Path("bench/results/answers.json")
FEW_LABELS = 5
SHOTS = (0, 1, 2, 4, 8)

Floats = NDArray[Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("../shared/eval"))
    parser.add_argument("--model", default=EMBEDDED)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as exports:  # on OpenVINO, as it is served
        classifier = models.load(asked.model, models.LoadOptions(encoder_dir=Path(exports)))
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

    pictures = (CHOSEN_ON, REPORTED_ON[0])
    tower = many_of_many.tower(classifier, {name: sets[name] for name in pictures})
    found = many_of_many.many(classifier, tower, CHOSEN_ON)

    def refused(known: int | None) -> dict[str, Any]:
        return {n: rejected(s.vectors, s.truth, s.matrix, bank, scale, known=known) for n, s in sets.items()}

    return {
        "model": classifier.info.name,
        "fingerprint": classifier.info.fingerprint,
        "logit_scale": scale,
        "calibration": calibrated(sets, scale),
        "rejection": refused(None),
        "rejection_few_labels": refused(FEW_LABELS),
        "few_shot": {name: few(sets[name], scale) for name in pictures},
        "many": found,
        "carried": many_of_many.carried(tower, found, folder),
        "explain": pointing.measured(classifier, sets[CHOSEN_ON].data) if classifier.grid else None,
    }


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


if __name__ == "__main__":
    main()
