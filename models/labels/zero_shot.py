"""Labels and templates to a zero-shot classifier, as CLIP builds it, kept for when it is asked for again.

Each label is filled into every template, embedded, averaged and renormalised (openai/CLIP,
notebooks/Prompt_Engineering_for_ImageNet.ipynb; the same as `open_clip.build_zero_shot_classifier`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Executor, Future

import numpy as np
from numpy.typing import NDArray

from models.batching.futures import go_on
from models.batching.text_embeddings import TextEmbeddings
from models.errors import InvalidRequest
from models.labels.label_matrix import LabelMatrix
from models.labels.label_set import LabelSet, texts_of
from models.labels.prompts import check_prompts, fill, named
from models.pretrained.tokenizer import Tokens

# Matrices kept ready: a service ranks with few label sets at a time, and one of 100,000 labels takes 200 MB.
MAX_MATRICES = 64
MAX_MATRIX_BYTES = 512 << 20

Key = tuple[tuple[str, ...], tuple[str, ...]]  # labels, templates


class LabelMatrices:
    """The classifiers of one model."""

    def __init__(self, texts: TextEmbeddings, tokens: Tokens, executor: Executor) -> None:
        self._executor = executor
        self._texts = texts
        self._tokens = tokens
        self._kept: OrderedDict[Key, LabelMatrix] = OrderedDict()
        self._lock = threading.Lock()

    def get(
        self, labels: Sequence[str], templates: tuple[str, ...], *, deadline: float | None = None
    ) -> Future[LabelMatrix]:
        """The matrix of `labels`. Raises InvalidRequest for none, or an empty one."""
        key = (tuple(labels), templates)
        done: Future[LabelMatrix] = Future()
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
        if kept is not None:
            done.set_result(kept)
            return done
        distinct, warnings = check_labels(labels)
        check_prompts(len(distinct) * len(templates), len(distinct))
        prompts = [fill(template, label) for label in distinct for template in templates]  # label-major

        def make(rows: NDArray[np.float32]) -> LabelMatrix:
            notes = (*warnings, *self._cut(distinct, templates))
            matrix = LabelMatrix(distinct, average(rows, np.full(len(distinct), len(templates))), notes)
            self._keep(key, matrix)
            return matrix

        go_on(self._texts.embed(prompts, deadline=deadline), done, make, self._executor)
        return done

    def of_set(
        self, label_set: LabelSet, templates: tuple[str, ...], *, deadline: float | None = None
    ) -> Future[LabelMatrix]:
        """The matrix of a set that `label_set.check` has passed; its rows are in the order of the labels."""
        if label_set.is_plain:
            return self.get(label_set.names, templates, deadline=deadline)
        texts = texts_of(label_set, templates)
        counts = np.array([len(each) for each in texts])
        done: Future[LabelMatrix] = Future()

        def make(rows: NDArray[np.float32]) -> LabelMatrix:
            longest = zip(label_set.names, (max(each, key=len) for each in texts), strict=True)
            cut = [name for name, text in longest if self._tokens.is_cut(text)]
            limit = self._tokens.context_length
            warnings = named(cut, f"is cut: one of its texts is longer than {limit} tokens")
            return LabelMatrix(label_set.names, average(rows, counts), tuple(warnings))

        flat = [text for each in texts for text in each]
        go_on(self._texts.embed(flat, deadline=deadline), done, make, self._executor)
        return done

    def _cut(self, labels: Sequence[str], templates: Sequence[str]) -> list[str]:
        """Warnings for labels that do not fit into the context with the longest of the templates."""
        longest = max(templates, key=len)
        cut = [label for label in labels if self._tokens.is_cut(fill(longest, label))]
        return named(cut, f"is cut: with its template it is longer than {self._tokens.context_length} tokens")

    def _keep(self, key: Key, matrix: LabelMatrix) -> None:
        with self._lock:
            self._kept[key] = matrix
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and (
                len(self._kept) > MAX_MATRICES
                or sum(kept.vectors.nbytes for kept in self._kept.values()) > MAX_MATRIX_BYTES
            ):
                self._kept.popitem(last=False)


def check_labels(labels: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Distinct labels in order, and warnings for repeated ones. Raises InvalidRequest."""
    if not labels:
        raise InvalidRequest("labels: at least one label is needed", field="labels")
    for position, label in enumerate(labels):
        if not label.strip():
            raise InvalidRequest(f"labels[{position}] is empty; every label needs a word", field="labels")
    distinct = tuple(dict.fromkeys(labels))
    if len(distinct) == len(labels):
        return distinct, []
    seen: set[str] = set()
    repeated = [label for label in labels if label in seen or seen.add(label)]  # type: ignore[func-returns-value]
    return distinct, named(list(dict.fromkeys(repeated)), "is given more than once; it is ranked once")


def average(rows: NDArray[np.float32], counts: NDArray[np.intp]) -> NDArray[np.float32]:
    """Mean of each label's texts, renormalised: unit rows (sum of counts, D), label-major -> (N, D)."""
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    means = np.add.reduceat(rows, starts, axis=0) / counts[:, None].astype(np.float32)  # (N, D)
    unit: NDArray[np.float32] = means / np.linalg.norm(means, axis=-1, keepdims=True)
    return unit
