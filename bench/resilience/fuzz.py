"""Made-up pictures, JSON and forms against a service for as long as is asked: what is answered with a 5xx.

python -m bench.resilience.fuzz --minutes 5

A finding's number makes it again: `python -m bench.resilience.fuzz --seed SEED --only NUMBER`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from bench.resilience.service import Service, serving
from tests import hostile

PIXEL: Final = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
BODIES: Final[Mapping[str, Any]] = {
    "/v1/classify": {
        "labels": ["cat", {"label": "dog", "aliases": ["hound"]}],
        "images": [PIXEL],
        "top_k": 1,
    },
    "/v1/classify?": {"labels": ["a > b", "a > c"], "images": [PIXEL], "mode": "single", "reject": True},
    "/v1/embeddings": {"input": ["a cat", {"image": PIXEL}], "encoding_format": "base64"},
    "/v1/embeddings/images": {"images": [PIXEL], "encoding_format": "float"},
    "/v1/label-sets/fuzz": {"labels": ["cat", "dog"], "template": ["photo"], "mode": "multi"},
    "/v1/label-sets/fuzz/labels/cat/examples": {"images": [PIXEL]},
    "/v1/label-sets/fuzz/calibration": {"images": [PIXEL] * 20, "labels": ["cat"] * 20},
    "/compat/huggingface": {"inputs": PIXEL, "parameters": {"candidate_labels": ["cat", "dog"]}},
    "/clip/compare": {"subject": "a", "subject_type": "text", "prompt": {"x": "b", "y": "c"}},
    "/clip/embed_text": {"text": ["a", "b"]},
    "/v2/models/embedded/infer": {
        "inputs": [{"name": "TEXT", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]}]
    },
}
ODD_TEXTS: Final = ("", "\0", "\ud800", "x" * 5000, "𝕏" * 400, "a > > b", "{}", "%")
ODD: Final = (
    *ODD_TEXTS,
    *(None, True, -1, 0, 1 << 63, 1e308, -0.0),
    *([], {}, [[]] * 50, [0] * 2000, ["a"] * 300, [None, "a"], {"label": "a"}, {"a": {"b": {"c": []}}}),
)
TEXTS: Final = (
    b"cat,dog",
    b'["cat", "dog"]',
    b"[[[[",
    b"1e999",
    b"true",
    b"\xff\xfe",
    b"\0",
    b"a" * 70_000,
    b"",
)
FIELDS: Final = (
    "labels",
    "images",
    "embeddings",
    "template",
    "top_k",
    "mode",
    "label_set",
    "entries",
    "text",
)


class Case(NamedTuple):
    """One request."""

    kind: str
    method: str
    path: str
    content_type: str
    body: bytes


def picture(chance: random.Random) -> Case:
    """A mutated file as the body."""
    _, data = hostile.mutated(chance)
    return Case("picture", "POST", "/v1/classify?labels=cat&labels=dog", "image/jpeg", data)


def json_body(chance: random.Random) -> Case:
    """A good body with odd values in some places; at times its bytes are mutated, too."""
    path = chance.choice(list(BODIES))
    value = json.loads(json.dumps(BODIES[path]))
    for _ in range(chance.choice((1, 1, 2, 4))):
        value = changed(value, chance)
    data = bytearray(json.dumps(value).encode())
    if chance.random() < 0.3:
        hostile.mutate(data, [json.dumps(body).encode() for body in BODIES.values()], chance)
    method = "PUT" if path == "/v1/label-sets/fuzz" else "POST"
    return Case("json", method, path.rstrip("?"), "application/json", bytes(data))


def changed(value: Any, chance: random.Random) -> Any:
    """The same with one place odd."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        key = chance.choice(list(value))
        return {**value, key: changed(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.7:
        at = chance.randrange(len(value))
        return [*value[:at], changed(value[at], chance), *value[at + 1 :]]
    return chance.choice(ODD)


def form(chance: random.Random) -> Case:
    """Fields and files, at times mutated as a whole."""
    parts = []
    for _ in range(chance.randrange(8)):
        name = chance.choice(FIELDS)
        file = b'; filename="a.png"' if chance.random() < 0.4 else b""
        content = hostile.mutated(chance)[1] if file else chance.choice(TEXTS)
        head = b'Content-Disposition: form-data; name="%b"%b' % (name.encode(), file)
        parts.append(b"--XX\r\n" + head + b"\r\n\r\n" + content + b"\r\n")
    data = bytearray(b"".join((*parts, b"--XX--\r\n")))
    if chance.random() < 0.5:
        hostile.mutate(data, [bytes(data)], chance)
    path = chance.choice(("/v1/classify", "/v1/embeddings/images", "/predict"))
    return Case("form", "POST", path, "multipart/form-data; boundary=XX", bytes(data))


KINDS: Final[tuple[Callable[[random.Random], Case], ...]] = (picture, json_body, form)


def case(seed: int, number: int) -> Case:
    """The same for the same two numbers."""
    return KINDS[number % len(KINDS)](random.Random(f"{seed} {number}"))


class Caller:
    """One after the other, on one connection as long as it is there."""

    def __init__(self, service: Service) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)

    def ask(self, asked: Case) -> int:
        """The status; 0 when there is no answer."""
        try:
            self._connection.request(
                asked.method, asked.path, asked.body, {"Content-Type": asked.content_type}
            )
            answer = self._connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0


def measure(minutes: float, seed: int = 0) -> dict[str, Any]:
    """Requests and their statuses by kind, the slowest of each kind, and the numbers of what is wrong."""
    statuses: dict[str, Counter[int]] = {}
    slowest: dict[str, float] = {}
    findings: list[tuple[int, int]] = []  # number, status
    number = 0
    with serving(log_level="error") as service:
        caller, over = Caller(service), time.monotonic() + minutes * 60
        while time.monotonic() < over and service.process.poll() is None:
            asked = case(seed, number)
            began = time.perf_counter()
            status = caller.ask(asked)
            took = (time.perf_counter() - began) * 1e3
            slowest[asked.kind] = max(slowest.get(asked.kind, 0.0), took)
            statuses.setdefault(asked.kind, Counter())[status] += 1
            if status == 0 or status >= 500:
                findings.append((number, status))
            number += 1
        alive = service.process.poll() is None and service.ask("GET", "/readyz") == 200
    return {
        "minutes": minutes,
        "seed": seed,
        "requests": number,
        "statuses": {kind: dict(sorted(found.items())) for kind, found in statuses.items()},
        "slowest_ms": {kind: round(ms) for kind, ms in slowest.items()},
        "findings": findings[:20],
        "found": len(findings),
        "alive_at_the_end": alive,
    }


def main() -> None:
    """By hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="ask this one and print it")
    arguments = parser.parse_args()
    if arguments.only is None:
        print(json.dumps(measure(arguments.minutes, arguments.seed)))
        return
    asked = case(arguments.seed, arguments.only)
    with serving() as service:
        print(asked, Caller(service).ask(asked))


if __name__ == "__main__":
    main()
