"""Traces, as a collector gets them from a real `candid serve`: OTLP over HTTP, in protobuf."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.fork_server import CANDID
from tests.server import Server

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PATIENCE_S = 60.0

pytestmark = pytest.mark.slow


class Collector:
    """Keeps what is sent to /v1/traces."""

    def __init__(self) -> None:
        self.received: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/traces":
                    collector.received.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self) -> list[Any]:
        return [
            span
            for request in self.received
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def served(candid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """`candid serve` with OpenTelemetry's variables."""
    started: list[Server] = []

    def serve(**variables: str) -> Server:
        for name, value in variables.items():
            monkeypatch.setenv(f"OTEL_{name}", value)
        started.append(Server(tmp_path, candid))
        started[-1].wait_until_ready()
        return started[-1]

    yield serve
    for server in started:
        if server.process.poll() is None:
            server.stop()


def classify(server: Server, picture: bytes, **headers: str) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{server.url}/v1/classify?labels=cat&labels=rocket",
        picture,
        {"Content-Type": "image/jpeg", **headers},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        answer: dict[str, Any] = json.load(reply)
    return answer


def test_a_request_is_a_span_with_its_steps_in_their_order(
    served: Callable[..., Server], collector: Collector, photographs: dict[str, bytes]
) -> None:
    server = served(EXPORTER_OTLP_ENDPOINT=collector.url)
    classify(server, photographs["cat"], traceparent=f"00-{TRACE}-{CALLER}-01")
    assert server.stop() == 0  # what was not sent yet is sent now
    spans = {span.name: span for span in collector.spans()}
    assert len(spans) == len(collector.spans()), "readiness is not traced"
    whole = spans.pop("POST /v1/classify")
    assert (whole.trace_id.hex(), whole.parent_span_id.hex()) == (TRACE, CALLER)
    assert set(spans) == {"read", "labels", "decode", "queue", "encode", "rank"}
    for span in spans.values():
        assert (span.trace_id.hex(), span.parent_span_id) == (TRACE, whole.span_id)
        assert whole.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= whole.end_time_unix_nano
    one_by_one = [spans[name] for name in ("read", "decode", "queue", "encode", "rank")]
    for before, after in pairwise(one_by_one):
        assert before.end_time_unix_nano <= after.start_time_unix_nano + 1000, (before.name, after.name)
    assert spans["encode"].attributes[0].key == "candid.batch"
    assert spans["encode"].attributes[0].value.int_value == 1
    resource = collector.received[0].resource_spans[0].resource
    assert {item.key: item.value.string_value for item in resource.attributes}["service.name"] == "candid"
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    (line,) = [line for line in lines if line.get("route") == "/v1/classify"]
    assert (line["trace_id"], line["span_id"]) == (TRACE, whole.span_id.hex())


def test_a_picture_from_the_cache_is_not_encoded_and_who_is_not_sampled_not_traced(
    served: Callable[..., Server], collector: Collector, photographs: dict[str, bytes]
) -> None:
    server = served(EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.url}/v1/traces")
    classify(server, photographs["cat"], traceparent=f"00-{TRACE}-{CALLER}-00")
    classify(server, photographs["cat"], traceparent=f"00-{TRACE}-{CALLER}-01")
    assert server.stop() == 0
    assert sorted(span.name for span in collector.spans()) == [
        *("POST /v1/classify", "decode", "labels", "rank", "read")
    ]


@pytest.mark.parametrize("answers", [False, True])
def test_a_collector_that_is_away_or_silent_holds_up_nobody(
    served: Callable[..., Server], photographs: dict[str, bytes], answers: bool
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if answers:
            silent.listen()
        server = served(EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert classify(server, photographs["cat"])["results"][0]["ranking"][0]["label"] == "cat"
        server.process.terminate()
        assert server.process.wait(PATIENCE_S) == 0


def test_without_the_extra_it_does_not_start_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['opentelemetry.sdk'] = None\n")
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [str(CANDID), "serve", "--port", "0"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 1
    assert json.loads(done.stderr.splitlines()[-1])["message"] == (
        "traces need OpenTelemetry: pip install 'candid[traces]'"
    )
