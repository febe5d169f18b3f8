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
from torch import nn

from models.training import batches, losses, tower
from models.training.augment import augment
from models.training.data import Corpus
from models.training.names import Names
from models.training.schedule import Clock
from models.training.team import Team
from models.training.text import Lesson, loss_against

IMAGE_RATE, TEXT_RATE, DECAY = 2e-3, 1e-4, 0.05  # learning rates and weight decay of AdamW
TEXT_EVERY = 4  # steps; the text tower learns in one of so many, and is only read in the others
REPLAY = 64  # strings of the first phase's lesson, each time that the text tower learns
FIRST_SCALE = 20.0  # logit scale at the beginning
WEIGHTS = {"contrastive": 0.5, "soft": 1.0, "labels": 0.7, "features": 8.0, "replay": 2.0}


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


def begin(model: Any, corpus: Corpus, names: Names, lesson: Lesson, *, batch: int, seed: int) -> Run:
    """A fresh run on a model whose text tower has learnt its lesson."""
    model.text.token_embedding.weight.requires_grad_(False)
    with torch.no_grad():
        model.logit_scale.fill_(math.log(FIRST_SCALE))
    head = nn.Linear(model.visual.trunk.head_hidden_size, corpus.features.shape[1])
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
    return Run(model, head, optimizer, corpus, names, lesson, generator, rng, batch)


def step(run: Run, clock: Clock, banks: Banks, chosen: Any, side: int) -> dict[str, float]:
    """One step of the optimizer on the pictures `chosen`; returns the losses."""
    corpus, names, model = run.corpus, run.names, run.model
    chosen = np.sort(chosen)  # the disk reads forwards
    pixels = torch.from_numpy(corpus.images[chosen])  # (B, SIDE, SIDE, 3)
    trunk = model.visual.trunk
    pooled = trunk.forward_head(
        trunk.forward_features(augment(pixels, side, run.generator)), pre_logits=True
    )  # (B, F)
    images = F.normalize(trunk.get_classifier()(pooled), dim=-1)  # (B, D)
    scale = model.logit_scale.exp()
    texts, match = batches.batch_texts(names, chosen, run.rng)
    learns = run.step % TEXT_EVERY == 0
    with torch.set_grad_enabled(learns):
        vectors = tower.encode_text(model.text, tower.tokenise(batches.wrapped(texts, run.rng)))  # (T, D)
    wanted = np.zeros((len(chosen), corpus.features.shape[1]), np.float32)
    known = chosen < len(corpus.features)
    wanted[known] = corpus.features[chosen[known]]
    found = {
        "contrastive": losses.contrastive(images, vectors, match, scale),
        "soft": losses.soft_labels(
            images, banks.classes, *_rows(corpus.soft_ids, corpus.soft_p, chosen), scale
        ),
        "labels": losses.soft_labels(
            images, banks.labels, *_rows(names.bank_ids, names.bank_p, chosen), scale
        ),
        "features": losses.features(run.head(pooled), torch.from_numpy(wanted)),
    }
    if learns:
        ids, targets = run.lesson.draw(REPLAY, run.generator)
        found["replay"] = loss_against(tower.encode_text(model.text, ids), targets)
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
    return Banks(
        tower.encode_texts(run.model.text, names), tower.encode_texts(run.model.text, run.names.bank)
    )


def _parameters(run: Run) -> list[nn.Parameter]:
    return [p for group in run.optimizer.param_groups for p in group["params"]]


def _rows(ids: Any, p: Any, chosen: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(ids[chosen]), torch.from_numpy(p[chosen])
