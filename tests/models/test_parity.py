"""Candid's answers are open_clip's own answers: similarities and probabilities within 1e-4 in float32.

The reference is open_clip used by hand: its transform, its tokenizer, its encoders, its logits. The models
other than the embedded one have random weights; parity does not depend on their values.
"""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import models
from models.classifier import Classifier, ServingOptions
from models.encoders.build import WeightsFollow
from models.labels.prompts import fill, preset

LABELS = ("cat", "coffee cup", "astronaut", "rocket", "a red bicycle that leans against a wall", "dog")
TOLERANCE = 1e-4

# Candid's name for the model, and the two arguments that open_clip takes for it.
MODELS = {
    "embedded": (f"local-dir:{Path(models.__file__).parent / 'embedded'}", None),
    "ViT-B-32/laion2b_s34b_b79k": ("ViT-B-32", "laion2b_s34b_b79k"),
    "ViT-B-32-SigLIP2-256/webli": ("ViT-B-32-SigLIP2-256", "webli"),
    "MobileCLIP2-S0/dfndr2b": ("MobileCLIP2-S0", "dfndr2b"),
}


class Reference:
    """open_clip by hand."""

    def __init__(self, name: str, pretrained: str | None) -> None:
        import open_clip

        self.model: Any
        with WeightsFollow():  # to be quick; a parameter that no checkpoint filled would be found here
            self.model, _, self.transform = open_clip.create_model_and_transforms(name, pretrained=pretrained)
        self.model.eval()
        self.tokenizer = open_clip.get_tokenizer(name)

    @torch.inference_mode()
    def images(self, files: list[bytes]) -> torch.Tensor:
        batch = torch.stack([self.transform(Image.open(io.BytesIO(data))) for data in files])
        return self.model.encode_image(batch, normalize=True)  # (B, D)

    @torch.inference_mode()
    def zero_shot_classifier(self, labels: tuple[str, ...], templates: tuple[str, ...]) -> torch.Tensor:
        import open_clip

        formats = [lambda label, template=template: fill(template, label) for template in templates]
        weights = open_clip.build_zero_shot_classifier(self.model, self.tokenizer, labels, formats, 10)
        return weights.T  # (N, D)

    @torch.inference_mode()
    def probabilities(self, images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        logits = self.model.logit_scale.exp() * images @ texts.T
        if getattr(self.model, "logit_bias", None) is not None:
            logits = logits + self.model.logit_bias
        return logits.softmax(dim=-1)  # (B, N)


@pytest.fixture(scope="module", params=list(MODELS))
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Classifier, Reference]]:
    ours = models.load(request.param, models.LoadOptions(serving=ServingOptions(exact_decode=True)))
    yield ours, Reference(*MODELS[request.param])
    ours.close()


def test_similarities_and_probabilities_are_open_clips(
    pair: tuple[Classifier, Reference], photographs: dict[str, bytes]
) -> None:
    answers_as_open_clip(*pair, list(photographs.values()))


def answers_as_open_clip(ours: Classifier, reference: Reference, files: list[bytes]) -> None:
    answer = ours.classify(files, LABELS, templates=["photo"])
    images = reference.images(files)
    texts = reference.zero_shot_classifier(LABELS, preset("photo"))
    similarities = (images @ texts.T).numpy()
    probabilities = reference.probabilities(images, texts).numpy()
    for row, result in enumerate(answer.results):
        for ranked in result.ranking:
            column = LABELS.index(ranked.label)
            assert ranked.similarity == pytest.approx(similarities[row, column], abs=TOLERANCE)
            assert ranked.probability == pytest.approx(probabilities[row, column], abs=TOLERANCE)


def test_classifier_weights_are_build_zero_shot_classifiers(pair: tuple[Classifier, Reference]) -> None:
    ours, reference = pair
    matrix = ours.label_matrix(LABELS[:3], templates=["openai-7"]).result()
    weights = reference.zero_shot_classifier(LABELS[:3], preset("openai-7")).numpy()
    np.testing.assert_allclose(matrix.vectors, weights, atol=1e-5)


def test_trimmed_texts_get_the_same_embeddings(pair: tuple[Classifier, Reference]) -> None:
    """A causal tower gives what the whole context gives; SigLIP's is run whole."""
    ours, reference = pair
    texts = ["cat", "a photo of a very small dog on the beach", "x" * 400, "red, green; blue!"]
    vectors = ours.embed_texts(texts).result()
    with torch.inference_mode():
        whole = reference.model.encode_text(reference.tokenizer(texts), normalize=True).numpy()
    np.testing.assert_allclose(vectors, whole, atol=1e-5)


@pytest.fixture(scope="module")
def kept(
    pair: tuple[Classifier, Reference], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Classifier]:
    """The same model from its kept export: nothing of torch or open_clip has a hand in its answers."""
    spec = pair[0].info.name
    options = models.LoadOptions(
        device="cpu",
        encoder="openvino",
        encoder_dir=tmp_path_factory.mktemp("exports"),
        serving=ServingOptions(exact_decode=True),
    )
    models.load(spec, options).close()
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr("models.encoders.build.build")  # whoever builds it again fails
        patch.delattr("models.encoders.build.open_clips_tokenizer")
        ours = models.load(spec, options)
    yield ours
    ours.close()


def test_a_kept_exports_answers_are_open_clips(
    pair: tuple[Classifier, Reference], kept: Classifier, photographs: dict[str, bytes]
) -> None:
    assert kept.info.encoder == "openvino"
    answers_as_open_clip(kept, pair[1], list(photographs.values()))


def test_a_kept_export_gives_the_same_answers(
    pair: tuple[Classifier, Reference], kept: Classifier, photographs: dict[str, bytes]
) -> None:
    """Beside torch on the same pixels and ids the two differ by what float32 rounds."""
    ours, _ = pair
    files = list(photographs.values())
    for of_torch, of_export in zip(
        ours.classify(files, LABELS).results, kept.classify(files, LABELS).results, strict=True
    ):
        expected = {ranked.label: ranked.similarity for ranked in of_torch.ranking}
        found = {ranked.label: ranked.similarity for ranked in of_export.ranking}
        assert found == pytest.approx(expected, abs=5e-6)
    assert replace(kept.info, encoder="torch") == ours.info


def test_a_kept_exports_tokens_are_open_clips(pair: tuple[Classifier, Reference], kept: Classifier) -> None:
    ours, _ = pair
    texts = ["Two DOGS &amp; a cat", "x" * 400, "Füße 日本語 🦊", "a photo of the red coffee cup", "."]
    assert kept.count_tokens(texts) == ours.count_tokens(texts)
    assert [kept.is_cut(text) for text in texts] == [ours.is_cut(text) for text in texts]
    np.testing.assert_allclose(kept.embed_texts(texts).result(), ours.embed_texts(texts).result(), atol=2e-5)


@pytest.mark.parametrize("pair", ["ViT-B-32-SigLIP2-256/webli"], indirect=True)
def test_siglip_attends_to_its_padding_so_it_is_not_trimmed(pair: tuple[Classifier, Reference]) -> None:
    """Why: the same text in a shorter context is another embedding."""
    _, reference = pair
    ids = reference.tokenizer(["a photo of a cat"])
    with torch.inference_mode():
        text = reference.model.text
        whole = text(ids)
        x = text.token_embedding(ids[:, :8]) + text.positional_embedding[:8]
        short = text.text_projection(text.ln_final(text.transformer(x))[:, -1])
    assert torch.nn.functional.cosine_similarity(whole, short).item() < 0.999
