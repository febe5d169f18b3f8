"""Candid on Ray Serve, started as deploy/ray/serve.yaml says, two replicas of everything on this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import postgres
from tests.app.conftest import ASK
from tests.server import Server

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
START_TIMEOUT_S = 300
CLIENTS = 4
LABELS = ["cat", "coffee cup", "astronaut", "rocket"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray: make ray"),
]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass
class Cluster:
    """Ray on this machine with Candid on it."""

    folder: Path  # short: Ray's sockets are below it
    database_url: str
    port: int = field(default_factory=_free_port)
    dashboard: int = field(default_factory=_free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "CANDID_DATABASE_URL": self.database_url,
            "RAY_worker_niceness": "0",  # else whatever runs beside the tests comes first
        }
        command = [str(BIN / "ray"), "start", "--head", "--block", "--disable-usage-stats"]
        ports = ["--port", str(_free_port()), "--dashboard-port", str(self.dashboard)]
        sizes = ["--num-cpus", "8", "--object-store-memory", str(200 << 20)]
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(
                [*command, *ports, *sizes, "--temp-dir", str(self.folder)],
                env=environment,
                stdout=log,
                stderr=log,
            )

    def deploy(self, **settings: Any) -> None:
        """`serve deploy` of the file but for its replicas and ports; when Candid runs, a rolling update."""
        import yaml

        config = yaml.safe_load((ROOT / "deploy/ray/serve.yaml").read_text(encoding="utf-8"))
        config["http_options"] |= {"host": "127.0.0.1", "port": self.port}
        [application] = config["applications"]
        application["args"] |= {"image_cache_bytes": 0, "warm_vocabularies": False} | settings
        for deployment in application["deployments"]:
            if deployment.pop("autoscaling_config", None):
                deployment["num_replicas"] = 2
        file = self.folder / "serve.yaml"
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        command = [str(BIN / "serve"), "deploy", str(file), "-a", f"http://127.0.0.1:{self.dashboard}"]
        deadline = time.monotonic() + START_TIMEOUT_S
        while (done := subprocess.run(command, capture_output=True, text=True)).returncode:
            assert time.monotonic() < deadline, done.stderr  # the dashboard takes a while
            time.sleep(1)

    def status(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.dashboard}/api/serve/applications/") as answer:
            document: dict[str, Any] = json.load(answer)
        status: dict[str, Any] = document["applications"].get("candid", {})
        return status

    def replicas(self, deployment: str) -> dict[str, int]:
        """Ids and processes of those that run."""
        known = self.status()["deployments"][deployment]["replicas"]
        return {each["replica_id"]: each["pid"] for each in known if each["state"] == "RUNNING"}

    def calls(self, deployment: str, what: str) -> Counter[str]:
        """How many each replica has answered, as Serve's own logs have it."""
        logs = (self.folder / "session_latest/logs/serve").glob(f"replica_candid_{deployment}_*.log")
        return Counter({log.name: log.read_text().count(what) for log in logs})

    def wait(self) -> None:
        """Until all runs that was deployed."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while (status := self.status()).get("status") != "RUNNING":
            assert time.monotonic() < deadline and status.get("status") != "DEPLOY_FAILED", status
            time.sleep(0.5)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with (
        pytest.MonkeyPatch.context() as patch,
        postgres.server() as url,
        tempfile.TemporaryDirectory(prefix="ray-") as folder,
    ):
        patch.setenv("RAY_AUTH_MODE", "disabled")  # else it wants a token where the user's home has one
        cluster = Cluster(Path(folder), url)
        ray = cluster.start()
        try:
            cluster.deploy()
            cluster.wait()
            yield cluster
        finally:
            ray.terminate()
            ray.wait(60)


def ask(url: str, path: str, body: Any, method: str = "POST") -> Any:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def classify(url: str, photograph: bytes, **more: Any) -> Any:
    import base64

    image = base64.b64encode(photograph).decode()
    return ask(url, "/v1/classify", {"images": [image], **more})


@contextmanager
def load(url: str, photograph: bytes) -> Iterator[Counter[str]]:
    """Clients that ask one request after the other meanwhile; what came of them is counted."""
    outcomes: Counter[str] = Counter()
    ends = threading.Event()

    def client() -> None:
        while not ends.is_set():
            try:
                answer = classify(url, photograph, labels=LABELS)
                outcomes[answer["results"][0]["ranking"][0]["label"]] += 1
            except (urllib.error.URLError, OSError) as error:
                outcomes[repr(error)] += 1

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    try:
        yield outcomes
    finally:
        ends.set()
        for each in clients:
            each.join()


def test_answers_are_those_of_candid_serve_bit_for_bit(
    cluster: Cluster, server: Server, photographs: dict[str, bytes]
) -> None:
    for photograph in photographs.values():
        ours, theirs = (classify(url, photograph, labels=LABELS) for url in (cluster.url, server.url))
        assert ours["results"][0]["ranking"] == theirs["results"][0]["ranking"]
    question = {"input": ["a cat", "a photo of a rocket"]}
    ours, theirs = (ask(url, "/v1/embeddings", question) for url in (cluster.url, server.url))
    assert ours["data"] == theirs["data"]


def test_it_passes_the_tests_of_the_routes(cluster: Cluster) -> None:
    """Those that ask the service with its default settings, over the network."""
    metrics = "tests/app/routes/test_classify.py::test_a_repeated_label_set_costs_no_text_encoding"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/app/routes"]
    command += ["--deselect", metrics]  # it asks /metrics, which is one replica's
    environment = os.environ | {ASK: cluster.url}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 300


def test_a_label_set_changed_through_one_replica_is_seen_by_the_other(
    cluster: Cluster, photographs: dict[str, bytes]
) -> None:
    for labels in (["cat", "dog"], ["cat", "rocket", "cup"]):
        ask(cluster.url, "/v1/label-sets/shared", {"labels": labels}, method="PUT")
        before, deadline = cluster.calls("ingress", "POST / 200"), time.monotonic() + 30
        while len(cluster.calls("ingress", "POST / 200") - before) < 2:  # until both replicas were asked
            assert time.monotonic() < deadline
            ranking = classify(cluster.url, photographs["cat"], label_set="shared")["results"][0]["ranking"]
            assert sorted(ranked["label"] for ranked in ranking) == sorted(labels)


def test_encoder_replicas_have_even_shares_and_no_picture_is_lost_with_its_replica(
    cluster: Cluster, photographs: dict[str, bytes]
) -> None:
    victim, process = next(iter(cluster.replicas("encoders").items()))
    with load(cluster.url, photographs["cat"]) as outcomes:
        earlier = cluster.calls("encoders", "CALL images OK")
        time.sleep(5)
        answered = cluster.calls("encoders", "CALL images OK") - earlier
        os.kill(process, signal.SIGKILL)
        deadline = time.monotonic() + START_TIMEOUT_S
        while len(cluster.replicas("encoders").keys() - {victim}) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.5)
    assert outcomes.keys() == {"cat"}, outcomes
    assert len(answered) == 2 and max(answered.values()) < 1.5 * min(answered.values()), answered


def test_a_rolling_update_loses_no_request(cluster: Cluster, photographs: dict[str, bytes]) -> None:
    before = cluster.replicas("encoders") | cluster.replicas("ingress")
    with load(cluster.url, photographs["cat"]) as outcomes:
        cluster.deploy(max_label_sets=7)
        cluster.wait()
    after = cluster.replicas("encoders") | cluster.replicas("ingress")
    assert not before.keys() & after.keys(), "all of them are new"
    assert outcomes.keys() == {"cat"}, outcomes
