"""Which rivals would reject better? Other banks and scores for "none of these", beside the one that ships.

    apt-get install wordnet-base && python -m bench.rivals ../shared/eval

Half of the labels are known, pictures of the other half should be refused (five draws, the embedded model).
Figures go to bench/results/rivals.json, and from there to docs/better-answers.md. CSP is arXiv 2410.08611:
adjectives joined to general nouns. Nothing of this is in the service.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import models
from app.model_loading import load_options
from app.settings import Settings
from bench import machine, quoted
from bench.figures import auroc
from bench.seen import Seen, see
from models.classifier import Classifier
from models.labels.vocabularies import vocabulary
from models.pretrained.catalogue import EMBEDDED
from models.scoring import out_of_set
from models.training.corpus.wordnet import WORDNET, concrete_nouns

RESULTS = Path(__file__).parent / "results" / "rivals.json"
PAGE = Path(__file__).parents[1] / "docs" / "better-answers.md"
SETS = {
    "imagenette": "Imagenette",
    "imagenet-1k-one-each": "ImageNet-1k",
    "caltech101": "Caltech-101",
}
DRAWS = 5
NEAR = 0.7  # cosine to a label from which a noun is left out
SHARP = 1.5  # times the model's logit scale
AT_ONCE = 4000  # texts
GENERAL = ("creature", "item", "object", "place", "plant", "scene", "space", "structure", "thing", "tool")
# Classes of Caltech-101 that show the same thing.
ALIKE = (
    {"cougar body", "cougar face"},
    {"crocodile", "crocodile head"},
    {"faces", "faces easy"},
    {"flamingo", "flamingo head"},
    {"ketch", "schooner"},
    {"lotus", "water lilly"},
)

Floats = NDArray[Any]
Score = Callable[[Floats, Floats, Floats], Floats]
"""Pictures (M, D), known labels (N, D), unknown labels (N, D) -> (M,), high for a known one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("../shared/eval"))
    parser.add_argument("--wordnet", type=Path, default=WORDNET, help="folder with data.noun")
    asked = parser.parse_args()
    classifier = models.load(EMBEDDED, load_options(Settings()))
    try:
        sets = {name: see(classifier, asked.folder / f"{name}.tar.gz") for name in SETS}
        ways = scores(partial(rows_of, classifier), asked.wordnet, classifier.info.logit_scale)
    finally:
        classifier.close()
    found = {name: {key: refused(seen, way) for key, seen in sets.items()} for name, way in ways.items()}
    apart = {name: refused(sets["caltech101"], ways[name], alike=False) for name in (SHIPPED, LARGEST)}
    result = {
        "machine": machine.describe(),
        "command": "python -m bench.rivals ../shared/eval",
        "rows": found,
        "without_alike": apart,
    }
    RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(quoted.filled(PAGE.read_text("utf-8"), "bench: rivals", table(result), PAGE), "utf-8")
    print(table(result))


def rows_of(classifier: Classifier, words: list[str]) -> Floats:
    """(K, D), in the model's own template."""
    parts = [words[at : at + AT_ONCE] for at in range(0, len(words), AT_ONCE)]
    template = (classifier.info.default_template,)
    made = (classifier.label_matrix(part, templates=template).result() for part in parts)
    return np.concatenate([matrix.vectors for matrix in made])


SHIPPED = "as shipped"
LARGEST = "concrete nouns of WordNet with a cosine below 0.7 to every label, logits × 1.5"


