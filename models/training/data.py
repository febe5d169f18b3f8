"""The corpus, decoded once into memory-mapped arrays: pictures, texts, soft labels, teacher features.

Notable: every picture is squashed to one square of uint8 and lies in one .npy file, so that training reads it
without a decoder and an interrupted `prepare` leaves nothing half believed (files are renamed when whole).
Refuses to know about models and losses.
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 128  # px; the corpus' pictures have a shorter side of at most this
SOFT = 8  # soft labels a picture, at most


@dataclass(frozen=True, slots=True)
class Corpus:
    """N pictures with what is known of each."""

    images: NDArray[np.uint8]  # (N, SIDE, SIDE, 3)
    sources: list[str]  # N
    wnids: list[str | None]  # N: WordNet offset after an "n", where the source tells
    texts: list[tuple[str, ...]]  # N: captions, or labels from fine to coarse
    soft_ids: NDArray[np.int64]  # (N, SOFT) ImageNet classes, padded with 0
    soft_p: NDArray[np.float32]  # (N, SOFT) their probabilities, padded with 0; rows sum to 1
    features: NDArray[np.float32]  # (M, 160) the image teacher's features of the first M pictures
    classes: list[tuple[str, ...]]  # 1,000 ImageNet classes, each with its synonyms

    def __len__(self) -> int:
        return len(self.sources)


def read_shard(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The samples of one WebDataset shard: description and picture file."""
    described: dict[str, dict[str, Any]] = {}
    pictures: dict[str, bytes] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is None:
                continue
            key, _, suffix = member.name.rpartition(".")
            if suffix == "json":
                described[key] = json.loads(file.read())
            else:
                pictures[key] = file.read()
            if key in described and key in pictures:
                yield described.pop(key), pictures.pop(key)


def squash(data: bytes) -> NDArray[np.uint8]:
    """A picture file -> (SIDE, SIDE, 3), whatever its shape was."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    if picture.size != (SIDE, SIDE):
        picture = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(picture)


def _decode(shard: Path, target: Path) -> int:
    """One shard -> `target`.npy and `target`.json; returns how many samples."""
    described, pictures = [], []
    for sample, data in read_shard(shard):
        described.append(sample)
        pictures.append(squash(data))
    np.save(target.with_suffix(".npy"), np.stack(pictures))
    target.with_suffix(".json").write_text(json.dumps(described))
    return len(described)


def prepare(corpus: Path, cache: Path, *, workers: int = 2) -> None:
    """Decode every shard of `corpus` into `cache`; does nothing when that is done already."""
    done = cache / "corpus.json"
    if done.is_file():
        return
    cache.mkdir(parents=True, exist_ok=True)
    shards = sorted(corpus.glob("train-*.tar.gz"))
    if not shards:
        raise FileNotFoundError(f"{corpus} holds no train-*.tar.gz")
    parts = [cache / f"part-{i:03d}" for i in range(len(shards))]
    began, total = time.monotonic(), 0
    with ProcessPoolExecutor(workers) as pool:
        for i, count in enumerate(pool.map(_decode, shards, parts)):
            total += count
            print(f"decoded shard {i + 1}/{len(shards)}: {total} pictures, {time.monotonic() - began:.0f} s")
    images = np.lib.format.open_memmap(
        cache / "images.tmp", mode="w+", dtype=np.uint8, shape=(total, SIDE, SIDE, 3)
    )
    described, start = [], 0
    for part in parts:
        pixels = np.load(part.with_suffix(".npy"), mmap_mode="r")
        images[start : start + len(pixels)] = pixels
        start += len(pixels)
        described += json.loads(part.with_suffix(".json").read_text())
    images.flush()
    (cache / "images.tmp").rename(cache / "images.npy")
    for part in parts:
        part.with_suffix(".npy").unlink()
        part.with_suffix(".json").unlink()
    (cache / "corpus.tmp").write_text(json.dumps(described))
    (cache / "corpus.tmp").rename(done)


def load(corpus: Path, cache: Path) -> Corpus:
    """What `prepare` wrote, the pictures memory-mapped."""
    described = json.loads((cache / "corpus.json").read_text())
    soft_ids = np.zeros((len(described), SOFT), np.int64)
    soft_p = np.zeros((len(described), SOFT), np.float32)
    for row, sample in enumerate(described):
        for column, (label, p) in enumerate(sample["soft"][:SOFT]):
            soft_ids[row, column], soft_p[row, column] = label, p
    soft_p /= np.maximum(soft_p.sum(axis=1, keepdims=True), 1e-6)
    teacher = np.load(corpus / "teacher_features.npz")
    return Corpus(
        images=np.load(cache / "images.npy", mmap_mode="r"),
        sources=[sample["source"] for sample in described],
        wnids=[sample.get("wnid") for sample in described],
        texts=[tuple(sample.get("captions") or sample["labels"]) for sample in described],
        soft_ids=soft_ids,
        soft_p=soft_p,
        features=teacher["features"].astype(np.float32) * teacher["scale"].astype(np.float32),
        classes=class_names(corpus),
    )


def class_names(corpus: Path) -> list[tuple[str, ...]]:
    """The 1,000 ImageNet classes of the soft labels, each with its synonyms, the usual name first."""
    lines = (corpus / "imagenet_classes.txt").read_text().splitlines()
    return [tuple(name.strip() for name in line.split(",")) for line in lines]


def lvis_names(corpus: Path) -> list[str]:
    """1,203 names of everyday things; only the names are used, not the embeddings beside them."""
    with np.load(corpus / "clip_text_embeddings.npz") as stored:
        return [str(name) for name in stored["names"]]


def run(chosen: argparse.Namespace) -> None:
    """The `prepare` step of the command line."""
    prepare(chosen.corpus, chosen.cache, workers=chosen.processes)
