"""POST /v1/classify with `explain`: where in a picture its labels are."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.app.conftest import Serve
from tests.app.fakes import FakeClassifier

LABELS = ["cat", "dog", "coffee cup", "rocket"]


def explained(client: TestClient, picture: bytes, **fields: Any) -> Any:
    answer = client.post("/v1/classify", files={"images": picture}, data={"labels": LABELS} | fields)
    assert answer.status_code == 200, answer.text
    return answer.json()["results"][0]


def jpeg(picture: Image.Image, **more: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95, **more)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def pair(photographs: dict[str, bytes]) -> Image.Image:
    """A cat on the left, a cup on the right: 400 × 400."""
    sheet = Image.new("RGB", (400, 400))
    for at, name in enumerate(("cat", "coffee cup")):
        sheet.paste(
            Image.open(io.BytesIO(photographs[name])).convert("RGB").resize((200, 400)), (200 * at, 0)
        )
    return sheet


def test_the_relevances_of_a_label_add_up_to_its_similarity(client: TestClient, cat: bytes) -> None:
    result = explained(client, cat, explain="true", explain_top_k="4")
    found = result["explanation"]
    assert found["method"] == "cam"
    assert [of["label"] for of in found["labels"]] == [ranked["label"] for ranked in result["ranking"]]
    for of, ranked in zip(found["labels"], result["ranking"], strict=True):
        grid = np.array(of["relevance"])
        assert grid.shape == (found["rows"], found["columns"])
        assert grid.sum() == pytest.approx(ranked["similarity"], abs=1e-5)
        assert "overlay" not in of


def test_the_ranking_is_what_it_is_without(client: TestClient, cat: bytes) -> None:
    ranking, plain = (explained(client, cat, **more)["ranking"] for more in ({"explain": "true"}, {}))
    assert [ranked["label"] for ranked in ranking] == [ranked["label"] for ranked in plain]
    for ranked, other in zip(ranking, plain, strict=True):
        assert ranked["similarity"] == pytest.approx(other["similarity"], abs=2e-6)


def test_three_labels_are_explained_and_never_more_than_are_ranked(client: TestClient, cat: bytes) -> None:
    for fields, count in (({}, 3), ({"top_k": "2"}, 2), ({"top_k": "2", "explain_top_k": "1"}, 1)):
        assert len(explained(client, cat, explain="true", **fields)["explanation"]["labels"]) == count


def test_each_label_is_found_in_its_half(client: TestClient, pair: Image.Image) -> None:
    found = explained(client, jpeg(pair), explain="true", explain_top_k="4")["explanation"]
    middle = found["columns"] / 2
    where = {
        of["label"]: (np.unravel_index(np.argmax(of["relevance"]), (found["rows"], found["columns"])))
        for of in found["labels"]
    }
    assert where["cat"][1] + 0.5 < middle < where["coffee cup"][1] + 0.5


@pytest.mark.parametrize(
    ("size", "box"),
    [((400, 400), [0, 0, 400, 400]), ((900, 300), [300, 0, 600, 300]), ((300, 900), [0, 300, 300, 600])],
)
def test_the_box_is_the_part_that_the_model_is_shown(
    client: TestClient, size: tuple[int, int], box: list[float]
) -> None:
    picture = jpeg(Image.new("RGB", size, "grey"))
    assert explained(client, picture, explain="true")["explanation"]["box"] == pytest.approx(box, abs=2)


def test_box_and_grid_are_of_the_upright_picture(client: TestClient, pair: Image.Image) -> None:
    """Lying on its side, with EXIF saying so; wider than high, with the cat left of what is shown."""
    wide = Image.new("RGB", (600, 400), "white")
    wide.paste(pair, (200, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right to see it upright
    lying = jpeg(wide.transpose(Image.Transpose.ROTATE_90), exif=exif)
    turned, straight = (explained(client, data, explain="true") for data in (lying, jpeg(wide)))
    assert (turned["width"], turned["height"]) == (600, 400)
    assert turned["explanation"]["box"] == pytest.approx([100, 0, 500, 400], abs=1)
    grids = [np.array(each["explanation"]["labels"][0]["relevance"]) for each in (turned, straight)]
    np.testing.assert_allclose(grids[0], grids[1], atol=3e-3)


def test_an_overlay_shows_the_whole_picture_and_is_drawn_where_the_model_looked(
    client: TestClient, photographs: dict[str, bytes]
) -> None:
    data = photographs["coffee cup"]  # 600 × 400
    found = explained(client, data, explain="overlay", explain_top_k="1")["explanation"]
    kind, _, encoded = found["labels"][0]["overlay"].partition(",")
    assert kind == "data:image/png;base64"
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))
    plain = np.asarray(Image.open(io.BytesIO(data)).resize((512, 341), Image.Resampling.BICUBIC))
    assert drawn.shape == plain.shape
    off = np.abs(drawn.astype(int) - plain.astype(int)).mean(axis=-1)
    left, right = (round(edge * 512 / 600) for edge in (found["box"][0], found["box"][2]))
    assert off[:, : left - 1].max() < 12 and off[:, right + 1 :].max() < 12
    assert off[:, left + 1 : right - 1].mean() > 20


def test_lines_have_it_too(client: TestClient, cat: bytes) -> None:
    answer = client.post(
        "/v1/classify",
        files={"images": cat},
        data={"labels": LABELS, "explain": "true"},
        headers={"Accept": "application/x-ndjson"},
    )
    assert len(json.loads(answer.text.splitlines()[0])["explanation"]["labels"]) == 3


def test_explained_pictures_are_not_kept(client: TestClient, pair: Image.Image) -> None:
    def kept() -> str:
        metrics = client.get("/metrics").text.splitlines()
        return next(line for line in metrics if line.startswith("candid_image_cache_bytes{"))

    before, once_only = kept(), jpeg(pair.rotate(1))
    assert explained(client, once_only, explain="true")["explanation"]
    assert kept() == before


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"explain": "maybe"}, "explain", "must be true, false or overlay"),
        ({"explain_top_k": "2"}, "explain_top_k", "goes with explain"),
        ({"explain": "true", "explain_top_k": "11"}, "explain_top_k", "less than or equal to 10"),
        ({"explain": "true", "explain_top_k": "0"}, "explain_top_k", "greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_is_told(
    client: TestClient, cat: bytes, fields: dict[str, str], field: str, message: str
) -> None:
    answer = client.post("/v1/classify", files={"images": cat}, data={"labels": LABELS} | fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, field)
    assert message in error["message"]


def test_embeddings_do_not_say_where(client: TestClient) -> None:
    question = {"embeddings": [[1.0] + [0.0] * 383], "labels": LABELS, "explain": True}
    answer = client.post("/v1/classify", json=question)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "explain")


def test_a_request_draws_a_bounded_number_of_overlays(client: TestClient, cat: bytes) -> None:
    question: dict[str, Any] = {"labels": LABELS, "explain": "overlay", "explain_top_k": 10}
    question["images"] = [base64.b64encode(cat).decode()] * 7
    answer = client.post("/v1/classify", json=question)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "explain")
    assert "at most 64" in answer.json()["error"]["message"]


def test_what_has_no_room_is_refused_before_it_is_drawn(serve: Serve, cat: bytes) -> None:
    """One overlay is up to a megabyte of PNG: a third of that again in base64, and what it is drawn on."""
    client = serve(max_buffer_bytes=4 << 20, max_body_bytes=1 << 20)
    asked = {"labels": LABELS, "explain": "overlay", "explain_top_k": "4"}
    answer = client.post("/v1/classify", files={"images": cat}, data=asked)
    assert answer.status_code == 422
    assert "limit: max_buffer_bytes" in answer.json()["error"]["message"]


def test_a_model_that_cannot_explain_says_so(serve: Serve, cat: bytes) -> None:
    client = serve({"fake": FakeClassifier()})
    answer = client.post("/v1/classify", files={"images": cat}, data={"labels": LABELS, "explain": "true"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (422, "invalid_request", "explain")
    assert "'fake'" in error["message"]


def test_models_say_whether_they_explain(client: TestClient) -> None:
    assert client.get("/v1/models").json()["data"][0]["explain"] == "cam"
