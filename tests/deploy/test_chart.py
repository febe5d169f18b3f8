"""The Helm chart, rendered by Helm's own library: Kubernetes' schemas, and the manifests made from it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings

helm = pytest.importorskip(
    "helm_python", reason="Helm's library has wheels for Linux on x86-64 and for macOS on ARM"
)
kubernetes_validate = pytest.importorskip(
    "kubernetes_validate", reason="needs kubernetes-validate: the extra dev"
)

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "candid"
KUBERNETES = "1.37"
KEDA, ADAPTER = {"autoscaling": {"by": "keda"}}, {"autoscaling": {"by": "adapter"}}
CACHE = {"cache": {"enabled": True, "storageClassName": "fast"}}
# Everything that the chart can make.
VALUES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "keda": {**KEDA, **CACHE, "podMonitor": True, "service": {"type": "LoadBalancer"}},
    "adapter": {**ADAPTER, "imagePullSecrets": [{"name": "mine"}], "nodeSelector": {"disk": "fast"}},
    "one with SQLite": {
        "replicas": 1,
        "data": {"existingClaim": "mine"},
        "cache": {"enabled": True, "existingClaim": "weights"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "resources": {"limits": {"nvidia.com/gpu": 1}},
    },
}
WHOLE, PARTS = ROOT / "deploy" / "kubernetes.yaml", ROOT / "deploy" / "kubernetes"
HEAD = "# Made from deploy/helm/candid by `make docs`.{}\n"
# File -> what stands at its head, values, and the objects that it holds of what these make.
MANIFESTS: dict[Path, tuple[str, dict[str, Any], set[str]]] = {
    WHOLE: (
        "\n# Push the image to your own registry and put its name below.",
        {},
        {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"},
    ),
    PARTS / "autoscaling-keda.yaml": (
        " Goes beside deploy/kubernetes.yaml where KEDA is.\n# Put in your namespace and Prometheus.",
        KEDA,
        {"ScaledObject"},
    ),
    PARTS / "autoscaling-adapter.yaml": (
        " Goes beside deploy/kubernetes.yaml\n# where prometheus-adapter offers candid_queue_depth.",
        ADAPTER,
        {"HorizontalPodAutoscaler"},
    ),
}


def rendered(values: dict[str, Any]) -> dict[str, str]:
    """Kind of object -> its text."""
    with helm.Chart.load(str(CHART)) as chart:
        texts = chart.render(values, name="candid", namespace="default")
    objects = [text.strip() for name, text in texts.items() if name.endswith(".yaml") and text.strip()]
    return {yaml.safe_load(text)["kind"]: text for text in sorted(objects)}


def container(deployment: dict[str, Any]) -> dict[str, Any]:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return only


@pytest.fixture(params=VALUES)
def objects(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    yield {kind: yaml.safe_load(text) for kind, text in rendered(VALUES[request.param]).items()}


def test_helm_finds_no_fault() -> None:
    found = helm.lint(str(CHART))
    assert found["errors"] == []
    assert [message for message in found["messages"] if "icon" not in message["error"]] == []


def test_what_is_rendered_is_valid(objects: dict[str, Any]) -> None:
    for kind, each in objects.items():
        if kind in ("ScaledObject", "PodMonitor"):  # of KEDA and the Prometheus Operator, not Kubernetes
            continue
        kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_a_pod_is_confined(objects: dict[str, Any]) -> None:
    """What Pod Security's level "restricted" asks for, and a root that cannot be written."""
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container(objects["Deployment"])["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {each["name"] for each in container(objects["Deployment"])["volumeMounts"]}
    assert {"data", "tmp"} <= mounted == {each["name"] for each in pod["volumes"]}


def test_objects_find_the_pods(objects: dict[str, Any]) -> None:
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for kind, path in {
        "Deployment": ("selector", "matchLabels"),
        "Service": ("selector",),
        "PodDisruptionBudget": ("selector", "matchLabels"),
        "NetworkPolicy": ("podSelector", "matchLabels"),
    }.items():
        selector = objects[kind]["spec"]
        for key in path:
            selector = selector[key]
        assert selector and selector.items() <= labels.items(), kind


@pytest.mark.parametrize("drain_s", [Settings.model_fields["shutdown_timeout_s"].default, 120])
def test_a_pod_is_given_longer_than_it_needs_to_drain(drain_s: float) -> None:
    deployment = yaml.safe_load(rendered({"shutdownTimeoutSeconds": int(drain_s)})["Deployment"])
    before_s = container(deployment)["lifecycle"]["preStop"]["sleep"]["seconds"]
    env = {each["name"]: each["value"] for each in container(deployment)["env"]}
    assert float(env["CANDID_SHUTDOWN_TIMEOUT_S"]) == drain_s
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > before_s + drain_s


def test_probes_ask_what_the_service_answers() -> None:
    one = container(yaml.safe_load(rendered({})["Deployment"]))
    assert one["readinessProbe"]["httpGet"]["path"] == one["startupProbe"]["httpGet"]["path"] == "/readyz"
    assert one["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_every_setting_that_the_chart_writes_is_one(objects: dict[str, Any]) -> None:
    for name in (each["name"] for each in container(objects["Deployment"])["env"]):
        assert (
            name in ("HF_HOME", "XDG_CACHE_HOME")
            or name.removeprefix("CANDID_").lower() in Settings.model_fields
        )


@pytest.mark.parametrize("by", ["keda", "adapter"])
def test_pods_are_counted_by_what_waits(by: str, classifier: Any) -> None:
    made = rendered({"autoscaling": {"by": by}})
    assert "replicas" not in yaml.safe_load(made["Deployment"])["spec"], (
        "the autoscaler's number would be undone"
    )
    (metric,) = re.findall(r"candid_\w+", made["ScaledObject" if by == "keda" else "HorizontalPodAutoscaler"])
    with TestClient(create_app(Settings(), {classifier.info.name: classifier})) as client:
        assert f"\n{metric}{{" in client.get("/metrics").text


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"replica": 3}, "replica"),
        ({"settings": {"CANDID_PORT": "9000"}}, "CANDID_PORT"),
        ({"settings": {"CANDID_MAX_BODY_BYTES": 1_000_000_000}}, "string"),
        ({"autoscaling": {"by": "cpu"}}, "autoscaling"),
        ({"data": {"existingClaim": "mine"}}, "replicas: 1"),
        ({"data": {"existingClaim": "mine"}, "replicas": 1, **KEDA}, "replicas: 1"),
    ],
)
def test_values_that_cannot_work_are_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(helm.HelmError, match=says):
        rendered(values)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_the_plain_manifests_are_the_chart_rendered(path: Path) -> None:
    note, values, kinds = MANIFESTS[path]
    texts = [text for kind, text in rendered(values).items() if kind in kinds]
    wanted = HEAD.format(note) + "\n---\n".join(texts) + "\n"
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(wanted)
    assert path.read_text() == wanted, "make docs writes it anew"
    assert {each["kind"] for each in yaml.safe_load_all(wanted)} == kinds
