"""/v1/label-sets and what classification does with them, as callers see it; with a model without talent.

What the features are worth is measured in bench/answers.py; here is that they do what they say.
"""

from __future__ import annotations

import base64
import math
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

import models
from app.main import create_app
from app.settings import Settings
from app.storage.database import Database
from app.storage.tables import matrices
from app.storage.vectors import from_bytes
from models.scoring import few_shot, multi_label
from tests.small import small_model

SETS = "/v1/label-sets"
PETS = {"labels": ["cat", "dog", "coffee cup"]}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("models")
    classifiers = [
        models.load(str(small_model(folder / "small"))),
        models.load(str(small_model(folder / "sigmoid", seed=1, sigmoid=True))),
    ]
    yield {classifier.info.name: classifier for classifier in classifiers}
    for classifier in classifiers:
        classifier.close()


@pytest.fixture
def client(loaded: dict[str, Any], tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'sets.db'}", max_label_sets=5, max_examples=40)
    with TestClient(create_app(settings, loaded)) as opened:
        yield opened


def classify(client: TestClient, picture: bytes, **fields: Any) -> Any:
    answer = client.post("/v1/classify", files={"images": picture}, data=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def put(client: TestClient, name: str, body: Any) -> Any:
    answer = client.put(f"{SETS}/{name}", json=body)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def test_a_label_set_is_kept_and_each_change_is_a_version(client: TestClient) -> None:
    made = client.put(f"{SETS}/pets", json=PETS)
    assert made.status_code == 201 and made.headers["etag"] == '"1"'
    assert [label["label"] for label in made.json()["labels"]] == PETS["labels"]

    again = client.put(f"{SETS}/pets", json={"labels": ["cat", {"label": "dog", "aliases": ["puppy"]}]})
    assert again.status_code == 200 and again.json()["version"] == 2
    changed = client.patch(f"{SETS}/pets", json={"template": ["openai-7"], "reject": True}).json()
    assert (changed["version"], changed["template"], changed["reject"]) == (3, ["openai-7"], True)
    assert changed["labels"][1]["aliases"] == ["puppy"]
    assert client.patch(f"{SETS}/pets", json={"template": None}).json()["template"] == []

    got = client.get(f"{SETS}/pets")
    assert got.json()["version"] == 4
    assert client.get(f"{SETS}/pets", headers={"If-None-Match": got.headers["etag"]}).status_code == 304
    [line] = client.get(SETS).json()["data"]
    assert line == {"name": "pets", "version": 4, "updated": line["updated"], "labels": 2, "examples": 0}

    assert client.delete(f"{SETS}/pets").status_code == 204
    assert client.get(f"{SETS}/pets").status_code == 404
    assert client.get(SETS).json()["data"] == []


def test_if_match_refuses_a_change_to_what_has_changed(client: TestClient) -> None:
    put(client, "pets", PETS)
    put(client, "pets", PETS)
    for method in ("PUT", "PATCH", "DELETE"):
        body = None if method == "DELETE" else PETS
        refused = client.request(method, f"{SETS}/pets", json=body, headers={"If-Match": '"1"'})
        assert refused.status_code == 412
        assert refused.json()["error"]["code"] == "precondition_failed"
    create = client.put(f"{SETS}/pets", json=PETS, headers={"If-None-Match": "*"})
    assert create.status_code == 412
    assert client.put(f"{SETS}/none", json=PETS, headers={"If-Match": "*"}).status_code == 412
    fits = client.put(f"{SETS}/pets", json=PETS, headers={"If-Match": '"7", "2"'})
    assert fits.status_code == 200 and fits.json()["version"] == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "labels"),
        ({"labels": []}, "labels"),
        ({"labels": ["cat", " "]}, "labels[1]"),
        ({"labels": ["cat", "dog", "cat"]}, "labels[2]"),
        ({"labels": ["x" * 301]}, "labels[0]"),
        ({"labels": [{"aliases": ["a"]}]}, "labels[0].label"),
        ({"labels": [{"label": "cat", "prompts": ["{} and {}"]}]}, "labels[0].prompts"),
        ({"labels": [{"label": "cat", "aliases": ["x" * 301]}]}, "labels[0].aliases"),
        ({"labels": [{"label": "cat", "descriptions": ["d"] * 51}]}, "labels[0].descriptions"),
        ({"labels": ["a > ", "b > c"]}, "labels"),
        ({"labels": ["cat"], "template": ["no slot"]}, "template"),
        ({"labels": ["cat"], "domain": " "}, "domain"),
        ({"labels": ["cat"], "threshold": 2}, "threshold"),
        ({"labels": ["cat"], "mode": "some"}, "mode"),
        ({"labels": ["cat"], "lables": ["dog"]}, "lables"),
    ],
)
def test_what_makes_no_label_set_is_named(client: TestClient, body: Any, field: str) -> None:
    refused = client.put(f"{SETS}/pets", json=body)
    assert refused.status_code == 422, refused.text
    assert refused.json()["error"]["field"] == field
    assert client.get(f"{SETS}/pets").status_code == 404


