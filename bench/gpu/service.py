"""The service beside its own encoder: pictures read and encoded in this process, then asked for over HTTP."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import models
from bench import bare, load, photographs
from bench.gpu import speed
from bench.gpu.apart import Notes
from bench.gpu.work import Work
from bench.resilience import overload
from bench.resilience.service import Service, serving
from models.classifier import Classifier, ServingOptions
from models.encoders.cuda_runner import CudaRunner

CLIENTS = (1, 32, 256)
BATCH = 256  # pictures at most: as many as there are clients


def measure(work: Work, note: Notes, architecture: str) -> None:
    """Pictures a second: bare encoder, decoding alone, both in one process, and answers over HTTP."""
    files = photographs.small(8 if work.tiny else 256)
    settings = {"device": work.device, "precision": work.half, "encoder": "torch"}
    serves = ServingOptions(max_batch=BATCH, image_cache_bytes=0)
    spec = str(work.model(architecture).resolve())
    classifier = models.load(spec, models.LoadOptions(serving=serves, **settings))
    try:
        note(batch=len(files), **in_process(work, classifier, files))
    finally:
        classifier.close()
    del classifier
    speed.give_back(work)
    limits = {"max_batch": BATCH, "max_slots": 2 * BATCH, "image_cache_bytes": 0, "log_level": "warning"}
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(model=spec, text_store_dir=f"{folder}/texts", **settings, **limits) as service,
    ):
        ask(work, service, Path(folder), files, 1)  # the labels are encoded now
        rows: list[dict[str, Any]] = []
        for clients in CLIENTS:
            rows.append({"clients": clients, **ask(work, service, Path(folder), files, clients)})
            note(service=rows)
        note(resident_mib=round(service.memory()), device_mib_in_use=speed.in_use(work))


def in_process(work: Work, classifier: Classifier, files: Sequence[bytes]) -> dict[str, float]:
    encode = bare.encoder(classifier)
    batch = [bare.pixels(classifier, data) for data in files]
    encode(batch)
    callers = CudaRunner.workers if work.device.startswith("cuda") else 1
    with ThreadPoolExecutor() as pool:
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < work.spend_s:
            done += len(list(pool.map(lambda data: bare.pixels(classifier, data), files)))
        decoding = done / (time.perf_counter() - began)
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < 2 * work.spend_s:
        for each in [classifier.embed_image(data) for data in files]:
            each.result()
        done += len(files)
    both = done / (time.perf_counter() - began)
    return {
        "bare_per_s": round(speed.together(work, encode, batch, callers), 1),
        "decoding_per_s": round(decoding, 1),
        "with_decoding_per_s": round(both, 1),
    }


def ask(work: Work, service: Service, folder: Path, files: Sequence[bytes], clients: int) -> dict[str, Any]:
    """`clients` connections, a picture each: answers a second, their times, the service's processor time."""
    seconds = 0.3 if work.tiny else 4.0
    cpu, before = service.metric("process_cpu_seconds_total"), counters(service)
    began = time.perf_counter()
    if shutil.which("cc"):  # threads of Python ask for some thousands a second at most
        found = overload.offer(folder, service.port, -clients, seconds, files)
        answers = found["statuses"].get("200", {"count": 0, "p50_ms": 0.0, "p99_ms": 0.0})
        others = found["lost"] + sum(each["count"] for each in found["statuses"].values()) - answers["count"]
        figures = {"client": "open_loop.c", "per_s": answers["count"] / (time.perf_counter() - began)}
        figures |= {"p50_ms": answers["p50_ms"], "p99_ms": answers["p99_ms"], "errors": others}
    else:
        timing = load.burst(service.port, turns(files), clients=clients, seconds=seconds)
        figures = {"client": "bench.load", "per_s": timing.rate, "errors": timing.errors}
        figures |= {"p50_ms": timing.median * 1e3, "p99_ms": timing.percentile(0.99) * 1e3}
    wall, after = time.perf_counter() - began, counters(service)
    cores = (service.metric("process_cpu_seconds_total") - cpu) / wall
    mean = (after[0] - before[0]) / max(1.0, after[1] - before[1])
    rounded = {key: round(value, 2) if isinstance(value, float) else value for key, value in figures.items()}
    return {**rounded, "mean_batch": round(mean, 1), "cores_busy": round(cores, 2)}


def turns(files: Sequence[bytes]) -> Iterator[load.Turn]:
    headers = {"Content-Type": "image/jpeg"}
    return itertools.cycle([[load.Request(overload.PATH, data, headers)] for data in files])


def counters(service: Service) -> tuple[float, float]:
    """Pictures encoded and batches made since the service started."""
    found = load.metrics(service.port)
    return found["candid_images_encoded_total"], found["candid_image_batches_total"]
