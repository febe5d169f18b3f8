from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings, unknown_names

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"


def test_lists_are_read_from_commas_and_from_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDID_CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("CANDID_API_KEYS", '["first,key", "second-key"]')
    monkeypatch.setenv("CANDID_MODELS", "ViT-B-32/openai")
    settings = Settings()
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert [key.get_secret_value() for key in settings.api_keys] == ["first,key", "second-key"]
    assert settings.models == ("ViT-B-32/openai",)


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDID_API_KEYS", "")
    monkeypatch.setenv("CANDID_PORT", "")
    assert Settings() == Settings.model_construct(**Settings().model_dump())
    assert Settings().api_keys == () and Settings().port == 8000


def test_a_kubernetes_service_link_is_not_taken_for_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDID_PORT", "tcp://10.0.0.7:9000")
    assert Settings().port == 8000


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 70_000},
        {"device": "gpu"},
        {"max_slots": 0},
        {"request_timeout_s": 0},
        {"api_keys": ["short"]},
        {"max_buffer_bytes": 1 << 20},  # less than one body
        {"log_level": "loud"},
        {"colour": "red"},
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)  # type: ignore[arg-type]


def test_settings_are_frozen_and_keys_stay_out_of_print() -> None:
    settings = Settings(api_keys=["correct-horse"])  # type: ignore[arg-type]
    assert "correct-horse" not in repr(settings) + settings.model_dump_json()
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


def test_the_first_model_is_the_default_and_each_is_loaded_once() -> None:
    assert Settings().specs == ("embedded",)
    assert Settings(models=("a/b", "c/d", "a/b")).specs == ("a/b", "c/d")
    assert Settings(model="x/y", models=("a/b", "x/y")).specs == ("x/y", "a/b")


def test_a_misspelt_variable_is_noticed() -> None:
    names = ["CANDID_MODLE", "CANDID_PORT", "CANDID_SERVICE_HOST", "CANDID_PORT_80_TCP", "HOME", "CANDID_ZZZ"]
    assert unknown_names(names) == {"CANDID_MODLE": "CANDID_MODEL", "CANDID_ZZZ": None}


def documented() -> dict[str, tuple[str, str]]:
    """The table in docs/operations.md: name to default and meaning."""
    rows = re.findall(r"^\| `(CANDID_\w+)` \| (.*?) \| (.*) \|$", DOCUMENT.read_text(encoding="utf-8"), re.M)
    return {name: (default, meaning) for name, default, meaning in rows}


def test_each_setting_is_documented_as_it_is() -> None:
    expected = {}
    for name, field in Settings.model_fields.items():
        default = "" if field.default in ((), None) else f"`{str(field.default).lower()}`"
        if isinstance(field.default, str):
            default = f"`{field.default}`"
        assert field.description, f"{name} says nothing"
        expected[f"CANDID_{name}".upper()] = (default, field.description)
    assert documented() == expected
