"""deploy/compose.yaml and what it hands to Prometheus and Grafana."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
FILE = DEPLOY / "compose.yaml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())["services"]


def test_it_is_what_compose_reads() -> None:
    pytest.importorskip("check_jsonschema", reason="needs check-jsonschema: the extra dev")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_requests_in_progress_are_waited_for(services: dict[str, Any]) -> None:
    drain_s = Settings.model_fields["shutdown_timeout_s"].default
    assert int(services["candid"]["stop_grace_period"].removesuffix("s")) > drain_s


def test_every_setting_is_one(services: dict[str, Any]) -> None:
    for name in services["candid"]["environment"]:
        assert name.removeprefix("CANDID_").lower() in Settings.model_fields or name.startswith("OTEL_")


def test_ports_are_open_to_this_machine_only(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published and all(port.startswith("127.0.0.1:") for port in published)
    # The database answers no one but the service.
    private = yaml.safe_load(FILE.read_text())["networks"]["store"]
    assert services["postgres"]["networks"] == ["store"] and private["internal"]


def test_what_is_mounted_is_there(services: dict[str, Any]) -> None:
    named = yaml.safe_load(FILE.read_text())["volumes"]
    for volume in (each for service in services.values() for each in service.get("volumes", [])):
        source = volume.partition(":")[0]
        assert (DEPLOY / source).is_dir() if source.startswith(".") else source in named, volume


def test_prometheus_asks_the_service_and_grafana_asks_prometheus(services: dict[str, Any]) -> None:
    (job,) = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    host, _, port = target.partition(":")
    assert host in services and int(port) == Settings.model_fields["port"].default
    provisioned = DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yaml"
    (source,) = yaml.safe_load(provisioned.read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090" and "prometheus" in services
