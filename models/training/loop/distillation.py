"""Distillation: the text tower learns to say of words and captions what the text teacher says.

The first phase is nothing else; the later ones replay it, so that words which no picture shows stay in place.

Notable: it does not begin at random noise. Each byte pair's embedding begins as the teacher's vector of that
byte pair's own string, reduced by PCA, and the projection begins as the way back. Templates wrap half of the
names with the target unchanged, so that "a photo of a cat." stays where "cat" is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from models.training.corpus import wordnet
from models.training.corpus.dataset import Corpus
from models.training.corpus.sampling import TEMPLATES
from models.training.model import text_teacher, towers

SHARPNESS = 20.0  # of the similarities whose distribution is matched
OF_PARENT = 0.2  # share of a noun's target that comes from what it is a kind of
OF_SYNONYMS = 0.3  # share that comes from all names of the same meaning


@dataclass(frozen=True, slots=True)
class Targets:
    """Strings and the unit vectors the text tower should give them."""

    texts: list[str]
    vectors: torch.Tensor  # (N, D)
    ids: torch.Tensor  # (N, CONTEXT)
    lengths: torch.Tensor  # (N,) tokens
    weights: torch.Tensor  # (N,) how often each is drawn
    is_name: torch.Tensor  # (N,) templates may wrap it

    def draw(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Random strings as token ids (count, CONTEXT) and their targets (count, D)."""
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        ids = self.ids[chosen].clone()
        wrap = (torch.rand(count, generator=generator) < 0.5) & self.is_name[chosen]
        rows = wrap.nonzero().flatten()
        which = torch.randint(len(TEMPLATES), (len(rows),), generator=generator).tolist()
        if len(rows):
            texts = [TEMPLATES[t].format(self.texts[chosen[r]]) for r, t in zip(rows, which, strict=True)]
            ids[rows] = towers.tokenise(texts)
        return ids, self.vectors[chosen]


def token_strings() -> list[str]:
    """What each of CLIP's byte pairs reads as."""
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer: Any = SimpleTokenizer()
    strings = []
    for token in range(tokenizer.vocab_size - 2):  # less start and end of text
        units = tokenizer.decoder[token].replace("</w>", "")
        strings.append(bytes(tokenizer.byte_decoder[unit] for unit in units).decode("utf-8", "replace"))
    return strings


def targets(corpus: Corpus, lvis: Sequence[str], cache: Path, words: Path) -> Targets:
    """All strings with their targets; the teacher's vectors come from the cache after the first time."""
    nouns = wordnet.concrete_nouns(words)
    pairs = list(zip(corpus.texts, corpus.captioned.tolist(), strict=True))
    names = [text for texts, captioned in pairs if not captioned for text in texts]
    names += [name for synonyms in corpus.classes for name in synonyms] + list(lvis)
    captions = [text for texts, captioned in pairs if captioned for text in texts[:1]]
    of_nouns = text_teacher.embed(list(nouns), cache, "nouns")
    of_corpus = text_teacher.embed([*names, *captions], cache, "corpus")
    mean = of_nouns.rows.mean(axis=0)
    rows = text_teacher.centred(of_nouns.rows, mean)
    rows = _towards_kin(list(nouns.values()), rows, of_nouns.index, wordnet.synsets(words))
    extra = [text for text in of_corpus.index if text.lower() not in of_nouns.index]
    rows = np.concatenate([rows, text_teacher.centred(of_corpus[extra], mean)])
    texts = [*of_nouns.index, *extra]
    ids = towers.tokenise(texts)
    lengths = ids.argmax(dim=-1) + 1
    known = set(names)
    is_name = torch.tensor([text in nouns or text in known for text in texts])
    # Familiar words are few tokens; what the corpus says is drawn as often as the rest of the language.
    weights = 1.0 / (lengths - 1).float() ** 1.5
    of_extra = torch.arange(len(texts)) >= len(nouns)
    weights[of_extra] = 0.4 * weights[~of_extra].sum() / of_extra.sum()
    return Targets(texts, torch.from_numpy(rows).float(), ids, lengths, weights, is_name)


def _towards_kin(
    nouns: list[wordnet.Synset],
    rows: NDArray[np.float32],
    index: dict[str, int],
    every: dict[str, wordnet.Synset],
) -> NDArray[np.float32]:
    """Each noun's row moved to its synonyms' and its hypernym's: things look like their kind."""
    moved = rows.copy()
    for row, noun in enumerate(nouns):
        of_names = [index[name.lower()] for name in noun.names if name.lower() in index]
        if len(of_names) > 1:
            moved[row] += OF_SYNONYMS * (rows[of_names].mean(axis=0) - rows[row])
        for offset in noun.parents[:1]:
            parent = index.get(every[offset].names[0].lower())
            if parent is not None and parent != row:
                moved[row] += OF_PARENT * (rows[parent] - rows[row])
    unit: NDArray[np.float32] = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    return unit


@torch.no_grad()
def begin_as_teacher(text: Any, cache: Path) -> None:
    """Initialise token embeddings and projection from the teacher's vectors of every byte pair."""
    strings = token_strings()
    vectors = text_teacher.embed(strings, cache, "tokens")
    mean = vectors.rows.mean(axis=0)
    rows = torch.from_numpy(text_teacher.centred(vectors[strings], mean))  # (V-2, D)
    width = text.token_embedding.weight.shape[1]
    _, _, basis = torch.linalg.svd(rows.T @ rows)  # rows of (D, D), the largest variance first
    reduced = F.normalize(rows @ basis[:width].T, dim=-1)  # (V-2, W)
    text.token_embedding.weight[: len(strings)] = reduced.to(text.token_embedding.weight.device)
    text.text_projection.copy_(basis[:width])  # (W, D)


def loss_between(vectors: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Unit rows and their targets, both (N, D): each near its own, and as far from the others as they are."""
    near = 1 - (vectors * targets).sum(dim=-1).mean()
    wanted = (SHARPNESS * targets @ targets.T).softmax(dim=-1)  # (N, N)
    given = (SHARPNESS * vectors @ targets.T).log_softmax(dim=-1)  # (N, N)
    relations = F.kl_div(given, wanted, reduction="batchmean")
    return near + relations


def loss(text: Any, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The loss on N strings."""
    vectors = towers.encode_in_parts(text, ids, parts=2)  # (N, D)
    return loss_between(vectors, targets.to(vectors.device))