@pytest.mark.parametrize("name", ["Pets", "-pets", "pe ts", "x" * 65, "p.ts"])
def test_names_are_plain(client: TestClient, name: str) -> None:
    refused = client.put(f"{SETS}/{name}", json=PETS)
    assert refused.status_code == 422 and refused.json()["error"]["field"] == "name"


def test_there_is_a_most(client: TestClient) -> None:
    for number in range(5):
        put(client, f"set-{number}", PETS)
    refused = client.put(f"{SETS}/one-more", json=PETS)
    assert refused.status_code == 422 and "max_label_sets" in refused.json()["error"]["message"]
    put(client, "set-1", PETS)


def test_a_plain_set_answers_as_its_labels_do(client: TestClient, photographs: Mapping[str, bytes]) -> None:
    put(client, "pets", PETS)
    by_labels = classify(client, photographs["cat"], **PETS)
    by_set = classify(client, photographs["cat"], label_set="pets")
    assert by_set["label_set"] == {"name": "pets", "version": 1}
    assert by_set["calibrated"] is by_labels["calibrated"] is False
    assert "label_set" not in by_labels
    for ours, theirs in zip(by_set["results"][0]["ranking"], by_labels["results"][0]["ranking"], strict=True):
        assert ours["label"] == theirs["label"]
        assert ours["similarity"] == pytest.approx(theirs["similarity"], abs=1e-6)
        assert ours["probability"] == pytest.approx(theirs["probability"], rel=1e-5)


def test_what_a_request_asks_for_and_what_the_set_has(client: TestClient, cat: bytes) -> None:
    put(client, "pets", {**PETS, "mode": "multi", "threshold": 0.0})
    assert all(rank["holds"] for rank in classify(client, cat, label_set="pets")["results"][0]["ranking"])
    answer = classify(client, cat, label_set="pets", mode="single", top_k=1)
    assert answer["mode"] == "single" and len(answer["results"][0]["ranking"]) == 1
    both = client.post("/v1/classify", files={"images": cat}, data={"label_set": "pets", "labels": "a"})
    assert both.status_code == 422 and both.json()["error"]["field"] == "labels"
    missing = client.post("/v1/classify", files={"images": cat}, data={"label_set": "none"})
    assert missing.status_code == 404 and missing.json()["error"]["field"] == "label_set"


def test_aliases_descriptions_and_prompts_change_what_is_read(client: TestClient, cat: bytes) -> None:
    def similarity(label: Any) -> float:
        picture = {"data": base64.b64encode(cat).decode()}
        question = {"images": [picture], "labels": [label, "dog"], "template": ["a photo of a {}."]}
        ranking = client.post("/v1/classify", json=question).json()["results"][0]["ranking"]
        return float(next(rank["similarity"] for rank in ranking if rank["label"] == "cat"))

    def embedded(*texts: str) -> Any:
        answer = client.post("/v1/embeddings", json={"input": list(texts)}).json()
        rows = np.array([row["embedding"] for row in answer["data"]])
        mean = rows.mean(axis=0)
        picture = client.post("/v1/embeddings/images", files={"images": cat}).json()["data"][0]["embedding"]
        return pytest.approx(float(mean @ np.array(picture) / np.linalg.norm(mean)), abs=1e-5)

    assert similarity("cat") == embedded("a photo of a cat.")
    assert similarity({"label": "cat", "aliases": ["kitten"]}) == embedded(
        "a photo of a cat.", "a photo of a kitten."
    )
    assert similarity({"label": "cat", "descriptions": ["small and furry"]}) == embedded(
        "a photo of a cat.", "a photo of a cat, small and furry."
    )
    assert similarity({"label": "cat", "prompts": ["a tabby", "my {}"]}) == embedded("a tabby", "my cat")


