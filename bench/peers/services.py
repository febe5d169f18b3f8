"""Candid and its peers: how each is started, asked for a ranking, and what its answer says."""

from __future__ import annotations

import base64
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench import machine, weights
from bench.load import Turn, ask, connect, document, form
from bench.peers import environments
from bench.peers.environments import Unavailable

START_S = 300
TEMPLATE = "This is a photo of {}."  # the pipeline's own default; all are asked with it
TEMPERATURE = 0.07  # of a CLIP model before training; infinity_emb leaves it to its caller
ROOT = Path(__file__).parents[2]

Turns = Callable[[Sequence[bytes], Sequence[str]], Turn]
Answer = Callable[[list[bytes], Sequence[str]], dict[str, float]]


@dataclass(slots=True)
class Service:
    """A server under test."""

    name: str
    command: list[str]
    port: int
    environment: dict[str, str]
    ready: str  # path that is 200 when it takes requests
    turn: Turns  # pictures and labels -> the requests of one ranking
    answer: Answer  # their answers and the labels -> each label's probability for the first picture
    versions: list[str]
    pictures_a_request: int = 1  # where many are to be classified in one go
    clients: int = 8  # that send them
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(default_factory=lambda: Path(tempfile.mkstemp(suffix=".log")[1]))

    def start(self) -> None:
        """Returns when it takes requests; raises Unavailable with what it last said."""
        machine.refuse_taken(self.port, self.name)
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", **self.environment}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command, env=environment, stdout=log, stderr=log, cwd=ROOT)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self.ready}", timeout=5).close()
                return
            time.sleep(0.05)
        said = self.last_words()
        self.stop()
        raise Unavailable(f"it did not start: {said} ({', '.join(self.versions)})")

    def last_words(self) -> str:
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return (lines[-1] if lines else "it said nothing").replace(str(ROOT), ".")[:300]

    def probabilities(self, picture: bytes, labels: Sequence[str]) -> dict[str, float]:
        """One answer, read."""
        connection = connect(self.port)
        try:
            return self.answer(ask(connection, self.turn([picture], labels)), labels)
        finally:
            connection.close()

    def pause(self) -> None:
        """Let it take no time while another one is measured."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.resume()
            self.process.terminate()
            self.process.wait()
        self.log.unlink(missing_ok=True)

    def _signal(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def memory_mib(self, field: str) -> float:
        """Linux's VmRSS, the resident set, or VmHWM, the largest since the start."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kib = next(line.split()[1] for line in status.splitlines() if line.startswith(field))
        return int(kib) / 1024


def candid(texts: Path, port: int = 8301, model: str | None = None) -> Service:
    """With a ViT-B/32, or `model`; as shipped, but for two things that would hide its work: pictures are not
    remembered, and texts are kept in a new folder."""

    def turn(pictures: Sequence[bytes], labels: Sequence[str]) -> Turn:
        fields = [("template", TEMPLATE), ("labels", json.dumps(list(labels)))]
        return [form("/v1/classify", [("images", data) for data in pictures], fields)]

    def answer(bodies: list[bytes], labels: Sequence[str]) -> dict[str, float]:
        ranking = json.loads(bodies[0])["results"][0]["ranking"]
        return {row["label"]: row["probability"] for row in ranking}

    settings = {
        "CANDID_MODEL": model or str(weights.for_open_clip()),
        "CANDID_IMAGE_CACHE_BYTES": "0",
        "CANDID_TEXT_STORE_DIR": str(texts),
        "CANDID_LOG_LEVEL": "warning",
    }
    command = [str(Path(sys.executable).with_name("candid")), "serve", "--port", str(port)]
    openvino = machine.versions()["openvino"]  # what its towers run on, where it is there
    known = [] if openvino == "not installed" else [f"openvino=={openvino}"]
    service = Service("Candid", command, port, settings, "/readyz", turn, answer, known)
    service.pictures_a_request, service.clients = 50, 2
    return service


def pipeline() -> Service:
    return _behind_fastapi(
        "transformers pipeline + FastAPI", "pipeline", 8302, str(weights.for_transformers())
    )


def naive() -> Service:
    return _behind_fastapi("open_clip + FastAPI", "naive", 8303, str(weights.for_open_clip()))


def _behind_fastapi(name: str, module: str, port: int, model: str) -> Service:
    """One of the two small services of this folder."""

    def turn(pictures: Sequence[bytes], labels: Sequence[str]) -> Turn:
        fields = [("labels", label) for label in labels]
        return [form("/classify", [("image", data)], fields) for data in pictures]

    def answer(bodies: list[bytes], labels: Sequence[str]) -> dict[str, float]:
        return {row["label"]: row["score"] for row in json.loads(bodies[0])}

    python = str(environments.python_of(module))
    command = [python, "-m", "uvicorn", "--log-level", "error", "--port", str(port)]
    command.append(f"bench.peers.{module}:app")
    environment = {"BENCH_MODEL": model, "BENCH_TEMPLATE": TEMPLATE}
    known = environments.versions(module)
    return Service(name, command, port, environment, "/openapi.json", turn, answer, known)


def infinity() -> Service:
    """A call for the labels' vectors and one for the pictures'; the caller ranks."""

    def turn(pictures: Sequence[bytes], labels: Sequence[str]) -> Turn:
        texts = [TEMPLATE.replace("{}", label) for label in labels]
        data = [f"data:image/jpeg;base64,{base64.b64encode(each).decode()}" for each in pictures]
        asked = (("text", texts), ("image", data))
        return [document("/embeddings", {"model": "clip", "modality": k, "input": v}) for k, v in asked]

    def answer(bodies: list[bytes], labels: Sequence[str]) -> dict[str, float]:
        texts, images = ([row["embedding"] for row in json.loads(body)["data"]] for body in bodies)
        logits = [sum(map(float.__mul__, images[0], text)) / TEMPERATURE for text in texts]
        total = sum(math.exp(logit) for logit in logits)
        return {label: math.exp(logit) / total for label, logit in zip(labels, logits, strict=True)}

    python = environments.python_of("infinity")
    command = [str(python.with_name("infinity_emb")), "v2", "--model-id", str(weights.for_transformers())]
    command += ["--served-model-name", "clip", "--engine", "torch", "--device", "cpu", "--port", "8304"]
    # Its warm-up only prints timings; the first answer, which is not measured, warms all of them alike.
    command += ["--host", "127.0.0.1", "--no-model-warmup"]
    known = environments.versions("infinity")
    service = Service("infinity_emb", command, 8304, {"DO_NOT_TRACK": "1"}, "/health", turn, answer, known)
    service.pictures_a_request, service.clients = 25, 4  # it takes up to 32 a request
    return service
