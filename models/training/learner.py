"""The two towers while they learn: the losses of one step, the optimizer, and the state that is kept.

Notable: besides the contrastive loss over the batch, every picture also learns from banks of class names (the
image teacher's soft labels, the corpus' own labels) whose text embeddings are refreshed now and then, and
from the image teacher's features through a head that is dropped afterwards. Token embeddings stay as the
first phase left them and a replay of its lesson holds the words that no picture shows. Refuses to know about
files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from models.training import batches, losses, tower
from models.training.augment import augment
from models.training.data import Corpus
from models.training.names import Names
from models.training.schedule import Clock
from models.training.team import Team
from models.training.text import Lesson, lesson_loss

IMAGE_RATE, TEXT_RATE, DECAY = 2e-3, 1e-4, 0.05  # learning rates and weight decay of AdamW
TEXT_EVERY = 3  # steps; the text tower runs, and learns, in one of so many: it costs as much as the images do
PARTS = 4  # of like lengths, in which a batch's texts are run: captions are far longer than names
REPLAY = 64  # strings of the first phase's lesson, each time that the text tower learns
STRANGERS = 1500  # nouns that name no picture, in the bank of kinds: else one of them may suit every picture
FIRST_SCALE = 20.0  # logit scale at the beginning
WEIGHTS = {
    "contrastive": 1.0,
    "soft": 1.0,
    "labels": 0.7,
    "kinds": 1.0,
    "mentions": 1.0,
    "features": 8.0,
    "replay": 2.0,
}


@dataclass(slots=True)
class Run:
    """All that an interruption must not lose, and the means to go on."""

    model: Any
    head: nn.Linear  # pooled image features -> the image teacher's features; dropped at export
    optimizer: torch.optim.Optimizer
    corpus: Corpus
    names: Names
    lesson: Lesson
    generator: torch.Generator
    rng: np.random.Generator
    batch: int  # pictures a step, of this process
    half_images: bool = False  # convolutions in bfloat16
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    pictures: torch.Tensor | None = None  # all of the corpus, where the device has room for it
    team: Team = field(default_factory=Team)
    step: int = 0
    seen: int = 0  # pictures, by the whole team
    share: float = 0.0  # of the time budget that is spent, as the whole team sees it

    def state(self, clock: Clock) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "head": self.head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seen": self.seen,
            "elapsed": clock.elapsed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.head.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seen = state["step"], state["seen"]

    def pixels(self, chosen: NDArray[np.int64]) -> torch.Tensor:
        """The pictures `chosen` where the model is: uint8 (B, SIDE, SIDE, 3)."""
        if self.pictures is None:
            return torch.from_numpy(self.corpus.images[chosen]).to(self.device)
        return self.pictures[torch.from_numpy(chosen).to(self.device)]

    def rows(self, *arrays: NDArray[Any]) -> list[torch.Tensor]:
        """Arrays as tensors where the model is."""
        return [torch.from_numpy(array).to(self.device) for array in arrays]

    def part_of(self, team: Team, seed: int) -> None:
        """Take this process' share of every batch, and its own chances."""
        self.team, self.batch = team, self.batch // team.size
        self.generator.manual_seed(seed + 1000 * team.rank + self.step)
        self.rng = np.random.default_rng([seed, team.rank, self.step])


@dataclass(frozen=True, slots=True)
class Banks:
    """Text embeddings of all class names, as the text tower gave them last."""

    classes: torch.Tensor  # (1000, D)
    labels: torch.Tensor  # (C, D)
    kinds: torch.Tensor  # (K + STRANGERS, D): the last name nothing that is pictured
    mentions: torch.Tensor  # (M, D)


def begin(model: Any, corpus: Corpus, names: Names, lesson: Lesson, *, batch: int, seed: int) -> Run:
    """A fresh run on a model whose text tower has learnt its lesson, where that model is."""
    device = model.logit_scale.device
    model.text.token_embedding.weight.requires_grad_(False)
    with torch.no_grad():
        model.logit_scale.fill_(math.log(FIRST_SCALE))
    head = nn.Linear(model.visual.trunk.head_hidden_size, corpus.features.shape[1]).to(device)
    decayed = [p for p in [*model.visual.parameters(), head.weight] if p.ndim > 1]
    plain = [p for p in [*model.visual.parameters(), head.bias] if p.ndim <= 1]
    words = [p for p in model.text.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "rate": IMAGE_RATE, "weight_decay": DECAY},
            {"params": plain, "rate": IMAGE_RATE, "weight_decay": 0.0},
            {"params": words, "rate": TEXT_RATE, "weight_decay": 0.0},
            {"params": [model.logit_scale], "rate": IMAGE_RATE / 2, "weight_decay": 0.0},
        ],
        lr=IMAGE_RATE,
        betas=(0.9, 0.98),
        fused=True,
    )
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    run = Run(model, head, optimizer, corpus, names, lesson, generator, rng, batch, device=device)
    if device.type == "cuda":
        run.pictures = torch.from_numpy(np.array(corpus.images)).to(device)
    return run


