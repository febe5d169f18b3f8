"""Where the figures of bench/answers.py go: tables of the guide, and the embedded model's constants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.quoted import filled, table

GUIDE = Path("docs/better-answers.md")
FITTED = Path("models/embedded_constants.py")
NAMES = {
    "caltech101": "Caltech-101",
    "imagenette": "Imagenette",
    "imagenet-1k-one-each": "ImageNet-1k, one picture a label",
}
WAYS = {"max_softmax": "largest probability", "max_cosine": "largest similarity", "neglabel": "`reject`"}


def guide(text: str, found: dict[str, Any]) -> str:
    """The guide with its tables written anew, each between its two comments."""
    tables = {
        "rejection": rejection(found),
        "few-shot": few_shot(found),
        "calibration": calibration(found),
        "multi": multi(found),
        "carried": carried(found),
        "rejection-carried": rejection_carried(found),
        "explain": explain(found),
    }
    for name, content in tables.items():
        text = filled(text, f"bench.answers: {name}", content, GUIDE)
    return text


def fitted(found: dict[str, Any]) -> str:
    """models/embedded_constants.py."""
    return f'''"""Constants fitted to the embedded model. Written by bench/answers.py; not to be edited."""

from __future__ import annotations

from typing import Final

FINGERPRINT: Final = "{found["fingerprint"]}"
"""SHA-256 of the weights."""
TEMPERATURE: Final = {found["calibration"]["temperature"]:.2f}
"""Divides the logits: fitted on Caltech-101."""
SLOPE: Final = {found["many"]["slope"]:.2f}
OFFSET: Final = {found["many"]["offset"]:.2f}
"""The curve of `scoring.multi_label`: fitted on pairs of Caltech-101's pictures."""
'''


def rejection(found: dict[str, Any]) -> str:
    rows = []
    for size, kind in (("half", "rejection"), ("5", "rejection_few_labels")):
        for name, figures in found[kind].items():
            if name == "imagenette" and kind != "rejection":
                continue  # 5 are half of its 10
            for way, said in WAYS.items():
                measured, decided = figures[way], figures["decision"]
                row = [NAMES[name], size, said, _spread(measured["auroc"]), _share(measured["fpr95"])]
                ours = way == "neglabel"
                kept, refused = (_share(decided[each]) for each in ("known_kept", "unknown_refused"))
                rows.append([*row, *((kept, refused) if ours else ("", ""))])
    threshold = found["rejection"]["caltech101"]["decision"]["threshold"]
    head = ["Pictures", "Labels known", "Score", "AUROC", "Unknown taken at 95 % recall"]
    return table(
        [*head, f"Known kept at {threshold:g}", f"Unknown refused at {threshold:g}"], rows, numbers=4
    )


def few_shot(found: dict[str, Any]) -> str:
    rows = []
    for shots in found["few_shot"]["caltech101"]:
        row = [shots]
        for figures in (each[shots] for each in found["few_shot"].values()):
            for name in ("candid", "tip_adapter"):
                of = {kind: figures.get(f"{kind}_{name}") for kind in ("top1", "ece")}
                row += [_share(of["top1"]), f"{of['ece']['mean']:.3f}"] if of["top1"] else ["", ""]
        rows.append(row)
    head = ["Examples a label"]
    for name in found["few_shot"]:
        head += [f"{NAMES[name]}: top-1", "ECE", "Tip-Adapter: top-1", "ECE"]
    return table(head, rows)


def calibration(found: dict[str, Any]) -> str:
    own = found["calibration"]
    rows = [
        [
            NAMES[name],
            f"{own[name]['ece_before']:.3f}",
            f"{own[name]['ece_with_carried']:.3f}" + (" (fitted on it)" if name == own["fitted_on"] else ""),
            f"{own[name]['ece_with_own']:.3f}",
        ]
        for name in NAMES
        if name in own
    ]
    shipped = f"with the catalogue's {own['temperature']:.2f}"
    return table(["Pictures", "Without", shipped, "with one of their own"], rows, numbers=3)


def multi(found: dict[str, Any]) -> str:
    rows = [
        [
            NAMES[name],
            f"{figures['auroc_against_the_bank']:.3f}",
            f"{figures['auroc_against_a_prompt_without']:.3f}",
            f"{figures['ece']:.3f}" + (" (fitted on it)" if name == found["many"]["fitted_on"] else ""),
            f"{figures['precision']:.0%}".replace("%", " %"),
            f"{figures['recall']:.0%}".replace("%", " %"),
        ]
        for name, figures in ((n, found["many"][n]) for n in NAMES if n in found["many"])
    ]
    head = ["Pairs of", "AUROC", 'AUROC of "without a {}"', "ECE", "Precision", "Recall"]
    return table(head, rows, numbers=5)


def rejection_carried(found: dict[str, Any]) -> str:
    rows = []
    for tower, sets in found["carried"].items():
        shares = [of[key] for of in sets.values() for key in ("top1", "known_kept", "unknown_refused")]
        rows.append([tower, *(f"{100 * share:.0f} %" for share in shares)])
    head = ["Tower"]
    for name in next(iter(found["carried"].values())):
        head += [f"{NAMES[name]}: top-1", "known kept", "unknown refused"]
    return table(head, rows)


def carried(found: dict[str, Any]) -> str:
    rows = []
    for tower, sets in found["carried"].items():
        for name, of in sets.items():
            shares = (f"{100 * of[key]:.0f} %" for key in ("top1", "map_cosine", "map"))
            errors = ("ece_cosine", "ece", "ece_own", "ece_alone", "ece_alone_own")
            rows.append([tower, NAMES[name], *shares, *(f"{of[key]:.3f}" for key in errors)])
    head = ["Tower", "Pictures", "Top-1", "mAP of cosines", "mAP", "ECE of cosines", "ECE", "own curve"]
    return table([*head, "One thing each: ECE", "own curve"], rows, numbers=8)


def explain(found: dict[str, Any]) -> str:
    names = {
        "pairs": "Pairs of Caltech-101's pictures, each asked for by its class",
        "photographs": "Things in scikit-image's photographs, boxes marked by hand",
    }
    ways = ("hits", "hits_against_others", "chance")
    rows = []
    for name, said in names.items():
        figures = found["explain"][name]
        rows.append([said, f"{figures['asked']:,}", *(f"{100 * figures[way]:.1f} %" for way in ways)])
    return table(["", "Asked", "Hits", "less the mean of the labels", "By chance"], rows, numbers=4)


def _spread(figure: dict[str, float]) -> str:
    return f"{figure['mean']:.3f} ± {figure['sd']:.3f}"


def _share(figure: dict[str, float]) -> str:
    return f"{100 * figure['mean']:.1f} ± {100 * figure['sd']:.1f} %"