def scores(rows: Callable[[list[str]], Floats], wordnet: Path, scale: float) -> dict[str, Score]:
    """Each way's score, high for one of the labels."""
    nouns = sorted(concrete_nouns(wordnet, words=2))
    single = [" " not in noun for noun in nouns]
    bank, concrete = rows(list(out_of_set.nouns())), rows(nouns)
    things = rows(list(vocabulary("things").labels))
    few = np.random.default_rng(0).permutation(len(concrete))[:5000]
    adjectives = names_of(wordnet / "index.adj")
    joined = rows([f"{word} {GENERAL[at % len(GENERAL)]}" for at, word in enumerate(adjectives)])

    def shipped(vectors: Floats, known: Floats, other: Floats) -> Floats:
        unrelated = bank[out_of_set.unrelated(known, bank)]
        return out_of_set.score(vectors @ known.T, vectors @ unrelated.T, logit_scale=scale)

    def against(rivals: Floats, times: float = SHARP) -> Score:
        def score(vectors: Floats, known: Floats, other: Floats) -> Floats:
            apart = rivals[(rivals @ known.T).max(axis=1) < NEAR]
            return log_sum(times * scale * vectors @ known.T) - log_sum(times * scale * vectors @ apart.T)

        return score

    def oracle(vectors: Floats, known: Floats, other: Floats) -> Floats:
        return log_sum(scale * vectors @ known.T) - log_sum(scale * vectors @ other.T)

    return {
        SHIPPED: shipped,
        LARGEST: against(concrete),
        "largest similarity": lambda vectors, known, other: (vectors @ known.T).max(axis=1),
        f"{len(concrete):,} concrete nouns, likewise, logits as they are": against(concrete, 1),
        f"the {sum(single):,} of them that are one word": against(concrete[single]),
        "5,000 of them, drawn": against(concrete[few]),
        f"{len(things):,} everyday things (`vocabulary=things`)": against(things),
        f"{len(joined):,} adjectives joined to general nouns (CSP)": against(joined),
        "these and the concrete nouns": against(np.concatenate([joined, concrete])),
        "the names of the unknown labels themselves": oracle,
    }


def names_of(index: Path) -> list[str]:
    """The single words of one of WordNet's index files."""
    lines = index.read_text("latin-1").splitlines()
    return [word for line in lines if (word := line.partition(" ")[0]).isalpha()]


def log_sum(logits: Floats) -> Floats:
    """Of the exponentials, over the last axis."""
    top = logits.max(axis=-1, keepdims=True)
    return np.asarray((top + np.log(np.exp(logits - top).sum(axis=-1, keepdims=True)))[..., 0])


def refused(seen: Seen, score: Score, *, alike: bool = True) -> dict[str, float]:
    """Mean AUROC and share of the unknown that is taken where 95 % of the known are, over the draws.

    Not `alike`: without unknown labels that show what a known one shows.
    """
    found = []
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(len(seen.matrix))
        half = len(order) // 2
        given, other = np.sort(order[:half]), order[half:]
        values = score(seen.vectors, seen.matrix[given], seen.matrix[other])
        if not alike:
            names = {seen.labels[label].lower() for label in given}
            other = np.array([label for label in other if not _doubles(seen.labels[label].lower(), names)])
        known, unknown = values[np.isin(seen.truth, given)], values[np.isin(seen.truth, other)]
        found.append((auroc(known, unknown), float((unknown >= np.quantile(known, 0.05)).mean())))
    means = np.mean(found, axis=0)
    return {"auroc": round(float(means[0]), 4), "fpr95": round(float(means[1]), 4)}


def _doubles(name: str, names: set[str]) -> bool:
    return any(name in pair and names & (pair - {name}) for pair in ALIKE)


def table(found: Mapping[str, Any]) -> str:
    """The table of the guide."""

    def cell(one: Mapping[str, float]) -> str:
        return f"{one['auroc']:.3f}, {one['fpr95'] * 100:.1f} %"

    lines = [[name, *(cell(row[key]) for key in SETS)] for name, row in found["rows"].items()]
    apart = found["without_alike"]
    return f"""{quoted.table(["Rivals of the labels", *SETS.values()], lines)}
Six pairs of Caltech-101's classes show the same thing (`cougar body` and `cougar face`). Without unknown ones
whose other half is known, what ships has {cell(apart[SHIPPED])}, the largest bank {cell(apart[LARGEST])}.
"""


if __name__ == "__main__":
    main()
