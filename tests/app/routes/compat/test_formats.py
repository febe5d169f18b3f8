"""What all formats have in common: they can be switched off, and are refused as other routes are."""

from __future__ import annotations

from typing import get_args

import pytest

from app.routes.compat import ROUTERS
from app.settings import Format
from tests.app.conftest import Serve

# One route of each, and where its clients look for the message of an error.
ROUTES = {
    "huggingface": ("/compat/huggingface", "error"),
    "kserve": ("/v2/models/any/infer", "error"),
    "immich": ("/predict", "detail"),
    "roboflow": ("/clip/compare", "message"),
}


def test_every_format_has_a_name_in_the_settings() -> None:
    assert set(get_args(Format)) == set(ROUTERS) == {*ROUTES, "openai"}


@pytest.mark.parametrize("switched_off", ROUTES)
def test_each_can_be_switched_off(serve: Serve, switched_off: str) -> None:
    client = serve(compat=tuple(set(ROUTES) - {switched_off}))

    for name, (path, key) in ROUTES.items():
        answer = client.post(path).json()
        if name == switched_off:
            assert answer["error"]["code"] in ("not_found", "method_not_allowed")
        else:
            assert isinstance(answer[key], str)


@pytest.mark.parametrize("name", ROUTES)
def test_a_full_house_refuses_in_each_programs_words(serve: Serve, name: str) -> None:
    path, key = ROUTES[name]
    client = serve(max_slots=1)
    client.app.state.admission.taken = 1

    refused = client.post(path)

    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["X-Request-ID"] == refused.json()["request_id"]
    assert refused.json()["code"] == "overloaded"
    assert "limit: max_slots" in refused.json()[key]
