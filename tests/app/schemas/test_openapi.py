"""The OpenAPI description: valid, worked examples that succeed, and answers that are what it says.

Schemathesis makes requests from the description, right and wrong ones, and holds every answer against it. A
larger run by hand makes others each time: `SCHEMATHESIS_EXAMPLES=200 make test PYTEST="-k schemathesis"`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema
from starlette.testclient import TestClient

from app.main import create_app
from app.schemas import label_sets, responses
from app.settings import Settings
from tests.small import small_model

KEY = "correct-horse-battery"
BY_HAND = os.environ.get("SCHEMATHESIS_EXAMPLES")
CONFIG = {
    "generation": {
        "max-examples": int(BY_HAND or "5"),
        "deterministic": not BY_HAND,
        "database": "none",
        "no-shrink": True,
    },
    "cache": {"enabled": False},
    "headers": {"Authorization": f"Bearer {KEY}"},
    # No schema says which strings are pictures, so most requests that fit it are refused, and rightly.
    "checks": {"positive_data_acceptance": {"enabled": False}},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The application around a model of true architecture, with a key and a database of its own."""
    import models

    folder = tmp_path_factory.mktemp("openapi")
    small = models.load(str(small_model(folder / "small")))
    settings = Settings(database_url=f"sqlite:///{folder}/candid.db", api_keys=(KEY,))
    yield create_app(settings, {small.info.name: small})
    small.close()


@pytest.fixture(scope="module")
def description(service: Any) -> Any:
    return schemathesis.openapi.from_asgi(
        "/openapi.json", service, config=SchemathesisConfig.from_dict(CONFIG)
    )


def test_the_description_is_valid(description: Any) -> None:
    assert description.raw_schema["openapi"].startswith("3.1")
    description.validate()


def test_every_operation_says_what_it_is_for(description: Any) -> None:
    raw = description.raw_schema
    groups = {tag["name"] for tag in raw["tags"]}
    for operation in operations(raw).values():
        assert operation["summary"] and operation["description"]
        assert set(operation["tags"]) <= groups
    assert {tag for operation in operations(raw).values() for tag in operation["tags"]} == groups


def operations(raw: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(method, path): said for path, item in raw["paths"].items() for method, said in item.items()}


def test_every_example_succeeds_as_it_stands(service: Any, description: Any) -> None:
    """Schema and example apart, as a program sends it; pressed in a browser in web/test_docs_page.py."""
    left = operations(description.raw_schema)
    # What others refer to is made first and deleted last, as a person would.
    order = sorted(left, key=lambda o: (o[0] != "put", o[0] == "delete", o[0] == "delete" and len(o[1]) < 30))
    with TestClient(service, headers={"Authorization": f"Bearer {KEY}"}) as client:
        for method, path in order:
            operation = left[method, path]
            url = path
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    [named] = parameter["examples"].values()
                    url = url.replace(f"{{{parameter['name']}}}", named["value"])
            content = operation.get("requestBody", {}).get("content", {"": {}})
            example = next(iter(content.values())).get("example")
            answer = client.request(method, url, json=example)
            assert answer.is_success, f"{method} {url}: {answer.text[:500]}"
            if url == "/v1/classify":
                assert all(result["ranking"] for result in answer.json()["results"])


def test_every_answer_has_an_example_of_its_shape(description: Any) -> None:
    for (method, path), operation in operations(description.raw_schema).items():
        for status, answer in operation["responses"].items():
            schema = answer.get("content", {}).get("application/json", {}).get("schema")
            if schema is None:
                assert status == "204" or path == "/metrics", (method, path, status)
                continue
            name = schema["$ref"].rpartition("/")[2]
            assert description.raw_schema["components"]["schemas"][name]["examples"], name
            model = getattr(responses, name, None) or getattr(label_sets, name)
            [example] = model.model_json_schema()["examples"]
            assert model.model_validate(example).model_dump(exclude_unset=True) == example


def test_schemathesis_finds_nothing(description: Any) -> None:
    found: list[str] = []
    asked: Counter[str] = Counter()
    for event in from_schema(description).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            found.append(repr(event))
        if isinstance(event, events.ScenarioFinished):
            asked[event.recorder.label] += len(event.recorder.interactions)
            for checks in event.recorder.checks.values():
                for check in checks:
                    if check.status is Status.FAILURE and check.failure_info:
                        failure = check.failure_info
                        found.append(f"{event.phase} {check.name}: {failure.failure}\n{failure.code_sample}")
    assert not found, "\n\n".join([str(asked), f"{len(found)} findings", *found])
