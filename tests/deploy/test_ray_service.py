"""deploy/kubernetes/ray-service.yaml: what `serve deploy` gets, in pods that Kubernetes accepts."""

from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
SERVE = DEPLOY / "ray" / "serve.yaml"


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "kubernetes" / "ray-service.yaml").read_text())["spec"]


@pytest.fixture(scope="module")
def pods(spec: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = spec["rayClusterConfig"]
    return [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def test_it_serves_what_the_configuration_beside_it_serves(spec: dict[str, Any]) -> None:
    """But for one thing: on a cluster, two of each outlive the loss of one."""
    one = SERVE.read_text()
    assert "min_replicas: 1" in one
    assert yaml.safe_load(spec["serveConfigV2"]) == yaml.safe_load(
        one.replace("min_replicas: 1", "min_replicas: 2")
    )


def test_its_pods_are_valid_and_confined(pods: list[dict[str, Any]]) -> None:
    validate = pytest.importorskip(
        "kubernetes_validate", reason="needs kubernetes-validate: the extra dev"
    ).validate
    for pod in pods:
        validate({"apiVersion": "v1", "kind": "Pod", **pod}, "1.37", strict=True)
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_a_worker_outlives_what_its_replicas_need_to_drain(
    spec: dict[str, Any], pods: list[dict[str, Any]]
) -> None:
    (application,) = yaml.safe_load(spec["serveConfigV2"])["applications"]
    longest_s = max(each.get("graceful_shutdown_timeout_s", 20) for each in application["deployments"])
    assert pods[-1]["spec"]["terminationGracePeriodSeconds"] > longest_s
