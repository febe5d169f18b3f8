"""Which image tower learns most in the same time.

    python -m bench.towers hgnetv2_b0 resnet18:bf16 mobilenetv4_conv_small vit_tiny_patch16_224:bf16

Each tower is trained alone, from random weights, on one thread, against the frozen text teacher's vectors of
the class names (no text tower, so nothing else differs), then asked zero-shot. The minutes are the
processor's, so that other programs beside it take nothing from a tower. It needs the training's cache
(`python -m models.training prepare`) and appends its figures to bench/results/towers.json.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from models.training import batches, data, evaluate_zero_shot, losses, names, teacher, text, wordnet
from models.training.augment import augment
from models.training.data import Corpus
from models.training.learner import WEIGHTS
from models.training.schedule import warm_cosine

RESULTS = Path(__file__).parent / "results" / "towers.json"
DIM = teacher.DIM
BATCH, RATE, DECAY, WARM, SCALE = 64, 2e-3, 0.05, 60, 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("towers", nargs="+", help="timm names; `:bf16` behind one trains it in bfloat16")
    add("--minutes", type=float, default=2.0)
    add("--side", type=int, default=64, help="px")
    add("--shared", type=Path, default=Path("../shared"))
    add("--words", type=Path, default=wordnet.WORDNET)
    add("--cache", type=Path, default=Path("~/.cache/candid/training").expanduser())
    chosen = parser.parse_args()
    for name in evaluate_zero_shot.SETS:  # decoded into the cache before two processes want them
        _classes(chosen, name)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        rows = list(pool.map(trial, chosen.towers, [chosen] * len(chosen.towers)))
    known = json.loads(RESULTS.read_text()) if RESULTS.is_file() else []
    RESULTS.write_text(json.dumps([*known, *rows], indent=1) + "\n")


def trial(named: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Train one tower for the given minutes; returns its speed and accuracies."""
    import timm

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    tower, _, precision = named.partition(":")
    half = precision == "bf16"
    sized = {"img_size": chosen.side} if tower.startswith("vit") else {}
    model = timm.create_model(tower, pretrained=False, num_classes=DIM, **sized)
    model = model.to(memory_format=torch.channels_last)
    corpus = data.load(chosen.shared / "corpus", chosen.cache)
    words = names.gather(corpus, chosen.words)
    vector = _vectors(chosen, corpus, words.bank)
    classes, labels = vector([c[0] for c in corpus.classes]), vector(words.bank)
    head = torch.nn.Linear(model.head_hidden_size, corpus.features.shape[1])
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.98), weight_decay=DECAY, fused=True)
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    weights, step, scale = batches.weights(corpus), 0, torch.tensor(SCALE)
    began, share = time.process_time(), 0.0
    while share < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * warm_cosine(share, step, warm=WARM)
        rows = np.sort(rng.choice(len(corpus), BATCH, p=weights))
        pixels = augment(torch.from_numpy(corpus.images[rows]), chosen.side, generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            pooled = model.forward_head(model.forward_features(pixels), pre_logits=True)
            images = F.normalize(model.get_classifier()(pooled).float(), dim=-1)
        wanted = batches.teacher_features(corpus, rows)
        total = (
            WEIGHTS["soft"]
            * losses.soft_labels(images, classes, *_rows(corpus.soft_ids, corpus.soft_p, rows), scale)
            + WEIGHTS["labels"]
            * losses.soft_labels(images, labels, *_rows(words.bank_ids, words.bank_p, rows), scale)
            + WEIGHTS["features"] * losses.features(head(pooled.float()), torch.from_numpy(wanted))
        )
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        step += 1
        share = (time.process_time() - began) / (60 * chosen.minutes)
        if step % 200 == 0:
            print(f"{named}: {step * BATCH} pictures, loss {total.item():.3f}, {share:.0%}", flush=True)
    row = {
        "tower": named,
        "side": chosen.side,
        "minutes": chosen.minutes,
        "pictures": step * BATCH,
        "pictures_per_s": round(step * BATCH / (60 * chosen.minutes), 1),
        "parameters_m": round(sum(p.numel() for p in model.parameters()) / 1e6, 1),
        **_measure(model.eval(), vector, chosen),
    }
    print(json.dumps(row), flush=True)
    return row


def _measure(model: Any, vector: Any, chosen: argparse.Namespace) -> dict[str, float]:
    """Zero-shot top-1 on each evaluation set, and seconds for one picture."""
    found = {}
    for name in evaluate_zero_shot.SETS:
        each = evaluate_zero_shot.read_set(chosen.shared / "eval" / f"{name}.tar.gz", chosen.cache)
        guessed = (
            evaluate_zero_shot.encode_images(model, each.images, chosen.side) @ vector(each.classes).T
        ).argmax(dim=1)
        found[name] = round(float((guessed == each.labels).float().mean()), 4)
    one, times = torch.zeros(1, 3, chosen.side, chosen.side), []
    with torch.inference_mode():
        for _ in range(20):
            began = time.perf_counter()
            model(one.contiguous(memory_format=torch.channels_last))
            times.append(time.perf_counter() - began)
    return {**found, "one_picture_ms": round(1e3 * sorted(times)[10], 2)}


def _vectors(chosen: argparse.Namespace, corpus: Corpus, bank: list[str]) -> Any:
    """A function from names to the text teacher's centred vectors (N, D)."""
    lesson = text.lesson(corpus, data.lvis_names(chosen.shared / "corpus"), chosen.cache, chosen.words)
    index = {name.lower(): row for row, name in enumerate(lesson.texts)}
    mean = teacher.embed(list(wordnet.concrete_nouns(chosen.words)), chosen.cache, "nouns").rows.mean(axis=0)
    missing = [n for s in evaluate_zero_shot.SETS for n in _classes(chosen, s)] + bank
    missing = sorted({n.lower() for n in missing} - index.keys())
    extra = torch.from_numpy(
        teacher.centred(teacher.embed(missing, chosen.cache, f"towers-{os.getpid()}").rows, mean)
    )
    table = torch.cat([lesson.targets, extra])
    index |= {name: len(lesson.texts) + row for row, name in enumerate(missing)}
    return lambda wanted: table[[index[name.lower()] for name in wanted]]


def _classes(chosen: argparse.Namespace, name: str) -> list[str]:
    return evaluate_zero_shot.read_set(chosen.shared / "eval" / f"{name}.tar.gz", chosen.cache).classes


def _rows(ids: Any, p: Any, rows: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(ids[rows]), torch.from_numpy(p[rows])


if __name__ == "__main__":
    main()
