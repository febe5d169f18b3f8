from __future__ import annotations

import json
import logging
import random
import string

import pytest
from starlette.testclient import TestClient

from app.http.logging import JsonLines
from app.main import create_app
from app.settings import Settings
from tests.app.conftest import Serve
from tests.app.fakes import FakeClassifier


def series(text: str) -> set[str]:
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


def test_random_paths_methods_and_ids_make_no_new_series(serve: Serve) -> None:
    client = serve({"fake": FakeClassifier()})
    dice = random.Random(1)

    def knock(times: int) -> set[str]:
        for _ in range(times):
            path = "/v1/" + "".join(dice.choices(string.ascii_letters + "/{}%.-_~", k=12))
            method = dice.choice(["GET", "POST", "".join(dice.choices(string.ascii_uppercase, k=6))])
            client.request(method, path, headers={"X-Request-ID": path})
        return series(client.get("/metrics").text)

    knock(60)  # until every kind of refusal, and this page itself, has been counted
    known = knock(1)
    assert knock(300) == known
    assert any('route="unmatched"' in name for name in known)


def test_a_path_with_a_parameter_is_counted_under_its_template(serve: Serve) -> None:
    client = serve({"fake": FakeClassifier()})
    client.get("/web/main.js")
    client.get("/web/nothing.js")
    names = series(client.get("/metrics").text)
    assert any('route="/web/{name}"' in name for name in names)
    assert not any("nothing" in name or "main.js" in name for name in names)


@pytest.mark.parametrize("given", ["a", "trace-1.2_3", "A" * 64])
def test_a_harmless_request_id_is_kept(serve: Serve, given: str) -> None:
    answer = serve({"fake": FakeClassifier()}).get("/healthz", headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "A" * 65, "a b", "a\tb", 'a"b', "ü", "a/b"])
def test_another_request_id_is_replaced(serve: Serve, given: str) -> None:
    headers = {b"X-Request-ID": given.encode()}
    answer = serve({"fake": FakeClassifier()}).get("/healthz", headers=headers)
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 32


def test_a_request_is_one_line_of_json_without_names_labels_or_keys(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve({"fake": FakeClassifier()}, api_keys=["correct-horse"])
    with caplog.at_level(logging.INFO, logger="candid.access"):
        client.post(
            "/v1/classify?secret-query=1%0d%0a",
            files={"images": ("secret\r\nname.jpg", b"x")},
            data={"labels": ["secret-label\r\nInjected: 1", "b"], "secret\r\nfield": "\r\n"},
            headers={"Authorization": "Bearer correct-horse", "X-Request-ID": "id-1", "User-Agent": "a\tb"},
        )
    [record] = [record for record in caplog.records if record.name == "candid.access"]
    line = JsonLines().format(record)
    assert "\n" not in line and "\r" not in line
    fields = json.loads(line)
    assert fields["route"] == "/v1/classify"
    assert fields["request_id"] == "id-1"
    assert {"status", "method", "ms", "bytes", "client", "code", "time", "level"} <= fields.keys()
    assert "secret" not in line and "correct-horse" not in line


def test_a_line_break_in_a_message_stays_in_its_line() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "first\r\nsecond %s", ("\x1b[0m\u2028",), None)
    line = JsonLines().format(record)
    assert line.splitlines() == [line]
    assert json.loads(line)["message"] == "first\r\nsecond \x1b[0m\u2028"


def test_an_address_that_a_proxy_made_up_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(Settings(), {"fake": FakeClassifier()})  # type: ignore[dict-item]
    with TestClient(app, client=("x" * 60_000, 1)) as client, caplog.at_level(logging.INFO, "candid.access"):
        client.get("/healthz")
    [line] = [JsonLines().format(record) for record in caplog.records if record.name == "candid.access"]
    assert len(line) < 500
