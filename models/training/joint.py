"""Second phase: both towers, trained jointly to find which picture and which text occurred together.

This is the loop around `learner.step`: the clock, the record, checkpoints, and measuring as it goes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from models.training import batches, checkpoint, evaluate_zero_shot, export, tower
from models.training.learner import WEIGHTS, Run, begin, refresh, step
from models.training.schedule import Clock, resolution, warm_cosine
from models.training.team import Team, together

WARM = 80  # steps up to the full learning rate
REFRESH = 150  # steps between two embeddings of the banks


def train(
    run: Run,
    clock: Clock,
    sets: list[evaluate_zero_shot.ZeroShotSet],
    folder: Path,
    *,
    side: int,
    tell_every_s: float = 20,
    save_every_s: float = 180,
    evaluate_every_s: float = 420,
) -> None:
    """Train until the clock's budget is spent; writes joint.pt and joint.jsonl into `folder`."""
    weights = batches.weights(run.corpus)
    told = saved = measured = time.monotonic()
    since, sums = run.seen, dict.fromkeys(WEIGHTS, 0.0)
    counts = dict.fromkeys(WEIGHTS, 0)
    banks = refresh(run)
    run.share = clock.before_s / clock.budget_s
    while run.share < 1:
        factor = warm_cosine(run.share, run.step, warm=WARM)
        for group in run.optimizer.param_groups:
            group["lr"] = group["rate"] * factor
        if run.step % REFRESH == 0:
            banks = refresh(run)
        chosen = run.rng.choice(len(run.corpus), run.batch, p=weights)
        now_side = resolution(run.share, final=side)
        for name, value in step(run, clock, banks, chosen, now_side).items():
            sums[name] += value
            counts[name] += 1
        if not run.team.leads:
            continue  # the others wait at the next step while the leader writes or measures
        now = time.monotonic()
        if now - told > tell_every_s:
            means = {name: round(total / max(1, counts[name]), 4) for name, total in sums.items()}
            rate = (run.seen - since) / (now - told)
            _tell(run, clock, folder, side=now_side, rate=rate, **means)
            told, since, sums, counts = now, run.seen, dict.fromkeys(sums, 0.0), dict.fromkeys(counts, 0)
        if now - saved > save_every_s:
            checkpoint.save(folder / "joint.pt", run.state(clock))
            saved = time.monotonic()
        if sets and now - measured > evaluate_every_s:
            measure(run, clock, sets, folder, now_side)
            measured = time.monotonic()
            told, since = measured, run.seen
    if not run.team.leads:
        return
    checkpoint.save(folder / "joint.pt", run.state(clock))
    if sets:
        measure(run, clock, sets, folder, side)


def measure(
    run: Run, clock: Clock, sets: list[evaluate_zero_shot.ZeroShotSet], folder: Path, side: int
) -> None:
    """Zero-shot accuracies into the record."""
    found = evaluate_zero_shot.evaluate(run.model, sets, side)
    _tell(run, clock, folder, side=side, **{f"top1 {name}": round(value, 4) for name, value in found.items()})


def _tell(run: Run, clock: Clock, folder: Path, **values: float) -> None:
    scale = round(float(run.model.logit_scale.detach().exp()), 2)
    parts = [f"{name} {value:.4g}" for name, value in values.items()]
    print(
        f"joint: {run.step} steps, {run.seen} pictures, {', '.join(parts)}, scale {scale}, "
        f"{clock.left / 60:.1f} min left",
        flush=True,
    )
    checkpoint.log(
        folder / "joint.jsonl",
        step=run.step,
        seen=run.seen,
        hours=clock.elapsed / 3600,
        scale=scale,
        **values,
    )


def made_of(chosen: argparse.Namespace) -> Run:
    """A fresh run on the corpus, the words and the towers that were asked for."""
    from models.training import data, names, text

    corpus = data.load(chosen.corpus, chosen.cache)
    lesson = text.lesson(corpus, data.lvis_names(chosen.corpus), chosen.cache, chosen.words)
    model = tower.build(tower.config(chosen.image_tower, chosen.image_size)).to(tower.device())
    words = names.gather(corpus, chosen.words)
    made = begin(model, corpus, words, lesson, batch=chosen.batch, seed=chosen.seed)
    made.half_images = chosen.half_images
    return made


def run(chosen: argparse.Namespace) -> None:
    """The `joint` step of the command line."""
    started = made_of(chosen)
    model = started.model
    state = checkpoint.load(chosen.cache / "joint.pt")
    if state is not None:
        started.restore(state)
    elif chosen.begin_with is not None:
        started.seen = export.read(chosen.begin_with, model)
    else:
        learnt = checkpoint.load(chosen.cache / "text.pt")
        if learnt is None:
            raise FileNotFoundError(f"{chosen.cache}/text.pt is not there: run the step `text` first")
        model.text.load_state_dict(learnt["text"])
    sets = evaluate_zero_shot.read_sets(chosen.eval, chosen.cache)
    before = 0.0 if state is None else state["elapsed"]
    model.train()

    def work(team: Team) -> None:
        started.part_of(team, chosen.seed)
        clock = Clock(chosen.hours * 3600, before)
        train(started, clock, sets, chosen.cache, side=chosen.image_size)

    together(chosen.processes, work)
