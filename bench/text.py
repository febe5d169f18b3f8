"""What labels cost: `python -m bench.text --rounds 5`.

"encode": labels of one to five words through the text tower of ViT-B/32, in chunks by length: by open_clip
(`encode_text`), by torch on as many positions as needed, by the runner that serves; with the largest
difference. "rank": what 100,000 labels whose matrix is kept add to one picture's answer. "served": the same
1,000 labels again, and in a new process that finds them on disk; and what small requests take beside one of
1,000 labels in 80 templates.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from app.model_loading import load_options
from app.settings import Settings
from bench import machine, photographs, weights
from bench.encoders import REST_S
from bench.load import Request, Timing, ask, burst, connect, form, metrics
from bench.peers import services
from bench.peers.services import Service
from models.batching.text_embeddings import CHUNK
from models.encoders import choose
from models.encoders.build import build
from models.encoders.encoder import Encoder
from models.encoders.torch_runner import TorchRunner
from models.labels.label_matrix import LabelMatrix
from models.pretrained import files
from models.pretrained.tokenizer import Tokens
from models.scoring import out_of_set, ranking

RESULTS = Path(__file__).parent / "results" / "text.json"
PORT = 8313
MANY = 100_000  # labels
PHOTOGRAPH = photographs.small(1)[0]
DIMENSIONS = {"ViT-B-32": 512, "embedded": 384}


def nouns(count: int) -> list[str]:
    """Labels of one to five words."""
    words = [noun for noun in out_of_set.nouns() if len(noun.split()) <= 5]
    return [words[i] if i < len(words) else f"{words[i % len(words)]} {i}" for i in range(count)]


def encoding(asked: argparse.Namespace) -> dict[str, Any]:
    """Seconds for 256 labels, each way in turn."""
    source = files.resolve(str(weights.for_open_clip()))
    towers, known, tokenizer = build(source, "cpu", "fp32", None)
    model, tokens = towers.text.model, Tokens(tokenizer, towers.context_length)
    exports = load_options(Settings()).encoder_dir
    name = choose.choose("auto", device="cpu", precision="fp32", exports=exports)
    served: Any = TorchRunner(towers)
    if name == "openvino" and exports is not None:
        kept = choose.kept(source, precision="fp32", exports=exports)
        made = kept[0] if kept else None
        served = made or choose.export(towers, known, source, precision="fp32", exports=exports)
    labels = sorted(nouns(256), key=len, reverse=True)
    chunks = [tokens.encode(labels[i : i + CHUNK]) for i in range(0, len(labels), CHUNK)]  # each (CHUNK, L)

    def through(runner: Any) -> Callable[[NDArray[np.int64]], Any]:
        encoder = Encoder(runner, device="cpu", end_of_text=towers.end_of_text)
        return encoder.texts

    @torch.inference_mode()
    def whole(chunk: NDArray[np.int64]) -> Any:
        return model.encode_text(torch.from_numpy(chunk), normalize=True).numpy()

    ways = {"open_clip": whole, "torch, trimmed": through(TorchRunner(towers)), "served": through(served)}
    rows = {way: np.concatenate([encode(chunk) for chunk in chunks]) for way, encode in ways.items()}
    taken: dict[str, list[float]] = {way: [] for way in ways}
    with machine.quiet(asked.quiet):
        for turn in range(asked.rounds):
            for way, encode in machine.rotated(list(ways.items()), turn):
                time.sleep(REST_S)
                started = time.perf_counter()
                for chunk in chunks:
                    encode(chunk)
                taken[way].append(time.perf_counter() - started)
    return {
        "served_by": served.name,
        "texts_per_s": {way: round(len(labels) / statistics.median(each), 1) for way, each in taken.items()},
        "times_as_fast": {
            way: round(statistics.median(a / b for a, b in zip(taken["open_clip"], each, strict=True)), 2)
            for way, each in taken.items()
        },
        "largest_difference": {
            way: float(f"{np.abs(each - rows['open_clip']).max():.1e}") for way, each in rows.items()
        },
    }


def ranked(asked: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds to rank 100,000 labels for one picture, the five best built."""
    rng, found = np.random.default_rng(0), {}
    for name, dimension in DIMENSIONS.items():
        vectors = rng.standard_normal((MANY, dimension), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        matrix = LabelMatrix(tuple(nouns(MANY)), vectors)
        taken = []
        with machine.quiet(asked.quiet):
            for row in range(50):
                started = time.perf_counter()
                best = ranking.rank(vectors[row], matrix, logit_scale=100.0, top_k=5)
                taken.append(time.perf_counter() - started)
                assert len(best) == 5
        found[name] = {"labels": MANY, "dimension": dimension, "ms": round(1e3 * statistics.median(taken), 2)}
    return found


def service_in(texts: Path) -> Service:
    service = services.candid(texts, port=PORT)
    service.environment |= {"CANDID_MODEL": "embedded", "CANDID_REQUEST_TIMEOUT_S": "900"}
    return service


def request(labels: list[str], *templates: str) -> Request:
    fields = [("labels", json.dumps(labels)), ("top_k", "5"), *(("template", each) for each in templates)]
    return form("/v1/classify", [("images", PHOTOGRAPH)], fields)


def seconds(asked: Request) -> float:
    connection = connect(PORT)
    started = time.perf_counter()
    ask(connection, [asked])
    connection.close()
    return time.perf_counter() - started


def served() -> dict[str, Any]:
    """The embedded model behind HTTP: the same labels again, in a new process, and in 80 templates."""
    labels, few = nouns(1000), request(["cat", "dog"])
    with tempfile.TemporaryDirectory() as texts:
        service = service_in(Path(texts))
        service.start()
        try:
            seconds(few)
            first, again = seconds(request(labels)), seconds(request(labels))
            time.sleep(1)  # what is new is written beside the answers
        finally:
            service.stop()
        service.start()
        try:
            seconds(few)
            restarted = seconds(request(labels))
            alone = burst(PORT, itertools.repeat([few]), clients=1, seconds=5)
            beside, seen = beside_many(request(labels, "openai-80"), few)
        finally:
            service.stop()
    return {
        "first_s": round(first, 3),
        "again_s": round(again, 3),
        "after_a_restart_s": round(restarted, 3),
        "80_templates": {
            "small_request_alone_ms": percentiles(alone),
            "small_request_beside_ms": percentiles(beside),
            "texts_waiting_each_second": seen,
        },
    }


def beside_many(large: Request, few: Request) -> tuple[Timing, list[int]]:
    """Small requests for ten seconds beside one of 80,000 prompts, whose end nobody waits for."""
    seen: list[int] = []
    stop = threading.Event()

    def send() -> None:
        with suppress(OSError, http.client.HTTPException, RuntimeError):  # the server is stopped meanwhile
            seconds(large)

    def watch() -> None:
        while not stop.wait(1):
            seen.append(int(metrics(PORT)["candid_texts_waiting"]))

    threading.Thread(target=send, daemon=True).start()
    time.sleep(2)
    watcher = threading.Thread(target=watch)
    watcher.start()
    beside = burst(PORT, itertools.repeat([few]), clients=1, seconds=10)
    stop.set()
    watcher.join()
    return beside, seen


def percentiles(timing: Timing) -> dict[str, float]:
    """Milliseconds. Raises RuntimeError for a burst in which not every request was answered."""
    if timing.errors:
        raise RuntimeError(f"{timing.errors} small requests failed")
    return {"p50": round(1e3 * timing.median, 1), "p99": round(1e3 * timing.percentile(0.99), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quiet", help="a command, called with `begin` and `end` around what is timed")
    asked = parser.parse_args()
    result = {
        "command": f"python -m bench.text --rounds {asked.rounds}",
        "machine": machine.describe(),
        "versions": machine.versions(),
        "encode": encoding(asked),
        "rank": ranked(asked),
    }
    with machine.quiet(asked.quiet):
        result["served"] = served()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