def test_a_domain_is_read_with_every_label(client: TestClient, cat: bytes) -> None:
    with_domain = classify(client, cat, labels=["cat", "dog"], domain="pet", template="a photo of a {}.")
    by_hand = classify(client, cat, labels=["cat", "dog"], template="a photo of a pet: a {}.")
    for ours, theirs in zip(
        with_domain["results"][0]["ranking"], by_hand["results"][0]["ranking"], strict=True
    ):
        assert ours["similarity"] == pytest.approx(theirs["similarity"], abs=1e-6)


@pytest.mark.parametrize("model", ["small", "sigmoid"])
def test_in_mode_multi_each_label_stands_by_itself(client: TestClient, cat: bytes, model: str) -> None:
    def ranking(*labels: str) -> dict[str, float]:
        answer = classify(client, cat, labels=labels, mode="multi", model=model, threshold=0.3)
        assert answer["mode"] == "multi"
        places = answer["results"][0]["ranking"]
        assert all(place["holds"] == (place["probability"] >= 0.3) for place in places)
        return {place["label"]: place["probability"] for place in places}

    assert ranking("cat", "dog")["cat"] == pytest.approx(ranking("cat", "a boat", "rain")["cat"], rel=1e-5)


def test_thresholds_of_a_stored_set_and_its_labels_decide_what_holds(client: TestClient, cat: bytes) -> None:
    labels = [{"label": "cat", "threshold": 1.0}, {"label": "dog", "threshold": 0.0}, "boat"]
    put(client, "pets", {"labels": labels, "mode": "multi", "threshold": 0.0})
    for fields, boat in (({}, True), ({"threshold": 1.0}, False)):
        answer = classify(client, cat, label_set="pets", **fields)
        assert answer["mode"] == "multi"
        holds = {place["label"]: place["holds"] for place in answer["results"][0]["ranking"]}
        assert holds == {"cat": False, "dog": True, "boat": boat}


def test_a_threshold_without_its_mode_is_told_but_a_stored_one_may_wait(
    client: TestClient, cat: bytes
) -> None:
    told = ["threshold is for mode multi: it has no effect here"]
    assert classify(client, cat, labels=["cat", "dog"], threshold=0.3)["warnings"] == told
    put(client, "pets", {**PETS, "threshold": 0.4})
    assert classify(client, cat, label_set="pets")["warnings"] == []
    assert classify(client, cat, label_set="pets", threshold=0.3)["warnings"] == told
    [other] = classify(client, cat, label_set="pets", threshold=0.3, mode="multi")["warnings"]
    assert "no curve was fitted for small" in other


def test_rejection_is_a_score_and_a_decision(client: TestClient, cat: bytes) -> None:
    found = [
        classify(client, cat, labels=["cat", "dog"], reject="true", reject_threshold=t)["results"][0][
            "rejection"
        ]
        for t in (0, 1)
    ]
    assert found[0]["score"] == found[1]["score"] and 0 < found[0]["score"] < 1
    assert [each["rejected"] for each in found] == [False, True]
    assert "rejection" not in classify(client, cat, labels=["cat"])["results"][0]


