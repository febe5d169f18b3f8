from __future__ import annotations

import pytest

from app.requests.limits import tidy
from app.schemas.requests import ClassifyBody


@pytest.mark.parametrize(
    ("sent", "labels"),
    [
        ("cat", ["cat"]),
        ("cat,dog", ["cat", "dog"]),
        (" cat , a big dog ", ["cat", "a big dog"]),
        ('["a, b", "c"]', ["a, b", "c"]),
        (["a, b"], ["a, b"]),
        (["[a]", "b"], ["[a]", "b"]),
        ("cat,,dog", ["cat", "", "dog"]),  # the empty one is an error, which the model's wing raises
    ],
)
def test_what_one_value_and_several_values_mean(sent: object, labels: list[str]) -> None:
    assert ClassifyBody.model_validate({"labels": sent}).labels == labels


@pytest.mark.parametrize(
    ("sent", "templates"),
    [
        ("a photo, of a {}.", ["a photo, of a {}."]),
        ('["a {}", "the {}"]', ["a {}", "the {}"]),
        (["photo"], ["photo"]),
    ],
)
def test_a_template_is_never_split(sent: object, templates: list[str]) -> None:
    assert ClassifyBody.model_validate({"labels": "a", "template": sent}).template == templates


@pytest.mark.parametrize(
    ("name", "tidied"),
    [
        ("cat.jpg", "cat.jpg"),
        ("Grüße 猫.jpg", "Grüße 猫.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\fakepath\\cat.jpg", "cat.jpg"),
        ("a\r\nb", "a\ufffd\ufffdb"),
        ("\u202egpj.exe", "\ufffdgpj.exe"),
        ("x" * 500, "x" * 200),
        ("", None),
        ("/", None),
        (None, None),
    ],
)
def test_a_file_name_is_made_harmless(name: str | None, tidied: str | None) -> None:
    assert tidy(name) == tidied
