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
    gflops_image: float | None = None  # per image, multiply-adds × 2 (`python -m bench.sizes`)
    gflops_text: float | None = None  # per text of full context
    tokens: int = 77  # that the text tower reads
    languages: str = "English"
    temperature: float | None = None  # that makes its probabilities honest, if known
    accuracy_source: str = _OPENCLIP
    note: str = ""

    @property
    def architecture(self) -> str:
        return self.name.partition("/")[0]

    @property
    def tag(self) -> str:
        return self.name.partition("/")[2]


def _siglip2(tag: str, top1: float, parameters_m: float, image: float, text: float, note: str = "") -> Row:
    return Row(
        tag,
        _APACHE,
        top1,
        parameters_m,
        image,
        text,
        tokens=64,
        languages="many",
        accuracy_source=_SIGLIP2,
        note=note,
    )


def _pe(tag: str, top1: float, parameters_m: float, image: float, text: float, tokens: int = 32) -> Row:
    return Row(tag, _APACHE, top1, parameters_m, image, text, tokens=tokens, accuracy_source=_PE)


def _mobileclip2(tag: str, top1: float, parameters_m: float, image: float, text: float) -> Row:
    return Row(tag, _APPLE, top1, parameters_m, image, text, accuracy_source=_MOBILECLIP)


CATALOGUE: tuple[Row, ...] = (
    Row(
        EMBEDDED,
        _APACHE,
        parameters_m=21,
        gflops_image=1.7,
        gflops_text=0.3,
        tokens=48,
        temperature=embedded_constants.TEMPERATURE,
        accuracy_source="models/embedded/README.md",
        note="Small, ships with Candid, needs no network. To try things out; load a larger one for work.",
    ),
    Row("ViT-B-32/openai", _MIT, 63.3, 151, 8.8, 6.0, note="The original CLIP."),
    Row("ViT-B-32/laion2b_s34b_b79k", _MIT, 66.6, 151, 8.8, 6.0),
    Row("ViT-B-32/datacomp_xl_s13b_b90k", _MIT, 69.2, 151, 8.8, 6.0),
    Row("ViT-B-32-256/datacomp_s34b_b86k", _MIT, 72.8, 151, 11.5, 6.0, note="Recommended on a CPU."),
    _siglip2("ViT-B-32-SigLIP2-256/webli", 74.0, 377, 11.5, 11.0),
    Row("ViT-B-16/openai", _MIT, 68.3, 150, 35.1, 6.0),
    Row("ViT-B-16/datacomp_xl_s13b_b90k", _MIT, 73.5, 150, 35.1, 6.0),
    _siglip2("ViT-B-16-SigLIP2/webli", 78.2, 375, 35.4, 11.0),
    _siglip2("ViT-B-16-SigLIP2-384/webli", 80.6, 375, 112.1, 11.0),
    _pe("PE-Core-S-16-384/meta", 72.7, 87, 31.3, 2.4),
    _pe("PE-Core-B-16/meta", 78.4, 448, 35.6, 19.4),
    Row("ViT-L-14/openai", _MIT, 75.5, 428, 162.0, 13.3),
    Row("ViT-L-14/datacomp_xl_s13b_b90k", _MIT, 79.2, 428, 162.0, 13.3),
    _siglip2("ViT-L-16-SigLIP2-256/webli", 82.5, 882, 162.6, 39.1, note="Recommended on a GPU."),
    _siglip2("ViT-L-16-SigLIP2-384/webli", 83.1, 882, 383.9, 39.1),
    Row("EVA02-L-14-336/merged2b_s6b_b61k", _MIT, 80.4, 428, 381.9, 13.3),
    _pe("PE-Core-L-14-336/meta", 83.5, 671, 384.4, 19.4),
    _siglip2("ViT-SO400M-16-SigLIP2-256/webli", 83.4, 1136, 220.5, 53.1),
    _siglip2("ViT-SO400M-16-SigLIP2-384/webli", 84.1, 1136, 518.9, 53.1),
    _siglip2("ViT-SO400M-16-SigLIP2-512/webli", 84.3, 1137, 979.6, 53.1),
    _siglip2("ViT-gopt-16-SigLIP2-384/webli", 85.0, 1872, 1393.0, 53.1),
    _pe("PE-Core-bigG-14-448/meta", 85.4, 2419, 4118.6, 68.6, tokens=72),
    _mobileclip2("MobileCLIP2-S0/dfndr2b", 71.5, 75, 4.8, 6.0),
    _mobileclip2("MobileCLIP2-S2/dfndr2b", 77.2, 99, 15.7, 6.0),
    _mobileclip2("MobileCLIP2-B/dfndr2b", 79.4, 150, 35.4, 6.0),
    _mobileclip2("MobileCLIP2-S3/dfndr2b", 80.7, 249, 29.6, 13.3),
    _mobileclip2("MobileCLIP2-S4/dfndr2b", 81.9, 445, 55.5, 13.3),
    Row("ViT-B-16/dfn2b", _APPLE, 76.2, 150, 35.1, 6.0),
    Row("ViT-L-14/dfn2b", _APPLE, 81.4, 428, 162.0, 13.3),
    Row("ViT-H-14-378-quickgelu/dfn5b", _APPLE, 84.4, 987, 1007.0, 47.1),
)


def find(name: str) -> Row | None:
    """The row of `name` ("architecture/tag" or "embedded"), or None where we know nothing of it."""
    return next((row for row in CATALOGUE if row.name == name), None)
