"""Labels and templates to a zero-shot classifier, as CLIP builds it, kept for when it is asked for again.

Each label is filled into every template, embedded, averaged and renormalised (openai/CLIP,
notebooks/Prompt_Engineering_for_ImageNet.ipynb; the same as `open_clip.build_zero_shot_classifier`).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.batching.futures import go_on
from models.batching.lru_cache import LRUCache
from models.batching.text_embeddings import TextEmbeddings
from models.labels.label_matrix import LabelMatrix, warnings_about
from models.labels.label_set import Label, LabelSet, check, templates_for, texts_of
from models.pretrained.tokenizer import Tokens

MAX_MATRICES: Final = 64
MAX_MATRIX_BYTES: Final = 512 << 20
"""Kept ready: a service ranks with few label sets at a time, and one of 100,000 labels takes 200 MB."""

Key = tuple[tuple[Label, ...], tuple[str, ...], bool]  # labels, templates, whether " > " makes a path


class LabelMatrices:
    """The zero-shot classifiers of one model."""

    def __init__(
        self, texts: TextEmbeddings, tokens: Tokens, executor: Executor, default_template: str
    ) -> None:
        self._executor = executor
        self._texts = texts
        self._tokens = tokens
        self._default_template = default_template  # a preset's name
        self._kept: LRUCache[Key, LabelMatrix] = LRUCache(MAX_MATRIX_BYTES, max_entries=MAX_MATRICES)

    def get(self, label_set: LabelSet, *, deadline: float | None = None) -> Future[LabelMatrix]:
        """One row a label, in their order; a label that is given twice has one row, and a warning.

        Raises InvalidRequest at once for what no classifier can be made of.
        """
        templates = templates_for(label_set, self._default_template)
        key = (label_set.labels, templates, label_set.paths)
        done: Future[LabelMatrix] = Future()
        if (kept := self._kept.get(key)) is not None:
            done.set_result(kept)
            return done
        distinct = replace(label_set, labels=tuple(dict.fromkeys(label_set.labels)))
        check(distinct)
        prompts = texts_of(distinct, templates)

        def make(rows: NDArray[np.float32]) -> LabelMatrix:
            vectors = mean_rows(rows, np.array(list(map(len, prompts))))  # (N, D)
            warnings = (*_repeated(label_set), *self._cut(distinct.names, prompts))
            matrix = LabelMatrix(distinct.names, vectors, warnings)
            self._kept.put(key, matrix, vectors.nbytes + sum(map(_nbytes, distinct.labels)))
            return matrix

        rows = self._texts.embed(list(chain.from_iterable(prompts)), deadline=deadline)
        go_on(rows, done, make, self._executor)
        return done

    def _cut(self, names: Sequence[str], prompts: Sequence[Sequence[str]]) -> list[str]:
        """Warnings for labels whose longest prompt does not fit into the context."""
        longest = (max(of_label, key=len) for of_label in prompts)
        cut = [name for name, prompt in zip(names, longest, strict=True) if self._tokens.is_cut(prompt)]
        return warnings_about(
            cut, f"is cut: its longest prompt has more than {self._tokens.context_length} tokens"
        )


def mean_rows(rows: NDArray[np.float32], counts: NDArray[np.intp]) -> NDArray[np.float32]:
    """Mean of each label's texts, renormalised: unit rows (sum of counts, D), label-major -> (N, D)."""
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    means = np.add.reduceat(rows, starts, axis=0) / counts[:, None].astype(np.float32)  # (N, D)
    unit: NDArray[np.float32] = means / np.linalg.norm(means, axis=-1, keepdims=True)
    return unit


def _repeated(label_set: LabelSet) -> list[str]:
    repeated = [name for name, times in Counter(label_set.names).items() if times > 1]
    return warnings_about(repeated, "is given more than once; it is ranked once")


def _nbytes(label: Label) -> int:
    """What a label takes in memory, its texts included."""
    texts = (label.name, *label.aliases, *label.descriptions, *label.prompts)
    return sys.getsizeof(label) + sum(map(sys.getsizeof, texts))
