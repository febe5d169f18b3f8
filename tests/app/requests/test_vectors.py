from __future__ import annotations

import base64

import numpy as np
import pytest

from app.requests.vectors import vectors_of
from models.errors import InvalidRequest


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
