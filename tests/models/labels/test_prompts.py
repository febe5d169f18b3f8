"""models/labels/prompts.py: the presets are the published ones, and a template is checked before any work."""

from __future__ import annotations

import subprocess
import sys

import pytest

from models.errors import InvalidRequest
from models.labels.prompts import (
    MAX_PROMPTS,
    MAX_TEMPLATES,
    PRESETS,
    check_prompts,
    fill,
    preset,
    templates_of,
    with_domain,
)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("openai-7", "SIMPLE_IMAGENET_TEMPLATES"), ("openai-80", "OPENAI_IMAGENET_TEMPLATES")],
)
def test_presets_are_open_clips_own_lists(name: str, theirs: str) -> None:
    metadata = pytest.importorskip("open_clip.zero_shot_metadata")
    published = [template("Egyptian cat") for template in getattr(metadata, theirs)]
    assert [fill(template, "Egyptian cat") for template in preset(name)] == published


def test_presets_are_named_as_the_issue_names_them() -> None:
    assert {name: len(preset(name)) for name in PRESETS} == {
        "plain": 1,
        "photo": 1,
        "openai-7": 7,
        "openai-80": 80,
    }


def test_names_and_templates_mix_and_each_template_is_kept_once() -> None:
    assert templates_of(["photo", "a sketch of {}", "a photo of a {}."]) == (
        "a photo of a {}.",
        "a sketch of {}",
    )
    assert templates_of([]) == ()


@pytest.mark.parametrize(
    "template", ["", "a photo", "openai-8", "{} and {}", "{label}", "{0}", "x" * 299 + "{}"]
)
def test_what_is_no_template_is_refused_with_its_field(template: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        templates_of([template])
    assert caught.value.field == "template"


def test_too_many_templates_are_refused_with_the_limit() -> None:
    with pytest.raises(InvalidRequest, match=str(MAX_TEMPLATES)):
        templates_of([f"{number} {{}}" for number in range(MAX_TEMPLATES + 1)])


def test_braces_of_a_label_are_plain_characters() -> None:
    assert fill("a {x} of a {}.", "{0} {}") == "a {x} of a {0} {}."


def test_a_domain_goes_before_the_label() -> None:
    assert with_domain(["a photo of a {}.", "{}"], "of food") == ("a photo of a food: a {}.", "food: {}")
    assert templates_of(with_domain(preset("openai-80"), "pet"))


@pytest.mark.parametrize("domain", ["", " ", "{}", "x" * 61])
def test_what_is_no_domain_is_refused_with_its_field(domain: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        with_domain(preset("plain"), domain)
    assert caught.value.field == "domain"


def test_presets_can_be_listed_without_torch() -> None:
    code = "import sys, models.labels.prompts; sys.exit('torch' in sys.modules or 'open_clip' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_texts_are_counted_before_they_are_made() -> None:
    check_prompts(MAX_PROMPTS, 2_500)
    check_prompts(10 * MAX_PROMPTS, 10 * MAX_PROMPTS)  # one each: the number of labels has its own limit
    with pytest.raises(InvalidRequest, match=r"2501 labels .* 200080 texts; the limit is 200000"):
        check_prompts(2_501 * 80, 2_501)