def test_paths_are_a_tree(client: TestClient, cat: bytes) -> None:
    labels = ["animal > dog > beagle", "animal > dog > pug", "animal > cat", "vehicle > car"]
    result = classify(client, cat, labels=labels)["results"][0]
    flat = {place["label"]: place["probability"] for place in result["ranking"]}
    assert set(flat) == set(labels)
    [roots, below, leaves] = result["tree"]["levels"]
    animal = next(node["probability"] for node in roots if node["label"] == "animal")
    assert animal == pytest.approx(
        sum(p for label, p in flat.items() if label.startswith("animal")), rel=1e-4
    )
    assert {node["label"] for node in below} == {"animal > dog", "animal > cat", "vehicle > car"}
    assert len(leaves) == 2
    sure = result["tree"]["answer"]
    assert sure is None or sure["probability"] >= 0.5
    plain = classify(client, cat, labels=["a->b", "x>5"])["results"][0]
    assert "tree" not in plain


def test_examples_teach_a_label_and_are_removed_one_by_one(
    client: TestClient, photographs: Mapping[str, bytes]
) -> None:
    put(client, "things", {"labels": ["thing one", "thing/two"]})
    url = f"{SETS}/things/labels"
    one = client.post(f"{url}/thing%20one/examples", files={"images": photographs["cat"]})
    two = client.post(f"{url}/thing%2Ftwo/examples", files={"images": photographs["rocket"]})
    assert (one.status_code, two.status_code) == (200, 200), two.text
    assert two.json()["version"] == 3 and two.headers["etag"] == '"3"'
    assert client.get(f"{SETS}/things").json()["examples"] == {"thing one": 1, "thing/two": 1}

    for picture, label in (("cat", "thing one"), ("rocket", "thing/two")):
        for model in ("small", "sigmoid"):  # every loaded model saw the examples
            answer = classify(client, photographs[picture], label_set="things", model=model)
            assert answer["label_set"]["version"] == 3
            assert answer["warnings"] == []
            assert answer["results"][0]["ranking"][0]["label"] == label

    [kept] = client.get(f"{url}/thing%20one/examples").json()["data"]
    assert kept["models"] == ["small", "sigmoid"] and kept["id"] == one.json()["results"][0]["id"]
    assert client.delete(f"{url}/thing%20one/examples/{kept['id']}").status_code == 204
    assert client.delete(f"{url}/thing%20one/examples/{kept['id']}").status_code == 404
    assert client.get(f"{SETS}/things").json()["examples"] == {"thing/two": 1}


def test_of_several_examples_a_bad_one_is_named_and_a_known_one_is_not_kept_twice(
    client: TestClient, photographs: Mapping[str, bytes]
) -> None:
    put(client, "pets", PETS)
    url = f"{SETS}/pets/labels/cat/examples"
    pictures = [("images", ("cat.jpg", photographs["cat"])), ("images", ("x.txt", b"no picture"))]
    good, bad = client.post(url, files=pictures).json()["results"]
    assert good["id"] and not good["duplicate"] and good["name"] == "cat.jpg"
    assert bad["error"]["reason"] == "not_an_image" and "id" not in bad
    [again] = client.post(url, files=pictures[:1]).json()["results"]
    assert again["duplicate"] and again["id"] == good["id"]

    assert client.post(url, files=pictures[1:]).status_code == 422
    assert client.post(f"{SETS}/pets/labels/fish/examples", files=pictures[:1]).status_code == 404
    assert client.post(f"{SETS}/none/labels/cat/examples", files=pictures[:1]).status_code == 404
    refused = client.post(url, files=pictures[:1], headers={"If-Match": '"1"'})
    assert refused.status_code == 412