def step(run: Run, clock: Clock, banks: Banks, chosen: Any, side: int) -> dict[str, float]:
    """One step of the optimizer on the pictures `chosen`; returns the losses."""
    corpus, names, model = run.corpus, run.names, run.model
    chosen = np.sort(chosen)  # the disk reads forwards
    pixels = augment(run.pixels(chosen), side, run.generator)  # (B, 3, side, side)
    trunk = model.visual.trunk
    with tower.half(run.half_images):
        pooled = trunk.forward_head(trunk.forward_features(pixels), pre_logits=True).float()  # (B, F)
    images = F.normalize(trunk.get_classifier()(pooled), dim=-1)  # (B, D)
    scale = model.logit_scale.exp()
    soft_ids, soft_p = run.rows(corpus.soft_ids[chosen], corpus.soft_p[chosen])  # (B, SOFT) each
    bank_ids, bank_p = run.rows(names.bank_ids[chosen], names.bank_p[chosen])  # (B, COLUMNS) each
    said_ids, said_p = run.rows(names.mentions.ids[chosen], names.mentions.p[chosen])  # as above
    (kinds,) = run.rows(kinds_seen(corpus, names, chosen))  # (B, K)
    found = {
        "soft": losses.soft_labels(images, banks.classes, soft_ids, soft_p, scale),
        "labels": losses.soft_labels(images, banks.labels, bank_ids, bank_p, scale),
        "kinds": losses.soft_rows(images, banks.kinds, kinds, scale),
        "mentions": losses.soft_labels(images, banks.mentions, said_ids, said_p, scale),
        "features": losses.features(run.head(pooled), *run.rows(batches.teacher_features(corpus, chosen))),
    }
    if run.step % TEXT_EVERY == 0:
        texts, match = batches.batch_texts(names, chosen, run.rng)
        ids = tower.tokenise(batches.wrapped(texts, run.rng))
        vectors = tower.encode_in_parts(model.text, ids, parts=PARTS)  # (T, D)
        found["contrastive"] = losses.contrastive(images, vectors, match.to(run.device), scale)
        found["replay"] = lesson_loss(model.text, *run.lesson.draw(REPLAY, run.generator))
    total = torch.stack([WEIGHTS[name] * value for name, value in found.items()]).sum()
    run.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(total)
    run.share = run.team.average(_parameters(run), clock.share)
    torch.nn.utils.clip_grad_norm_(model.visual.parameters(), 5.0)
    torch.nn.utils.clip_grad_norm_(model.text.parameters(), 1.0)
    run.optimizer.step()
    with torch.no_grad():
        model.logit_scale.clamp_(0, math.log(100))  # CLIP's own bound
    run.step += 1
    run.seen += len(chosen) * run.team.size
    return {name: float(value.detach()) for name, value in found.items()}


def refresh(run: Run) -> Banks:
    """Embed all class names anew, each ImageNet class by one of its synonyms, mostly the usual one."""
    names = [
        synonyms[0] if run.rng.random() < 0.6 else synonyms[int(run.rng.integers(len(synonyms)))]
        for synonyms in run.corpus.classes
    ]
    text, strangers = run.model.text, run.names.strangers
    drawn = [
        strangers[i] for i in run.rng.choice(len(strangers), min(STRANGERS, len(strangers)), replace=False)
    ]
    kinds = [*run.names.class_kinds, *drawn]
    banks = (names, run.names.bank, kinds, run.names.mentions.nouns)
    return Banks(*(tower.encode_texts(text, each) for each in banks))


def kinds_seen(corpus: Corpus, names: Names, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """What the image teacher saw in each picture, in other and more general words: (B, K)."""
    return dense(corpus.soft_ids[chosen], corpus.soft_p[chosen], len(names.kinds_of)) @ names.kinds_of


def dense(ids: NDArray[np.int64], p: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    """Sparse targets, ids and p (B, K), as whole rows (B, columns)."""
    rows = np.zeros((len(ids), columns), np.float32)
    # They are padded with id 0 at probability 0: added, lest that overwrites a true 0.
    np.add.at(rows, (np.arange(len(ids))[:, None], ids), p)
    return rows


def _parameters(run: Run) -> list[nn.Parameter]:
    return [p for group in run.optimizer.param_groups for p in group["params"]]
