"""Third phase: the text tower alone learns to find pictures whose vectors stay as they are.

Locked-image tuning (LiT, Zhai et al. 2022). Where the pictures' vectors are known a step costs only its
texts, so more than a thousand names meet thousands of pictures in one step, which the joint training could
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
from numpy.typing import NDArray

from models.training import batches, checkpoint, evaluate_zero_shot, joint, losses, tower
from models.training.augment import augment
from models.training.learner import PARTS, REPLAY, WEIGHTS, Run, dense
from models.training.schedule import Clock, warm_cosine
from models.training.team import Team, together
from models.training.text import lesson_loss

TUNED = "tuned.pt"
RATE = 5e-4  # learning rate of AdamW
WARM = 40  # steps up to it
PICTURES = 24_000  # vectors that the text tower learns from, over all processes
# Of a step, in each process:
AT_ONCE = 4096  # vectors, at most
NAMES = {"kinds": 500, "strangers": 300, "labels": 250, "soft": 300, "mentions": 400}  # drawn from each bank
PAIRS = 96  # pictures that bring a text of their own, captions among them


@dataclass(frozen=True, slots=True)
class Locked:
    """Pictures of the corpus and their vectors."""

    chosen: NDArray[np.int64]  # (M,)
    rows: torch.Tensor  # (M, D)


@torch.no_grad()
def embed(run: Run, count: int, side: int, *, tell: bool) -> Locked:
    """`count` pictures, drawn and augmented as in the joint training, at `side` px."""
    chosen = np.sort(run.rng.choice(len(run.corpus), count, p=batches.weights(run.corpus)))
    rows, told = [], time.monotonic()
    for part in np.array_split(chosen, max(1, count // 96)):
        pixels = augment(run.pixels(part), side, run.generator)
        with tower.half(run.half_images):
            rows.append(tower.encode_image(run.model.visual, pixels))
        if tell and time.monotonic() - told > 20:
            told = time.monotonic()
            print(f"tune: {sum(map(len, rows))} of {count} pictures embedded", flush=True)
    return Locked(chosen, torch.cat(rows))


def loss(run: Run, locked: Locked) -> torch.Tensor:
    """The joint training's losses but for the features, over names that are drawn anew each step."""
    corpus, names, rng, text = run.corpus, run.names, run.rng, run.model.text
    at = rng.choice(len(locked.chosen), min(AT_ONCE, len(locked.chosen)), replace=False)
    chosen, rows = locked.chosen[at], locked.rows[run.rows(at)[0]]  # (B,), (B, D)

    def drawn(name: str, bank: Sequence[Any]) -> NDArray[np.int64]:
        return rng.choice(len(bank), min(NAMES[name], len(bank)), replace=False)

    kinds, strangers = drawn("kinds", names.class_kinds), drawn("strangers", names.strangers)
    labels, classes = drawn("labels", names.bank), drawn("soft", corpus.classes)
    mentions = drawn("mentions", names.mentions.nouns)
    own, match = batches.batch_texts(names, chosen[:PAIRS], rng)
    parts = {
        "kinds": [names.class_kinds[i] for i in kinds] + [names.strangers[i] for i in strangers],
        "labels": [names.bank[i] for i in labels],
        "soft": [corpus.classes[i][int(rng.integers(len(corpus.classes[i])))] for i in classes],
        "mentions": [names.mentions.nouns[i] for i in mentions],
        "contrastive": own,
    }
    ids = tower.tokenise(batches.wrapped([each for texts in parts.values() for each in texts], rng))
    vectors = tower.encode_in_parts(text, ids, parts=PARTS)  # (T, D)
    counts = [len(each) for each in parts.values()]
    banks = dict(zip(parts, torch.split(vectors, counts), strict=True))
    soft, of_kinds, of_labels, said = run.rows(
        dense(corpus.soft_ids[chosen], corpus.soft_p[chosen], len(corpus.classes)),  # (B, 1000)
        names.kinds_of[:, kinds],
        dense(names.bank_ids[chosen], names.bank_p[chosen], len(names.bank))[:, labels],
        dense(names.mentions.ids[chosen], names.mentions.p[chosen], len(names.mentions.nouns))[:, mentions],
    )
    wanted = {"kinds": soft @ of_kinds, "labels": of_labels, "soft": soft[:, classes], "mentions": said}
    scale = run.model.logit_scale.detach().exp()
    found = {name: losses.soft_rows(rows, banks[name], each, scale) for name, each in wanted.items()}
    found["contrastive"] = losses.contrastive(rows[:PAIRS], banks["contrastive"], match.to(run.device), scale)
    found["replay"] = lesson_loss(text, *run.lesson.draw(REPLAY, run.generator))
    return torch.stack([WEIGHTS[name] * value for name, value in found.items()]).sum()