def test_examples_of_many_labels_come_at_once_and_all_or_none(
    client: TestClient, photographs: Mapping[str, bytes]
) -> None:
    put(client, "pets", PETS)
    url = f"{SETS}/pets/examples"
    pictures = [("images", ("a.jpg", photographs["cat"])), ("images", ("b.jpg", photographs["coffee cup"]))]
    answer = client.post(url, files=pictures, data={"labels": ["cat", "coffee cup"]})
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["results"]
    assert (first["label"], second["label"], first["name"]) == ("cat", "coffee cup", "a.jpg")
    assert answer.json()["version"] == 2 and answer.headers["etag"] == '"2"'
    assert client.get(f"{SETS}/pets").json()["examples"] == {"cat": 1, "coffee cup": 1}
    [kept] = client.get(f"{SETS}/pets/labels/cat/examples").json()["data"]
    assert kept["id"] == first["id"]

    for labels, field in ((["cat", "fish"], "labels[1]"), (["cat"], "labels"), ([], "labels")):
        refused = client.post(url, files=pictures, data={"labels": labels})
        assert refused.status_code == 422 and refused.json()["error"]["field"] == field
    assert client.post(f"{SETS}/none/examples", files=pictures[:1], data={"labels": "cat"}).status_code == 404
    mixed = [*pictures[:1], ("images", ("x.txt", b"no picture"))]
    good, bad = client.post(url, files=mixed, data={"labels": ["dog", "dog"]}).json()["results"]
    assert good["id"] and "id" not in bad and (good["label"], bad["label"]) == ("dog", "dog")
    late = client.post(url, files=pictures[:1], data={"labels": "cat"}, headers={"If-Match": '"1"'})
    assert late.status_code == 412


def test_vectors_are_examples_as_the_pictures_are_that_they_are_of(
    client: TestClient, photographs: Mapping[str, bytes]
) -> None:
    files = [("images", (name, data)) for name, data in photographs.items()]
    rows = client.post("/v1/embeddings/images", files=files, data={"model": "small"}).json()["data"]
    vectors = dict(zip(photographs, (row["embedding"] for row in rows), strict=True))
    put(client, "seen", PETS)
    put(client, "told", PETS)
    labels = ["cat", "coffee cup"]
    pictures = [("images", (label, photographs[label])) for label in labels]
    assert client.post(f"{SETS}/seen/examples", files=pictures, data={"labels": labels}).is_success
    body = {"embeddings": [vectors[label] for label in labels], "labels": labels, "model": "small"}
    told = client.post(f"{SETS}/told/examples", json=body).json()
    assert [line["label"] for line in told["results"]] == labels
    assert [line["name"] for line in told["results"]] == [None, None]
    ways = [
        classify(client, photographs["rocket"], label_set=name, model="small")["results"][0]["ranking"]
        for name in ("seen", "told")
    ]
    for ours, theirs in zip(*ways, strict=True):
        assert ours["label"] == theirs["label"]
        assert ours["probability"] == pytest.approx(theirs["probability"], rel=1e-3)
    other = classify(client, photographs["rocket"], label_set="told", model="sigmoid")
    assert any("without this model" in warning for warning in other["warnings"])

    again = client.post(f"{SETS}/seen/examples", json=body).json()["results"]
    assert all(line["duplicate"] for line in again)  # the pictures were there
    alone = {"embeddings": body["embeddings"][:1], "model": "small"}
    [line] = client.post(f"{SETS}/told/labels/cat/examples", json=alone).json()["results"]
    assert line["duplicate"] and line["id"] == told["results"][0]["id"]


def test_vectors_that_are_none_or_too_many_are_refused(client: TestClient) -> None:
    put(client, "pets", PETS)
    url = f"{SETS}/pets/examples"
    for embeddings, field in (
        ([[1.0, 2.0]], "embeddings[0]"),
        (["AAAA"], "embeddings[0]"),
        ([[0.0] * 8] * 41, "embeddings"),
        ([], "images"),
    ):
        body = {"embeddings": embeddings, "labels": ["cat"] * min(len(embeddings), 40)}
        refused = client.post(url, json=body)
        assert refused.status_code == 422 and refused.json()["error"]["field"] == field
    assert client.get(f"{SETS}/pets").json()["examples"] == {}


def test_what_examples_add_is_worked_out_once_a_version(
    client: TestClient, cat: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client, "pets", PETS)
    sought: list[int] = []
    teach = few_shot.teach

    def counted(keys: Any, *rest: Any, **named: Any) -> Any:
        sought.append(len(keys))
        return teach(keys, *rest, **named)

    monkeypatch.setattr(few_shot, "teach", counted)
    client.post(f"{SETS}/pets/labels/cat/examples", files={"images": cat})
    for fields in ({}, {"reject": "true"}, {"calibrated": "true"}, {"mode": "multi"}, {"threshold": "0.3"}):
        classify(client, cat, label_set="pets", model="small", **fields)
    assert sought == [1]
    classify(client, cat, label_set="pets", model="small", domain="animal")  # other words
    assert sought == [1, 1]


