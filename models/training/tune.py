"""Third phase: the text tower alone learns to find pictures whose vectors stay as they are.

Locked-image tuning (LiT, Zhai et al. 2022). Where the pictures' vectors are known a step costs only its
texts, so each of thousands of names meets thousands of pictures in one step, which the joint training could
not pay for: there the names in the banks are embedded anew now and then, and no gradient reaches them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from models.training import batches, checkpoint, evaluate_zero_shot, losses, tower
from models.training.augment import augment
from models.training.data import Corpus
from models.training.learner import WEIGHTS, dense, kinds_seen
from models.training.names import Names
from models.training.schedule import Clock, warm_cosine
from models.training.team import Team, together
from models.training.text import Lesson, loss_against

RATE = 5e-4  # learning rate of AdamW
WARM = 40  # steps up to it
PICTURES = 24_000  # vectors that the text tower learns from, over all processes
AT_ONCE = 4096  # of them in a step, of each process
NAMES = {"kinds": 700, "strangers": 350, "labels": 350, "soft": 350}  # drawn from each bank in a step
PAIRS = 96  # pictures in a step that bring a text of their own, captions among them
REPLAY = 64  # strings of the first phase's lesson
CHUNKS = 4  # parts of like lengths in which a step's texts are run


@dataclass(frozen=True, slots=True)
class Locked:
    """Pictures of the corpus and their vectors."""

    chosen: NDArray[np.int64]  # (M,)
    rows: torch.Tensor  # (M, D)


@torch.no_grad()
def embed(
    visual: Any, corpus: Corpus, count: int, side: int, generator: torch.Generator, *, tell: bool
) -> Locked:
    """`count` pictures, drawn and augmented as in the joint training, at `side` px."""
    rng = np.random.default_rng(generator.initial_seed())
    chosen = np.sort(rng.choice(len(corpus), count, p=batches.weights(corpus)))
    rows, told = [], time.monotonic()
    device = next(visual.parameters()).device
    for part in np.array_split(chosen, max(1, count // 96)):
        pixels = augment(torch.from_numpy(corpus.images[part]).to(device), side, generator)
        with tower.half():
            found = visual(pixels)
        rows.append(F.normalize(found.float(), dim=-1))
        if tell and time.monotonic() - told > 20:
            told = time.monotonic()
            print(f"tune: {sum(map(len, rows))} of {count} pictures embedded", flush=True)
    return Locked(chosen, torch.cat(rows))


def loss(
    text: Any,
    scale: float,
    locked: Locked,
    corpus: Corpus,
    names: Names,
    lesson: Lesson,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> torch.Tensor:
    """The joint training's losses but for the pictures', over names that are drawn anew each step."""
    device = locked.rows.device
    at = rng.choice(len(locked.chosen), min(AT_ONCE, len(locked.chosen)), replace=False)
    chosen, rows = locked.chosen[at], locked.rows[torch.from_numpy(at).to(device)]

    def drawn(name: str, bank: Sequence[Any]) -> NDArray[np.int64]:
        return rng.choice(len(bank), min(NAMES[name], len(bank)), replace=False)

    kinds, strangers = drawn("kinds", names.class_kinds), drawn("strangers", names.strangers)
    labels, classes = drawn("labels", names.bank), drawn("soft", corpus.classes)
    own, match = batches.batch_texts(names, chosen[:PAIRS], rng)
    parts = {
        "kinds": [names.class_kinds[i] for i in kinds] + [names.strangers[i] for i in strangers],
        "labels": [names.bank[i] for i in labels],
        "soft": [corpus.classes[i][int(rng.integers(len(corpus.classes[i])))] for i in classes],
        "contrastive": own,
    }
    ids = tower.tokenise(batches.wrapped([each for texts in parts.values() for each in texts], rng))
    recited, targets = lesson.draw(REPLAY, generator)
    counts = [len(each) for each in parts.values()]
    banks = dict(zip(parts, torch.split(_vectors(text, ids), counts), strict=True))
    wanted = {
        "kinds": kinds_seen(corpus, names, chosen)[:, kinds],
        "labels": dense(names.bank_ids[chosen], names.bank_p[chosen], len(names.bank))[:, labels],
        "soft": dense(corpus.soft_ids[chosen], corpus.soft_p[chosen], len(corpus.classes))[:, classes],
    }
    factor = torch.tensor(scale, device=device)
    found = {
        name: losses.soft_rows(rows, banks[name], torch.from_numpy(each).to(device), factor)
        for name, each in wanted.items()
    }
    found["contrastive"] = losses.contrastive(rows[:PAIRS], banks["contrastive"], match.to(device), factor)
    found["replay"] = loss_against(_vectors(text, recited), targets.to(device))
    return torch.stack([WEIGHTS[name] * value for name, value in found.items()]).sum()


def _vectors(text: Any, ids: torch.Tensor) -> torch.Tensor:
    """(N, CONTEXT) -> unit rows (N, D), like lengths together."""
    order = ids.argmax(dim=-1).argsort()
    with tower.half():
        rows = torch.cat([tower.encode_text(text, ids[part]) for part in order.chunk(CHUNKS)])
    return rows[order.argsort().to(rows.device)]


def train(
    model: Any,
    corpus: Corpus,
    names: Names,
    lesson: Lesson,
    clock: Clock,
    path: Path,
    state: dict[str, Any],
    sets: list[evaluate_zero_shot.ZeroShotSet],
    *,
    side: int,
    seed: int,
    team: Team,
    save_every_s: float = 120,
) -> None:
    """Train until the clock's budget is spent and keep `state` in `path` with what was learnt."""
    step = state["tuned"]
    generator = torch.Generator().manual_seed(seed + 1000 * team.rank + step)
    rng = np.random.default_rng([seed, team.rank, step])
    model.eval()  # also the image tower: its running means are as locked as its weights
    locked = embed(model.visual, corpus, PICTURES // team.size, side, generator, tell=team.leads)
    model.text.token_embedding.weight.requires_grad_(False)
    learning = [p for p in model.text.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    if state["optimizer"] is not None:
        optimizer.load_state_dict(state["optimizer"])
    scale = float(model.logit_scale.detach().exp())
    saved, share, total = time.monotonic(), clock.share, 0.0

    def keep() -> None:
        learnt = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        checkpoint.save(path, {**state, **learnt, "tuned": step, "elapsed": clock.elapsed})
        found = evaluate_zero_shot.evaluate(model, sets, side)
        told = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
        print(f"tune: step {step}, loss {total:.4f}, {told}, {clock.left / 60:.1f} min left", flush=True)

    while share < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * warm_cosine(share, step, warm=WARM)
        value = loss(model.text, scale, locked, corpus, names, lesson, rng, generator)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        share = team.average(learning, clock.share)
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        step, total = step + 1, float(value.detach())
        if team.leads and time.monotonic() - saved > save_every_s:
            keep()
            saved = time.monotonic()
    if team.leads:
        keep()


def begin(joint: dict[str, Any], path: Path) -> dict[str, Any]:
    """The state in `path` if it goes on from just this checkpoint of `joint`, else a fresh one."""
    state = checkpoint.load(path)
    if state is not None and state["of"] == joint["step"]:
        return state
    return {
        **{name: joint[name] for name in ("model", "seen")},
        **{"of": joint["step"], "joint_s": joint["elapsed"], "optimizer": None, "tuned": 0, "elapsed": 0.0},
    }


def run(chosen: argparse.Namespace) -> None:
    """The `tune` step of the command line."""
    from models.training import data, names, text

    joint = checkpoint.load(chosen.cache / "joint.pt")
    if joint is None:
        raise FileNotFoundError(f"{chosen.cache}/joint.pt is not there: run the step `joint` first")
    corpus = data.load(chosen.corpus, chosen.cache)
    words = names.gather(corpus, chosen.words)
    lesson = text.lesson(corpus, data.lvis_names(chosen.corpus), chosen.cache, chosen.words)
    path = chosen.cache / "tuned.pt"
    state = begin(joint, path)
    model = tower.build(tower.config(chosen.image_tower, chosen.image_size)).to(tower.device())
    model.load_state_dict(state["model"])
    sets = evaluate_zero_shot.read_sets(chosen.eval, chosen.cache)

    def work(team: Team) -> None:
        clock = Clock(chosen.tune_hours * 3600, state["elapsed"])
        train(
            *(model, corpus, words, lesson, clock, path, state, sets),
            side=chosen.image_size,
            seed=chosen.seed,
            team=team,
        )

    together(chosen.processes, work)
