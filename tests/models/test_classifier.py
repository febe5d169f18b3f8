"""The embedded model as a user meets it: photographs in, rankings out; caches, limits, closing."""

import os
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import wait
from pathlib import Path

import numpy as np
import pytest
import torch

import models
from models.classifier import STALLED_S, Classifier
from models.errors import DeadlineExceeded, ImageRejected, InvalidRequest, ModelUnavailable, ShuttingDown
from models.labels.label_set import Label, LabelSet

LABELS = ["cat", "coffee cup", "motorcycle", "airplane"]


@pytest.mark.parametrize("shown", ["coffee cup", "cat"])
def test_real_photographs_come_first_under_their_own_label(
    classifier: Classifier, photographs: dict[str, bytes], shown: str
) -> None:
    answer = classifier.classify([photographs[shown]], LABELS)
    assert answer.results[0].ranking[0].label == shown


def test_a_ranking_is_sorted_and_its_probabilities_sum_to_one(
    classifier: Classifier, photographs: dict[str, bytes]
) -> None:
    ranking = classifier.classify([photographs["cat"]], LABELS).results[0].ranking
    similarities = [item.similarity for item in ranking]
    assert similarities == sorted(similarities, reverse=True)
    assert sum(item.probability for item in ranking) == pytest.approx(1.0)
    assert {item.label for item in ranking} == set(LABELS)


def test_one_bad_picture_leaves_the_others_alone(
    classifier: Classifier, photographs: dict[str, bytes]
) -> None:
    answer = classifier.classify([photographs["cat"], b"no picture", photographs["rocket"]], LABELS)
    good, bad, other = answer.results
    assert isinstance(bad.error, ImageRejected)
    assert good.image is not None and (good.image.width, good.image.height) == (451, 300)
    assert len(other.ranking) == len(LABELS)


def test_vectors_are_unit_and_the_same_alone_and_in_a_batch(
    classifier: Classifier, photographs: dict[str, bytes]
) -> None:
    fresh = models.load("embedded")  # the shared one may have the pictures cached
    alone = {name: fresh.embed_image(data).result().vector for name, data in photographs.items()}
    fresh.close()
    futures = {name: classifier.embed_image(data) for name, data in photographs.items()}
    for name, future in futures.items():
        vector = future.result().vector
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
        np.testing.assert_allclose(vector, alone[name], atol=1e-5)


def test_convolutions_are_encoded_a_few_at_a_time(photographs: dict[str, bytes], tmp_path: Path) -> None:
    """Of which larger batches are slower; the embedded model's best is 3."""
    pytest.importorskip("openvino")
    classifier = models.load("embedded", models.LoadOptions(device="cpu", encoder_dir=tmp_path))
    try:
        assert classifier.info.encoder == "openvino"
        cats = [photographs["cat"] + bytes([n]) for n in range(36)]
        for future in [classifier.embed_image(cat) for cat in cats]:
            future.result()
        assert classifier.stats()["image_batches_total"] >= len(cats) / 3
    finally:
        classifier.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere niceness is a process's")
def test_what_works_by_the_batch_gives_way(classifier: Classifier, photographs: dict[str, bytes]) -> None:
    """Else a refusal, or a probe, waits its turn behind a forward pass on a full processor."""

    def niceness(thread: int) -> int:
        return os.getpriority(os.PRIO_PROCESS, thread)

    classifier.embed_image(photographs["cat"]).result()
    batched = ("candid-decode", f"candid-{classifier.info.name}")
    ours = [thread for thread in threading.enumerate() if thread.name.startswith(batched)]
    assert len(ours) > 1
    expected, deadline = {niceness(os.getpid()) + 5}, time.monotonic() + 30
    while {niceness(thread.native_id or 0) for thread in ours} != expected:  # one may have just begun
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_same_picture_again_costs_no_encoding(
    classifier: Classifier, photographs: dict[str, bytes]
) -> None:
    first = classifier.embed_image(photographs["cat"]).result()
    before = classifier.stats()
    again = classifier.embed_image(photographs["cat"]).result()
    after = classifier.stats()
    assert after["images_encoded_total"] == before["images_encoded_total"]
    assert after["image_cache_hits_total"] == before["image_cache_hits_total"] + 1
    assert np.array_equal(first.vector, again.vector)
    assert (again.width, again.height) == (first.width, first.height)


def test_the_same_labels_again_cost_no_encoding(classifier: Classifier) -> None:
    first = classifier.label_matrix(["walrus", "narwhal"]).result()
    before = classifier.stats()["texts_encoded_total"]
    again = classifier.label_matrix(["walrus", "narwhal"]).result()
    assert again is first, "the matrix is kept"
    classifier.label_matrix(["narwhal"]).result()
    assert classifier.stats()["texts_encoded_total"] == before, "its rows come from the cache"


def test_a_cut_label_is_named(classifier: Classifier) -> None:
    long = " ".join(["photograph"] * 100)
    matrix = classifier.label_matrix(["cat", long]).result()
    assert len(matrix.warnings) == 1
    assert "is cut" in matrix.warnings[0] and "photograph photograph" in matrix.warnings[0]