def test_a_request_with_another_template_leaves_the_kept_labels_alone(
    client: TestClient, cat: bytes, loaded: dict[str, Any], tmp_path: Path
) -> None:
    put(client, "pets", {**PETS, "template": ["photo"]})
    usual = classify(client, cat, label_set="pets", model="small")["results"]
    other = classify(client, cat, label_set="pets", model="small", template="a drawing of a {}.")["results"]
    assert other != usual
    db = Database(f"sqlite:///{tmp_path / 'sets.db'}")
    with db.read() as connection:
        [kept] = connection.execute(select(matrices)).all()
    db.close()
    own = loaded["small"].label_matrix(PETS["labels"], templates=("photo",)).result().vectors
    np.testing.assert_allclose(from_bytes(kept.vectors).reshape(own.shape), own, atol=1e-6)


def test_an_example_for_one_model_alone_is_told_to_the_others(client: TestClient, cat: bytes) -> None:
    put(client, "pets", PETS)
    client.post(f"{SETS}/pets/labels/cat/examples", files={"images": cat}, data={"model": "small"})
    [warning] = classify(client, cat, label_set="pets", model="sigmoid")["warnings"]
    assert "1 examples" in warning or "1 example" in warning


def test_calibration_makes_a_temperature_that_answers_name(client: TestClient, cat: bytes) -> None:
    put(client, "pets", PETS)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 64)).tolist()
    truth = [PETS["labels"][i] for i in rng.integers(3, size=30)]
    fitted = client.post(f"{SETS}/pets/calibration", json={"embeddings": vectors, "labels": truth})
    assert fitted.status_code == 200, fitted.text
    found = fitted.json()
    assert found["images"] == 30 and found["version"] == 2
    assert found["ece_after"] < found["ece_before"]  # guesses of a model without talent are too sure

    several = classify(client, cat, label_set="pets", mode="multi")
    assert several["calibrated"] and several["curve_of"] == "label_set" and several["warnings"] == []
    p = {place["label"]: place["probability"] for place in several["results"][0]["ranking"]}
    other = classify(client, cat, label_set="pets", mode="multi", calibrated="false")
    assert other["calibrated"] is False and "curve_of" not in other
    odds = {place["label"]: place["probability"] for place in other["results"][0]["ranking"]}
    ours, default = (
        [math.log(each[label] / (1 - each[label])) for label in PETS["labels"]] for each in (p, odds)
    )
    z = (np.array(default) - multi_label.DEFAULT.offset) / multi_label.DEFAULT.slope
    assert ours == pytest.approx(found["slope"] * z + found["offset"], abs=1e-3)

    answer = classify(client, cat, label_set="pets")
    assert answer["calibrated"] and answer["temperature_of"] == "label_set"
    assert answer["temperature"] == pytest.approx(found["temperature"], rel=1e-5)
    raw = classify(client, cat, label_set="pets", calibrated="false")
    assert raw["calibrated"] is False
    orders = [[place["label"] for place in each["results"][0]["ranking"]] for each in (answer, raw)]
    assert orders[0] == orders[1]
    assert classify(client, cat, label_set="pets", model="sigmoid")["calibrated"] is False
    [line] = client.get(f"{SETS}/pets").json()["calibration"]
    assert line["model"] == "small" and line["version"] == 2


def test_calibration_by_pictures_names_the_unreadable_and_needs_enough(
    client: TestClient, photographs: Mapping[str, bytes]
) -> None:
    put(client, "pets", PETS)
    files = [("images", (f"{n}.jpg", photographs["cat"])) for n in range(20)]
    broken = [*files, ("images", ("broken.jpg", b"no picture"))]
    url = f"{SETS}/pets/calibration"
    fitted = client.post(url, files=broken, data={"labels": ["cat"] * 21}).json()
    assert fitted["images"] == 20
    assert [line["name"] for line in fitted["unreadable"]] == ["broken.jpg"]
    for labels, field in ((["cat"] * 3, "labels"), (["cat"] * 19 + ["fish"], "labels[19]")):
        refused = client.post(url, files=files, data={"labels": labels})
        assert refused.status_code == 422 and refused.json()["error"]["field"] == field
    few = client.post(url, files=files[:3], data={"labels": ["cat"] * 3})
    assert few.status_code == 422 and "20" in few.json()["error"]["message"]


