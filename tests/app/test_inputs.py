from __future__ import annotations

import base64

import numpy as np
import pytest

from app.inputs import tidy, vectors_of
from app.schemas import ClassifyBody
from models.errors import InvalidRequest


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


def test_vectors_from_numbers_and_from_base64_are_brought_to_unit_norm() -> None:
    packed = base64.b64encode(np.array([0, 3, 0, 4], dtype="<f4").tobytes()).decode()
    for vector in vectors_of([[0, 3, 0, 4], packed], 4):
        assert vector.dtype == np.float32
        np.testing.assert_allclose(vector, [0, 0.6, 0, 0.8], rtol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        1,
        "AAAA",
        "!" * 24,
        base64.b64encode(np.full(4, np.nan, dtype="<f4").tobytes()).decode(),
        [],
        [1, 2, 3],
        [1, 2, 3, 4, 5],
        [0, 0, 0, 0],
        [1, 2, 3, "4"],
        [1, 2, 3, None],
        [1, 2, 3, True],
        [1, 2, 3, [4]],
        [1, 2, 3, float("nan")],
        [1, 2, 3, float("inf")],
        [1e308, 1e308, 1e308, 1e308],
        [1, 2, 3, 10**400],
    ],
)
def test_what_is_no_vector_of_the_model_is_named(wrong: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        vectors_of([[1, 0, 0, 0], wrong], 4)
    assert caught.value.field == "embeddings[1]"
    assert "4" in caught.value.message