def test_a_repeated_label_is_ranked_once_and_named(classifier: Classifier) -> None:
    matrix = classifier.label_matrix(["cat", "dog", "cat"]).result()
    assert matrix.labels == ("cat", "dog")
    assert matrix.warnings == ("label 'cat' is given more than once; it is ranked once",)


@pytest.mark.parametrize("labels", [[], [""], ["cat", " \t"]])
def test_no_label_and_an_empty_label_are_errors(classifier: Classifier, labels: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        classifier.label_matrix(labels)
    assert caught.value.field == "labels"


def test_a_set_of_plain_names_is_the_classifier_of_the_list(classifier: Classifier) -> None:
    names = ["heron", "stork"]
    listed = classifier.label_matrix(names, templates=["openai-7"]).result()
    label_set = LabelSet(tuple(map(Label, names)), templates=("openai-7",))
    stored = classifier.label_set_matrix(label_set).result()
    assert stored.labels == listed.labels and np.array_equal(stored.vectors, listed.vectors)
    assert classifier.label_set_matrix(label_set).result() is stored, "the matrix is kept"


def test_a_label_is_the_mean_of_its_texts(classifier: Classifier) -> None:
    label_set = LabelSet((Label("heron", aliases=("egret",)), Label("stork")), templates=("a {}.",))
    matrix = classifier.label_set_matrix(label_set).result()
    heron, egret, stork = classifier.embed_texts(["a heron.", "a egret.", "a stork."]).result()
    mean = (heron + egret) / 2
    np.testing.assert_allclose(matrix.vectors, [mean / np.linalg.norm(mean), stork], atol=1e-6)


def test_a_set_that_repeats_a_name_with_other_texts_is_an_error(classifier: Classifier) -> None:
    with pytest.raises(InvalidRequest, match=r"labels\[1\] repeats labels\[0\]"):
        classifier.label_set_matrix(LabelSet((Label("heron"), Label("heron", aliases=("egret",)))))


@pytest.mark.parametrize("template", ["no slot", "{} and {}", "", "nothing-preset"])
def test_an_unusable_template_is_an_error(classifier: Classifier, template: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        classifier.label_matrix(["cat"], templates=[template])
    assert caught.value.field == "template"


def test_an_expired_picture_is_not_decoded(classifier: Classifier, photographs: dict[str, bytes]) -> None:
    with pytest.raises(DeadlineExceeded):
        classifier.embed_image(photographs["cat"], deadline=time.monotonic()).result()


def test_pictures_of_callers_that_left_are_not_encoded(
    photographs: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = models.load("embedded")
    gate, begun = threading.Event(), threading.Event()
    lane = fresh._batcher.lane("images")
    encode = lane.encode

    def held(items: Sequence[object]) -> Iterable[object]:
        begun.set()
        gate.wait(30)
        return encode(items)

    monkeypatch.setattr(lane, "encode", held)
    one, *rest = photographs.values()
    first = fresh.embed_image(one)
    assert begun.wait(30)
    others = [fresh.embed_image(data) for data in rest]
    patience = time.monotonic() + 30
    while fresh.stats()["queue_depth"] < len(others) and time.monotonic() < patience:
        time.sleep(0.001)
    assert all(future.cancel() for future in others), "decoded and waiting: it can still be called off"
    gate.set()
    assert first.result(30).width > 0
    fresh.close(drain_s=30)
    assert fresh.stats()["images_encoded_total"] == 1


def test_a_forward_that_hangs_makes_the_model_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = models.load("embedded")
    assert fresh.ready()
    monkeypatch.setattr(fresh._batcher, "busy_s", lambda: STALLED_S + 1)
    assert not fresh.ready()
    fresh.close()


def test_token_counts_include_begin_and_end(classifier: Classifier) -> None:
    assert classifier.count_tokens(["cat", "a photo of a cat"]) == [3, 7]


def test_closing_resolves_everything(photographs: dict[str, bytes]) -> None:
    closing = models.load("embedded")
    assert closing.ready()
    futures = [closing.embed_image(data) for data in photographs.values()]
    closing.close(drain_s=30)
    assert not wait(futures, timeout=0).not_done
    assert all(future.exception() is None for future in futures)
    assert not closing.ready()
    with pytest.raises(ShuttingDown):
        closing.embed_image(photographs["cat"])
    with pytest.raises(ShuttingDown):
        closing.embed_texts(["never seen before"]).result()


def test_half_precision_stays_close(classifier: Classifier, photographs: dict[str, bytes]) -> None:
    half = models.load("embedded", models.LoadOptions(precision="bf16"))
    for data in photographs.values():
        cosine = float(half.embed_image(data).result().vector @ classifier.embed_image(data).result().vector)
        assert cosine > 0.99
    assert half.info.precision == "bf16"
    half.close()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModelUnavailable, match="'cuda' was asked for"):
        models.load("embedded", models.LoadOptions(device="cuda"))