def test_asked_for_a_temperature_that_nobody_knows_the_answer_says_so(client: TestClient, cat: bytes) -> None:
    answer = classify(client, cat, labels=["cat", "dog"], calibrated="true")
    assert answer["calibrated"] is False
    assert "candid calibrate" in answer["warnings"][0]


def test_siglips_own_probabilities_need_no_curve(client: TestClient, cat: bytes) -> None:
    asked = {"labels": ["cat", "dog"], "mode": "multi", "model": "sigmoid"}
    answer = classify(client, cat, **asked)
    assert answer["calibrated"] is False and answer["warnings"] == []
    vain = classify(client, cat, **asked, calibrated="true")
    assert vain["results"] == answer["results"] and "no effect" in vain["warnings"][0]
    put(client, "pets", PETS)
    rng = np.random.default_rng(0)
    body = {"embeddings": rng.normal(size=(20, 64)).tolist(), "labels": ["cat", "dog"] * 10}
    found = client.post(f"{SETS}/pets/calibration", json=body | {"model": "sigmoid"}).json()
    assert found["slope"] is None and found["temperature"] > 0


def test_a_version_is_answered_by_whole_while_it_changes(client: TestClient, cat: bytes) -> None:
    """Odd versions have one label, even ones two: no answer mixes them."""
    put(client, "pets", {"labels": ["cat"]})
    stop = threading.Event()
    wrong: list[Any] = []

    def ask() -> None:
        while not stop.is_set():
            answer = classify(client, cat, label_set="pets")
            labels = [place["label"] for place in answer["results"][0]["ranking"]]
            if (answer["label_set"]["version"] % 2 == 1) != (labels == ["cat"]):
                wrong.append(answer)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for turn in range(20):
        put(client, "pets", {"labels": ["dog", "bird"] if turn % 2 == 0 else ["cat"]})
    stop.set()
    for asker in askers:
        asker.join()
    assert wrong == []


def test_a_place_that_cannot_be_written_to_stops_only_label_sets(
    loaded: dict[str, Any], cat: bytes, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'file' / 'sets.db'}")
    with TestClient(create_app(settings, loaded)) as client:
        assert client.get("/readyz").status_code == 200
        assert classify(client, cat, labels=["cat", "dog"], reject="true")["results"][0]["rejection"]
        refused = client.get(SETS)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "store_unavailable"
        assert "CANDID_DATABASE_URL" in refused.json()["error"]["message"]
        assert "sets.db" not in refused.text, "where it is, is nobody's business"


def test_with_keys_label_sets_want_one(loaded: dict[str, Any], tmp_path: Path) -> None:
    settings = Settings(api_keys=("a-long-enough-key",), database_url=f"sqlite:///{tmp_path / 'sets.db'}")
    with TestClient(create_app(settings, loaded)) as client:
        assert client.get(SETS).status_code == 401
        assert client.put(f"{SETS}/pets", json=PETS).status_code == 401
        key = {"Authorization": "Bearer a-long-enough-key"}
        assert client.get(SETS, headers=key).status_code == 200


def test_label_sets_outlive_the_service(loaded: dict[str, Any], tmp_path: Path, cat: bytes) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'sets.db'}")
    with TestClient(create_app(settings, loaded)) as client:
        put(client, "pets", PETS)
        before = classify(client, cat, label_set="pets")
    with TestClient(create_app(settings, loaded)) as client:
        encoded = loaded["small"].stats()["texts_encoded_total"]
        after = classify(client, cat, label_set="pets")
        assert loaded["small"].stats()["texts_encoded_total"] == encoded
    assert after["results"][0]["ranking"] == before["results"][0]["ranking"]
