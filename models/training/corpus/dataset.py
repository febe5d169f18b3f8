"""The corpus: WebDataset shards -> one file of encoded pictures, and what is known of each.

Notable: pictures stay encoded (210 MB), so that each crop is cut from the sharpest there is. Files are
renamed when whole, so an interrupted `prepare` leaves nothing half believed. Refuses to know about models.
"""

from __future__ import annotations

import argparse
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHARDS = ("train-*.tar.gz", "add-*.tar.gz")


@dataclass(frozen=True, slots=True)
class Corpus:
    """N pictures with what is known of each."""

    files: NDArray[np.uint8]  # (bytes,) all picture files, one after another
    ends: NDArray[np.int64]  # (N,) where each of them ends
    sources: list[str]  # N
    wnids: list[str | None]  # N: WordNet offset after an "n", where the source tells
    texts: list[tuple[str, ...]]  # N: captions, or labels from fine to coarse
    captioned: NDArray[np.bool_]  # (N,) the texts are captions
    classes: list[tuple[str, ...]]  # 1,000 ImageNet classes, each with its synonyms

    def __len__(self) -> int:
        return len(self.sources)

    def picture(self, i: int) -> bytes:
        """The file of picture `i`."""
        start = int(self.ends[i - 1]) if i else 0
        return self.files[start : int(self.ends[i])].tobytes()


def shards(corpus: Path) -> list[Path]:
    """The corpus' shards, always in the same order."""
    found = [path for pattern in SHARDS for path in sorted(corpus.glob(pattern))]
    if not found:
        raise FileNotFoundError(f"{corpus} holds no {' or '.join(SHARDS)}")
    return found


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


def prepare(corpus: Path, cache: Path) -> None:
    """Copy every shard's pictures and descriptions into `cache`; does nothing when that is done already."""
    done = cache / "corpus.json"
    if done.is_file():
        return
    cache.mkdir(parents=True, exist_ok=True)
    described, ends = [], [0]
    with (cache / "pictures.tmp").open("wb") as pictures:
        for shard in shards(corpus):
            for sample, data in read_shard(shard):
                described.append(sample)
                ends.append(ends[-1] + pictures.write(data))
            print(f"prepare: {shard.name}, {len(described)} pictures", flush=True)
    (cache / "pictures.tmp").rename(cache / "pictures.bin")
    (cache / "corpus.tmp").write_text(json.dumps({"samples": described, "ends": ends[1:]}))
    (cache / "corpus.tmp").rename(done)


def load(corpus: Path, cache: Path) -> Corpus:
    """What `prepare` wrote, the pictures memory-mapped."""
    kept = json.loads((cache / "corpus.json").read_text())
    samples = kept["samples"]
    return Corpus(
        files=np.memmap(cache / "pictures.bin", np.uint8, "r"),
        ends=np.array(kept["ends"]),
        sources=[sample["source"] for sample in samples],
        wnids=[sample.get("wnid") for sample in samples],
        texts=[tuple(sample.get("captions") or sample["labels"]) for sample in samples],
        captioned=np.array(["captions" in sample for sample in samples]),
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
    prepare(chosen.corpus, chosen.cache)