def train(
    run: Run,
    clock: Clock,
    sets: list[evaluate_zero_shot.ZeroShotSet],
    folder: Path,
    state: dict[str, Any],
    *,
    side: int,
    save_every_s: float = 120,
    evaluate_every_s: float = 420,
) -> None:
    """Train until the clock's budget is spent; keeps `state` in tuned.pt and adds to joint.jsonl."""
    share = clock.before_s / clock.budget_s  # the same for all of the team, so that all begin or none
    if share >= 1:
        return
    step = state["tuned"]
    run.model.eval()  # also the image tower: its running means are as locked as its weights
    locked = embed(run, PICTURES // run.team.size, side, tell=run.team.leads)
    learning = [p for p in run.model.text.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    if state["optimizer"] is not None:
        optimizer.load_state_dict(state["optimizer"])
    saved = measured = time.monotonic()
    while share < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * warm_cosine(share, step, warm=WARM)
        value = loss(run, locked)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        share = run.team.average(learning, clock.share)
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        step += 1
        if not run.team.leads:
            continue  # the others wait at the next step while the leader writes or measures
        over, now = share >= 1, time.monotonic()
        if over or now - saved > save_every_s:
            learnt = {"model": run.model.state_dict(), "optimizer": optimizer.state_dict()}
            state = {**state, **learnt, "tuned": step, "elapsed": clock.elapsed}
            checkpoint.save(folder / TUNED, state)
            print(
                f"tune: step {step}, loss {float(value.detach()):.4f}, {clock.left / 60:.1f} min left",
                flush=True,
            )
            saved = time.monotonic()
        if sets and (over or now - measured > evaluate_every_s):
            found = evaluate_zero_shot.evaluate(run.model, sets, side)
            hours = (state["joint_s"] + clock.elapsed) / 3600
            top1 = {f"top1 {name}": round(right, 4) for name, right in found.items()}
            line = {"step": state["of"], "seen": state["seen"], "hours": hours, "tuned": step, **top1}
            checkpoint.log(folder / "joint.jsonl", **line)
            print(f"tune: step {step}, {top1}", flush=True)
            measured = time.monotonic()


def begin(joint: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The state in tuned.pt if it goes on from just this checkpoint of `joint`, else a fresh one."""
    state = checkpoint.load(folder / TUNED)
    if state is not None and state["of"] == joint["step"]:
        return state
    return {
        "model": joint["model"],
        "optimizer": None,
        "of": joint["step"],
        "seen": joint["seen"],
        "joint_s": joint["elapsed"],
        "tuned": 0,
        "elapsed": 0.0,
    }


def run(chosen: argparse.Namespace) -> None:
    """The `tune` step of the command line."""
    kept = checkpoint.load(chosen.cache / "joint.pt")
    if kept is None:
        raise FileNotFoundError(f"{chosen.cache}/joint.pt is not there: run the step `joint` first")
    started = joint.made_of(chosen)
    state = begin(kept, chosen.cache)
    started.model.load_state_dict(state["model"])
    started.step = state["tuned"]  # other chances after an interruption
    sets = evaluate_zero_shot.read_sets(chosen.eval, chosen.cache)

    def work(team: Team) -> None:
        started.part_of(team, chosen.seed)
        clock = Clock(chosen.tune_hours * 3600, state["elapsed"])
        train(started, clock, sets, chosen.cache, state, side=chosen.image_size)

    together(chosen.processes, work)
