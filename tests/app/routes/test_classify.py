"""POST /v1/classify as its callers see it: each test is an example of how to use it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests import hostile
from tests.app.conftest import Serve

LABELS = ["cat", "dog", "coffee cup"]


def test_a_form_with_a_file(client: TestClient, cat: bytes) -> None:
    answer = client.post("/v1/classify", files={"images": ("cat.jpg", cat)}, data={"labels": LABELS}).json()

    [result] = answer["results"]
    assert (result["name"], result["width"], result["height"]) == ("cat.jpg", 451, 300)
    assert {ranked["label"] for ranked in result["ranking"]} == set(LABELS)
    similarities = [ranked["similarity"] for ranked in result["ranking"]]
    assert similarities == sorted(similarities, reverse=True)
    assert sum(ranked["probability"] for ranked in result["ranking"]) == pytest.approx(1, abs=1e-4)
    assert answer["warnings"] == []
    assert answer["timing_ms"].keys() == {"decode", "queue", "encode", "total"}


def test_json_with_base64(client: TestClient, cat: bytes) -> None:
    picture = base64.b64encode(cat).decode()
    question = {"images": [picture, {"data": f"data:image/jpeg;base64,{picture}", "name": "cat.jpg"}]}
    answer = client.post("/v1/classify", json=question | {"labels": LABELS}).json()

    first, second = answer["results"]
    assert first["name"] is None and second["name"] == "cat.jpg"
    assert first["ranking"] == second["ranking"]


def test_the_picture_itself_as_the_body(client: TestClient, cat: bytes) -> None:
    # curl --data-binary @cat.jpg -H 'Content-Type: image/jpeg' 'host/v1/classify?labels=cat&labels=dog'
    answer = client.post(
        "/v1/classify",
        params={"labels": ["cat", "dog"], "top_k": 1, "template": "photo"},
        content=cat,
        headers={"Content-Type": "image/jpeg"},
    ).json()

    assert [len(result["ranking"]) for result in answer["results"]] == [1]


def test_all_three_ways_give_the_same_answer(client: TestClient, cat: bytes) -> None:
    picture = base64.b64encode(cat).decode()
    answers = [
        client.post("/v1/classify", files={"images": ("cat.jpg", cat)}, data={"labels": LABELS}),
        client.post("/v1/classify", json={"images": [picture], "labels": LABELS}),
        client.post(
            "/v1/classify", params={"labels": LABELS}, content=cat, headers={"Content-Type": "image/png"}
        ),
    ]
    rankings = [answer.json()["results"][0]["ranking"] for answer in answers]
    assert rankings[0] == rankings[1] == rankings[2]


@pytest.mark.parametrize(
    ("sent", "labels"),
    [
        (["cat", "dog"], ["cat", "dog"]),
        (["cat, sitting", "dog"], ["cat, sitting", "dog"]),  # repeated: commas stay
        (["cat, dog,coffee cup"], ["cat", "dog", "coffee cup"]),
        (['["cat, sitting", "dog"]'], ["cat, sitting", "dog"]),
        (["cat"], ["cat"]),
    ],
)
def test_labels_are_repeated_or_listed_in_one_value(
    client: TestClient, cat: bytes, sent: list[str], labels: list[str]
) -> None:
    answer = client.post("/v1/classify", files={"images": cat}, data={"labels": sent}).json()
    assert {ranked["label"] for ranked in answer["results"][0]["ranking"]} == set(labels)


def test_an_unreadable_picture_among_several_gets_its_own_error(client: TestClient, cat: bytes) -> None:
    files = [
        ("images", (name, data))
        for name, data in (("a.jpg", cat), ("note.txt", b"no picture"), ("b.jpg", cat))
    ]
    answer = client.post("/v1/classify", files=files, data={"labels": LABELS})

    assert answer.status_code == 200
    good, bad, also_good = answer.json()["results"]
    assert good["ranking"] == also_good["ranking"]
    assert bad["name"] == "note.txt" and "ranking" not in bad
    assert bad["error"]["code"] == "image_rejected"
    assert bad["error"]["reason"] == "not_an_image"
    assert bad["error"]["field"] == "images[1]"


def test_a_single_unreadable_picture_is_an_error(client: TestClient) -> None:
    answer = client.post("/v1/classify", files={"images": b"no picture"}, data={"labels": LABELS})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "image_rejected"
    assert answer.json()["error"]["field"] == "images[0]"


@pytest.mark.parametrize("encoding_format", ["float", "base64"])
def test_embeddings_stand_in_for_pictures(client: TestClient, cat: bytes, encoding_format: str) -> None:
    form = {"encoding_format": encoding_format}
    embedded = client.post("/v1/embeddings/images", files={"images": cat}, data=form).json()
    vector = embedded["data"][0]["embedding"]

    by_vector = client.post("/v1/classify", json={"embeddings": [vector], "labels": LABELS}).json()
    by_picture = client.post("/v1/classify", files={"images": cat}, data={"labels": LABELS}).json()

    for ours, theirs in zip(
        by_vector["results"][0]["ranking"], by_picture["results"][0]["ranking"], strict=True
    ):
        assert ours["label"] == theirs["label"]
        assert ours["similarity"] == pytest.approx(theirs["similarity"], abs=1e-5)
        assert ours["probability"] == pytest.approx(theirs["probability"], abs=1e-4)


def test_repeated_and_long_labels_are_named_in_warnings(serve: Serve, cat: bytes) -> None:
    long = "very " * 200 + "long"
    form = {"labels": ["cat", "cat", long]}
    answer = serve(max_label_chars=2000).post("/v1/classify", files={"images": cat}, data=form).json()
    [repeated, cut] = answer["warnings"]
    assert "cat" in repeated
    assert "very very" in cut and "tokens" in cut


def test_a_repeated_label_set_costs_no_text_encoding(client: TestClient, cat: bytes) -> None:
    def encoded() -> float:
        lines = client.get("/metrics").text.splitlines()
        [line] = [line for line in lines if line.startswith("candid_texts_encoded_total")]
        return float(line.rpartition(" ")[2])

    form = {"labels": ["a label that no other test asks for", "nor this"]}
    client.post("/v1/classify", files={"images": cat}, data=form)
    once = encoded()
    client.post("/v1/classify", files={"images": cat}, data=form)
    assert encoded() == once


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"labels": None}, "labels", "labels is required"),
        ({"labels": []}, "labels", "label"),
        ({"labels": ["cat", " "]}, "labels", "empty"),
        ({"labels": ["cat", "n\0ul"]}, "labels[1]", "NUL"),
        ({"labels": ["x" * 301]}, "labels[0]", "at most 300 (limit: max_label_chars)"),
        ({"labels": [1]}, "labels[0]", "string"),
        ({"labels": "[broken"}, "labels", "JSON array"),
        ({"labels": {"cat": 1}}, "labels", "list"),
        ({"top_k": 0}, "top_k", "greater than or equal to 1"),
        ({"top_k": "many"}, "top_k", "integer"),
        ({"template": ["no slot"]}, "template", "{}"),
        ({"colour": "red"}, "colour", "colour is not a field of this request"),
        ({"images": []}, "images", "at least one picture"),
        ({"images": ["AAAA"] * 65}, "images", "65 entries; at most 64 (limit: max_images)"),
        ({"images": [7]}, "images[0]", "object"),
        ({"images": ["not base64!"]}, "images[0]", "base64"),
        ({"images": ["data:image/png,plain"]}, "images[0]", "data URI"),
        ({"images": ["http://example.com/cat.jpg"]}, "images[0]", "URL"),
        ({"images": [], "embeddings": [[1, 2]]}, "embeddings[0]", "numbers"),
        ({"images": [], "embeddings": ["AAAA"]}, "embeddings[0]", "base64"),
        ({"embeddings": [[1]]}, "images", "or else embeddings"),
        # Refused by their number, before each becomes an object or an error of its own.
        ({"images": [7] * 100_000}, "images", "100000 entries; at most 64 (limit: max_images)"),
        ({"labels": [{}] * 90_000}, "labels", "90000 entries; at most 10000 (limit: max_labels)"),
        ({"embeddings": [""] * 100_000}, "embeddings", "100000 entries; at most 64"),
        ({"images": [], "embeddings": [[0.5] * 100_000]}, "embeddings[0]", "must be 384 finite numbers"),
        ({"template": ["{}"] * 1_000_001}, "template", "at most 1000000"),
        ({"template": [7] * 1000}, "template[0]", "string"),
        ({"labels": [{f"key{i}": 1 for i in range(100)}]}, "labels[0]", "an object with a label"),
        ({"images": [{f"key{i}": 1 for i in range(100)}]}, "images[0]", "an object with data"),
        ({f"key{i}": 1 for i in range(100)}, None, "102 fields; at most 100"),
    ],
)
def test_a_wrong_field_is_named_with_its_limit(
    client: TestClient, cat: bytes, change: Mapping[str, Any], field: str | None, words: str
) -> None:
    question = {"images": [base64.b64encode(cat).decode()], "labels": ["cat"], **change}
    question = {name: value for name, value in question.items() if value is not None}
    answer = client.post("/v1/classify", json=question)

    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error["field"] == field, error
    assert words in error["message"], error


def test_an_unknown_model_is_named_beside_the_loaded_ones(client: TestClient, cat: bytes) -> None:
    form = {"labels": "cat", "model": "text-embedding-3-small"}
    answer = client.post("/v1/classify", files={"images": cat}, data=form)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["code"] == "unknown_model"
    [loaded] = client.get("/v1/models").json()["data"]
    assert "text-embedding-3-small" in error["message"] and loaded["id"] in error["message"]


@pytest.mark.parametrize("more", [{}, {"reject": True}])
def test_labels_and_templates_that_multiply_to_too_many_texts_are_refused(
    client: TestClient, cat: bytes, more: Mapping[str, Any]
) -> None:
    labels = [f"label {i}" for i in range(2_501)]
    question = {"images": [base64.b64encode(cat).decode()], "labels": labels, "template": ["openai-80"]}
    answer = client.post("/v1/classify", json=question | more)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "labels"
    assert "200080 texts; the limit is 200000" in answer.json()["error"]["message"]


def test_misplaced_fields_of_a_form_are_named(client: TestClient, cat: bytes) -> None:
    def error(**request: Any) -> dict[str, Any]:
        answer = client.post("/v1/classify", **request)
        assert answer.status_code == 422
        found: dict[str, Any] = answer.json()["error"]
        return found

    assert "go under images" in error(files={"file": cat}, data={"labels": "cat"})["message"]
    assert "as files" in error(files={"x": ""}, data={"images": "text", "labels": "cat"})["message"]
    assert "2 times" in error(files={"images": cat}, data={"labels": "cat", "top_k": ["1", "2"]})["message"]
    assert "belongs in the body" in error(params={"labels": "cat"}, files={"images": cat})["message"]


@pytest.mark.parametrize(
    ("files", "labels", "field", "words"),
    [
        (3, ["a"], "images", "images has more than 2 entries (limit: max_images)"),
        (1, list("abcd"), "labels", "labels has 4 entries; at most 3 (limit: max_labels)"),
        (1, ["a"] * 300, "labels", "labels has more than 3 entries (limit: max_labels)"),
        (1, ["a," * (3 << 20)], "labels", f"labels has more than {4 << 20} bytes in one field"),
    ],
)
def test_a_form_of_too_much_is_told_which_field_and_limit(
    serve: Serve, cat: bytes, files: int, labels: list[str], field: str, words: str
) -> None:
    client = serve(max_images=2, max_labels=3)
    answer = client.post("/v1/classify", files=[("images", cat)] * files, data={"labels": labels})
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field
    assert words in answer.json()["error"]["message"]


def test_fields_that_nobody_filled_in_count_as_left_out(client: TestClient, cat: bytes) -> None:
    # HTML forms send them all.
    form = {"labels": "cat,dog", "top_k": "", "model": "", "template": ""}
    answer = client.post("/v1/classify", files={"images": cat}, data=form)
    assert answer.status_code == 200
    assert len(answer.json()["results"][0]["ranking"]) == 2


def test_a_file_name_comes_back_harmless(client: TestClient, cat: bytes) -> None:
    name = "C:\\pictures\\\x1b[31mcat\u202e.jpg" + "x" * 300
    question = {"images": [{"data": base64.b64encode(cat).decode(), "name": name}], "labels": ["cat"]}
    answer = client.post("/v1/classify", json=question)
    returned = answer.json()["results"][0]["name"]
    assert returned.startswith("\ufffd[31mcat\ufffd.jpg")
    assert len(returned) == 200


def test_many_pictures_in_one_request_are_answered_in_order(
    client: TestClient, photographs: Mapping[str, bytes]
) -> None:
    names = [*photographs] * 5
    files = [("images", (f"{index}", photographs[name])) for index, name in enumerate(names)]
    answer = client.post("/v1/classify", files=files, data={"labels": LABELS}).json()
    assert [result["name"] for result in answer["results"]] == [str(index) for index in range(20)]
    by_name = {name: answer["results"][index]["ranking"] for index, name in enumerate(photographs)}
    for name, result in zip(names, answer["results"], strict=True):
        assert [ranked["label"] for ranked in result["ranking"]] == [
            ranked["label"] for ranked in by_name[name]
        ]


@pytest.mark.parametrize("name", hostile.crafted())
def test_a_hostile_file_is_a_clear_refusal(client: TestClient, name: str) -> None:
    crafted = hostile.crafted()[name]
    answer = client.post(
        "/v1/classify",
        params={"labels": "cat"},
        content=crafted.data,
        headers={"Content-Type": "application/octet-stream"},
    )
    if crafted.reason is None:
        assert answer.status_code == 200, answer.text
    else:
        assert answer.status_code == 422
        error = answer.json()["error"]
        assert (error["code"], error["reason"]) == ("image_rejected", crafted.reason)


def test_mutated_files_get_a_ranking_or_a_reason_and_spoil_no_others(client: TestClient, cat: bytes) -> None:
    mutated = [data for _, data in hostile.mutations(186, seed=3)]
    for start in range(0, len(mutated), 62):
        files = [("images", data) for data in (cat, *mutated[start : start + 62], cat)]
        answer = client.post("/v1/classify", files=files, data={"labels": LABELS})
        assert answer.status_code == 200, answer.text
        first, *others, last = answer.json()["results"]
        assert [place["label"] for place in first["ranking"]] == [place["label"] for place in last["ranking"]]
        for result in others:
            assert "ranking" in result or result["error"]["code"] == "image_rejected"
