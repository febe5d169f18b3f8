"""Pretrained models worth choosing, as frozen rows. Facts only: nothing is loaded or downloaded here.

Any other `architecture/tag` of open_clip works too; these are those whose accuracy and licence we can state.
ImageNet accuracies are open_clip's or the authors', zero-shot top-1 in percent.
"""

from __future__ import annotations

from dataclasses import dataclass

from models import embedded_constants

EMBEDDED = "embedded"

_OPENCLIP = "open_clip docs/openclip_results.csv"
_SIGLIP2 = "big_vision README of SigLIP 2"
_PE = "perception_models README of PE"
_MOBILECLIP = "ml-mobileclip README"
_MIT = "MIT"
_APACHE = "Apache-2.0"
_APPLE = "Apple, research only"


@dataclass(frozen=True, slots=True)
class Row:
    """One pretrained model: what it is, what it may be used for and how good it is."""

    name: str  # the spec that loads it: "architecture/tag", or "embedded"
    licence: str
    imagenet_top1: float | None = None  # zero-shot top-1 on ImageNet-1k, percent
    parameters_m: float | None = None  # millions, both towers, as open_clip builds them
    gflops_image: float | None = None  # per image, multiply-adds × 2
    gflops_text: float | None = None  # per text of full context
    temperature: float | None = None  # that makes its probabilities honest, if known
    accuracy_source: str = _OPENCLIP
    note: str = ""

    @property
    def architecture(self) -> str:
        return self.name.partition("/")[0]

    @property
    def tag(self) -> str:
        return self.name.partition("/")[2]


CATALOGUE: tuple[Row, ...] = (
    Row(
        EMBEDDED,
        _APACHE,
        parameters_m=27,
        temperature=embedded_constants.TEMPERATURE,
        accuracy_source="models/embedded/README.md",
        note="Small, ships with Candid, needs no network. To try things out; load a larger one for work.",
    ),
    Row("ViT-B-32/openai", _MIT, 63.3, 151, 8.8, 6.0, note="The original CLIP."),
    Row("ViT-B-32/laion2b_s34b_b79k", _MIT, 66.6, 151, 8.8, 6.0),
    Row("ViT-B-32/datacomp_xl_s13b_b90k", _MIT, 69.2, 151, 8.8, 6.0),
    Row("ViT-B-32-256/datacomp_s34b_b86k", _MIT, 72.8, 151, 11.5, 6.0, note="Recommended on a CPU."),
    Row(
        "ViT-B-32-SigLIP2-256/webli",
        _APACHE,
        74.0,
        377,
        accuracy_source=_SIGLIP2,
        note="Many languages, large text tower.",
    ),
    Row("ViT-B-16/openai", _MIT, 68.3, 150, 35.1, 6.0),
    Row("ViT-B-16/datacomp_xl_s13b_b90k", _MIT, 73.5, 150, 35.1, 6.0),
    Row("ViT-B-16-SigLIP2/webli", _APACHE, 78.2, 375, 35, 11, accuracy_source=_SIGLIP2),
    Row("PE-Core-S-16-384/meta", _APACHE, 72.7, 87, accuracy_source=_PE),
    Row("PE-Core-B-16/meta", _APACHE, 78.4, 448, accuracy_source=_PE),
    Row("ViT-L-14/openai", _MIT, 75.5, 428, 162, 13),
    Row("ViT-L-14/datacomp_xl_s13b_b90k", _MIT, 79.2, 428, 162, 13),
    Row(
        "ViT-L-16-SigLIP2-256/webli",
        _APACHE,
        82.5,
        881,
        163,
        39,
        accuracy_source=_SIGLIP2,
        note="Recommended on a GPU.",
    ),
    Row("PE-Core-L-14-336/meta", _APACHE, 83.5, 671, accuracy_source=_PE),
    Row("ViT-SO400M-16-SigLIP2-384/webli", _APACHE, 84.1, 1136, accuracy_source=_SIGLIP2),
    Row("MobileCLIP2-S0/dfndr2b", _APPLE, 71.5, 75, accuracy_source=_MOBILECLIP),
    Row("MobileCLIP2-S2/dfndr2b", _APPLE, 77.2, 99, accuracy_source=_MOBILECLIP),
    Row("MobileCLIP2-B/dfndr2b", _APPLE, 79.4, 150, accuracy_source=_MOBILECLIP),
    Row("ViT-B-16/dfn2b", _APPLE, 76.2, 150, 35, None),
    Row("ViT-L-14/dfn2b", _APPLE, 81.4, 428, 162, None),
)


def find(name: str) -> Row | None:
    """The row of `name` ("architecture/tag" or "embedded"), or None where we know nothing of it."""
    return next((row for row in CATALOGUE if row.name == name), None)
