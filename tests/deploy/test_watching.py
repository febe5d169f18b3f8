"""deploy/prometheus/alerts.yaml and deploy/grafana/candid.json: they ask for what the service counts."""

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.server import Server

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "candid.json").read_text())
TARGETS = [target for panel in DASHBOARD["panels"] for target in panel["targets"]]

METRIC = re.compile(r"\b(?:candid|process)_\w+|\bup\b")
SELECTOR = re.compile(r'(\w+)(?:=~|!~|!=|=)"')
FROM_PROMETHEUS = {"up"}
LABELS_FROM_PROMETHEUS = {"job", "instance"}


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory) -> str:
    server = Server(tmp_path_factory.mktemp("watching"))
    try:
        server.wait_until_ready()  # which makes a series of /readyz
        return urllib.request.urlopen(f"{server.url}/metrics", timeout=30).read().decode()
    finally:
        server.stop()


@pytest.mark.slow
def test_what_is_asked_for_is_served(scrape: str) -> None:
    served = {re.split(r"[{ ]", line)[0] for line in scrape.splitlines() if not line.startswith("#")}
    labels = set(re.findall(r'[{,](\w+)="', scrape)) | LABELS_FROM_PROMETHEUS
    for expression in [each["expr"] for each in [*RULES, *TARGETS]]:
        asked = set(METRIC.findall(expression))
        assert asked and asked <= served | FROM_PROMETHEUS, expression
        assert set(SELECTOR.findall(expression)) <= labels, expression


def test_every_alert_is_explained() -> None:
    docs = (ROOT / "docs" / "operations.md").read_text()
    for rule in RULES:
        assert f"| `{rule['alert']}` |" in docs and rule["annotations"]["summary"]


def test_grafana_asks_the_source_that_is_chosen() -> None:
    assert DASHBOARD["schemaVersion"] >= 39
    assert "datasource" in {each["name"] for each in DASHBOARD["templating"]["list"]}
    assert {each["datasource"]["uid"] for each in [*DASHBOARD["panels"], *TARGETS]} == {"${datasource}"}


@pytest.mark.parametrize(
    "command", [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]]
)
def test_promtool_agrees(command: list[str]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool: Debian's package prometheus")
    done = subprocess.run([promtool, *command], cwd=ALERTS.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
