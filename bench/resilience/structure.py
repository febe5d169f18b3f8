"""JSON that is small on the wire and large in memory, and forms that are slow to look through; four at once.

python -m bench.resilience.structure
"""

from __future__ import annotations

import json

from bench.resilience.service import MIB, at_once, serving, watched

AT_ONCE = 4
FORM = "multipart/form-data; boundary=XX"


def repeated(start: bytes, unit: bytes, end: bytes) -> bytes:
    """60 MB of one thing."""
    return start + unit * (60 * MIB // len(unit)) + end


def bodies() -> dict[str, tuple[str, bytes]]:
    """By name: the content type and the body."""
    head = b'--XX\r\nContent-Disposition: form-data; name="template"\r\n\r\n'
    field = head + b"a" * (4 * MIB - 1) + b"\r\n"
    return {
        "empty_lists": ("application/json", repeated(b'{"labels":[', b"[],", b"[]]}")),
        "numbers": ("application/json", repeated(b'{"labels":[', b"1,", b"1]}")),
        "texts": ("application/json", repeated(b'{"labels":[', b'"a",', b'"a"]}')),
        "objects": ("application/json", repeated(b'{"labels":[', b'{"a":1},', b"{}]}")),
        "escapes": ("application/json", repeated(b'{"labels":["', rb"\u0061", b'"]}')),
        "one_text": ("application/json", repeated(b'{"labels":["', b"a", b'"]}')),
        "form_fields": (FORM, field * 14 + b"--XX--\r\n"),
    }


def measure() -> dict[str, dict[str, float]]:
    """For each kind of body: memory, the longest wait for /healthz, and the status."""
    found = {}
    for name, (kind, body) in bodies().items():
        statuses: list[int] = []

        def ask(kind: str = kind, body: bytes = body, told: list[int] = statuses) -> None:
            told.append(service.ask("POST", "/v1/classify", body, kind))

        with serving(log_level="warning") as service, watched(service) as seen:
            at_once(AT_ONCE, ask)
        found[name] = {
            "grown_mib": round(seen.grown_mib),
            "healthz_slowest_ms": round(seen.slowest_ms),
            "status": max(statuses),
        }
    return found


if __name__ == "__main__":
    print(json.dumps(measure()))
