"""What is known of a model beside its towers: kept with their export, so nothing is built to serve it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from models.encoders.encoder import EndOfText, Grid
from models.images.preprocess import Preprocess
from models.pretrained.tokenizer import TokenizerSpec

DESCRIPTION, TOKENIZER = "description.json", "tokenizer.json"
_PAIRS: Final = ("size", "mean", "std")  # which JSON gives back as lists


@dataclass(frozen=True, slots=True)
class Description:
    """Of one model, whatever runs its towers."""

    preprocess: Preprocess
    image_size: int  # px, of the first side
    context_length: int  # tokens
    end_of_text: EndOfText | None  # None: the text tower is run on the whole context
    logit_scale: float
    logit_bias: float | None  # SigLIP's
    parameters: int
    tokenizer: TokenizerSpec | None  # None: open_clip's own is needed
    grid: Grid | None  # None: no place of a picture can be told from another

    def write(self, folder: Path) -> None:
        """Into files of `folder`. Raises OSError."""
        text = self.tokenizer.json if self.tokenizer else None
        if self.tokenizer and text is not None:
            (folder / TOKENIZER).write_text(text, encoding="utf-8")
            self = replace(self, tokenizer=replace(self.tokenizer, json=TOKENIZER))
        (folder / DESCRIPTION).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")


def read(folder: Path) -> Description:
    """What `write` wrote. Raises OSError."""
    known: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    preprocess, end, tokenizer, grid = (
        known.pop(name) for name in ("preprocess", "end_of_text", "tokenizer", "grid")
    )
    if tokenizer and tokenizer["json"]:
        tokenizer["json"] = (folder / tokenizer["json"]).read_text(encoding="utf-8")
    return Description(
        preprocess=Preprocess(**preprocess | {name: tuple(preprocess[name]) for name in _PAIRS}),
        end_of_text=EndOfText(**end) if end else None,
        tokenizer=TokenizerSpec(**tokenizer) if tokenizer else None,
        grid=Grid(**grid) if grid else None,
        **known,
    )
