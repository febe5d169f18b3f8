"""Prompt templates and where each comes from.

A template is a string with exactly one "{}", which `fill` replaces by the label: never `str.format`, so
that braces in a label or elsewhere in a template are plain characters. Templates of one label are averaged
in the embedding space by the classifier. Knows no model: which template suits one is the catalogue's matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from models.errors import InvalidRequest

SLOT: Final = "{}"
MAX_TEMPLATES: Final = 100
"""Templates in one request: 80 is the largest list that anybody published for CLIP."""
MAX_PROMPTS: Final = 200_000
"""Texts that labels may make with their templates: 2,500 labels with 80. More labels have one each."""
MAX_TEMPLATE_CHARS: Final = 300
"""Characters: a context of 77 tokens holds about 300 of English."""
MAX_NAMED: Final = 20
"""Labels that a warning is about, named one by one."""
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

# open_clip.zero_shot_metadata.OPENAI_IMAGENET_TEMPLATES, from the same notebook, in the same order.
_OPENAI_80: Final = (
    "a bad photo of a {}.",
    "a photo of many {}.",
    "a sculpture of a {}.",
    "a photo of the hard to see {}.",
    "a low resolution photo of the {}.",
    "a rendering of a {}.",
    "graffiti of a {}.",
    "a bad photo of the {}.",
    "a cropped photo of the {}.",
    "a tattoo of a {}.",
    "the embroidered {}.",
    "a photo of a hard to see {}.",
    "a bright photo of a {}.",
    "a photo of a clean {}.",
    "a photo of a dirty {}.",
    "a dark photo of the {}.",
    "a drawing of a {}.",
    "a photo of my {}.",
    "the plastic {}.",
    "a photo of the cool {}.",
    "a close-up photo of a {}.",
    "a black and white photo of the {}.",
    "a painting of the {}.",
    "a painting of a {}.",
    "a pixelated photo of the {}.",
    "a sculpture of the {}.",
    "a bright photo of the {}.",
    "a cropped photo of a {}.",
    "a plastic {}.",
    "a photo of the dirty {}.",
    "a jpeg corrupted photo of a {}.",
    "a blurry photo of the {}.",
    "a photo of the {}.",
    "a good photo of the {}.",
    "a rendering of the {}.",
    "a {} in a video game.",
    "a photo of one {}.",
    "a doodle of a {}.",
    "a close-up photo of the {}.",
    "a photo of a {}.",
    "the origami {}.",
    "the {} in a video game.",
    "a sketch of a {}.",
    "a doodle of the {}.",
    "a origami {}.",
    "a low resolution photo of a {}.",
    "the toy {}.",
    "a rendition of the {}.",
    "a photo of the clean {}.",
    "a photo of a large {}.",
    "a rendition of a {}.",
    "a photo of a nice {}.",
    "a photo of a weird {}.",
    "a blurry photo of a {}.",
    "a cartoon {}.",
    "art of a {}.",
    "a sketch of the {}.",
    "a embroidered {}.",
    "a pixelated photo of a {}.",
    "itap of the {}.",
    "a jpeg corrupted photo of the {}.",
    "a good photo of a {}.",
    "a plushie {}.",
    "a photo of the nice {}.",
    "a photo of the small {}.",
    "a photo of the weird {}.",
    "the cartoon {}.",
    "art of the {}.",
    "a drawing of the {}.",
    "a photo of the large {}.",
    "a black and white photo of a {}.",
    "the plushie {}.",
    "a dark photo of a {}.",
    "itap of a {}.",
    "graffiti of the {}.",
    "a toy {}.",
    "itap of my {}.",
    "a photo of a cool {}.",
    "a photo of a small {}.",
    "a tattoo of the {}.",
)

PRESETS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"plain": (SLOT,), "photo": _PHOTO, "openai-7": _OPENAI_7, "openai-80": _OPENAI_80}
)


def templates_of(values: Sequence[str]) -> tuple[str, ...]:
    """Preset names and templates, in any mix, as templates: checked, each once, in the order given.

    Raises InvalidRequest for a template without its one "{}", or too many of them.
    """
    found: dict[str, None] = {}
    for value in values:
        found.update(dict.fromkeys(PRESETS[value] if value in PRESETS else (_checked(value),)))
    if len(found) > MAX_TEMPLATES:
        raise InvalidRequest(f"{len(found)} templates; the limit is {MAX_TEMPLATES}", field="template")
    return tuple(found)


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


def named(labels: Sequence[str], what: str) -> list[str]:
    """One warning a label, up to a number; the rest in a last one."""
    warnings = [f"label {label[:80]!r} {what}" for label in labels[:MAX_NAMED]]
    if len(labels) > MAX_NAMED:
        warnings.append(f"and {len(labels) - MAX_NAMED} more labels: each {what}")
    return warnings


def _checked(template: str) -> str:
    if template.count(SLOT) != 1:
        names = ", ".join(PRESETS)
        raise InvalidRequest(
            f"template {template[:80]!r} must hold {SLOT} exactly once, or be one of: {names}",
            field="template",
        )
    if len(template) > MAX_TEMPLATE_CHARS:
        raise InvalidRequest(
            f"a template has {len(template)} characters; the limit is {MAX_TEMPLATE_CHARS}", field="template"
        )
    return template
