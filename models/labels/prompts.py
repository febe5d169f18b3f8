"""Prompt templates and where each comes from.

A template is a string with exactly one "{}", which `fill` replaces by the label: never `str.format`, so
that braces in a label or elsewhere in a template are plain characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Final

from models.errors import InvalidRequest

SLOT: Final = "{}"
MAX_TEMPLATES: Final = 100
"""Templates in one request: 80 is the largest list that anybody published for CLIP."""
MAX_PROMPTS: Final = 200_000
"""Texts that labels may make with their templates: 2,500 labels with 80. More labels have one each."""
MAX_TEMPLATE_CHARS: Final = 300
"""Characters: a context of 77 tokens holds about 300 of English."""
MAX_DOMAIN_CHARS: Final = 60
"""Characters: a domain is a word or three ("food", "aerial photograph")."""

_PHOTO: Final = ("a photo of a {}.",)  # CLIP, arXiv 2103.00020, section 3.1.4

# The 7 of the 80 which their authors found slightly better than all of them: open_clip.zero_shot_metadata
# .SIMPLE_IMAGENET_TEMPLATES, from openai/CLIP, notebooks/Prompt_Engineering_for_ImageNet.ipynb (both MIT).
_OPENAI_7: Final = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)

PRESETS: Final = ("plain", "photo", "openai-7", "openai-80")


@cache
def preset(name: str) -> tuple[str, ...]:
    """The templates of one of PRESETS."""
    if name == "openai-80":
        lines = resources.files("models.labels").joinpath("openai_80.txt").read_text("utf-8").splitlines()
        return tuple(line for line in lines if not line.startswith("#"))
    return {"plain": (SLOT,), "photo": _PHOTO, "openai-7": _OPENAI_7}[name]


def templates_of(values: Sequence[str]) -> tuple[str, ...]:
    """Preset names and templates, in any mix, as templates: checked, each once, in the order given.

    Raises InvalidRequest for a template without its one "{}", or too many of them.
    """
    templates: dict[str, None] = {}
    for value in values:
        templates.update(dict.fromkeys(preset(value) if value in PRESETS else (_checked(value),)))
    if len(templates) > MAX_TEMPLATES:
        raise InvalidRequest(f"{len(templates)} templates; the limit is {MAX_TEMPLATES}", field="template")
    return tuple(templates)


def with_domain(templates: Sequence[str], domain: str) -> tuple[str, ...]:
    """Templates that name what kind of thing all labels are: "a photo of a {}." -> "a photo of a food: a {}."

    The wording is WaffleCLIP's (arXiv 2306.07282), where one such word for the whole label set
    helped most where labels are ambiguous. "of food" and "food" mean the same. Raises InvalidRequest for a
    domain that is empty or too long.
    """
    name = domain.strip().removeprefix("of ").strip()
    if not name or len(name) > MAX_DOMAIN_CHARS or SLOT in name:
        limit = f"1 to {MAX_DOMAIN_CHARS} characters without {SLOT}"
        raise InvalidRequest(f"domain must be {limit}", field="domain")
    return tuple(
        f"{name}: {SLOT}" if template == SLOT else template.replace(SLOT, f"{name}: a {SLOT}")
        for template in templates
    )


def fill(template: str, label: str) -> str:
    """The prompt for one label."""
    return template.replace(SLOT, label)


def check_prompts(count: int, labels: int) -> None:
    """Refuse texts by their number before they are made: a short request can ask for millions."""
    if count > max(MAX_PROMPTS, labels):
        raise InvalidRequest(
            f"{labels} labels with their templates make {count} texts; the limit is {MAX_PROMPTS}: send "
            "fewer labels or templates",
            field="labels",
        )


def _checked(template: str) -> str:
    if template.count(SLOT) != 1:
        message = (
            f"template {template[:80]!r} must hold {SLOT} exactly once, or be one of: {', '.join(PRESETS)}"
        )
        raise InvalidRequest(message, field="template")
    if len(template) > MAX_TEMPLATE_CHARS:
        raise InvalidRequest(
            f"a template has {len(template)} characters; the limit is {MAX_TEMPLATE_CHARS}", field="template"
        )
    return template
