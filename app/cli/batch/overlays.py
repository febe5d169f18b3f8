"""Explanations as files: each picture with the relevance of one label drawn over it, as PNG."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Final

from models.errors import InvalidRequest

MAX_PART_BYTES: Final = 120
"""Of a picture's or a label's name within a file's: file systems take 255."""


class Overlays:
    """A folder of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidRequest(f"{folder}: {error.strerror or error}") from error

    def write(self, name: str, answer: dict[str, Any]) -> None:
        """Into FOLDER/PICTURE-LABEL.png; the answer keeps the files' paths in the pictures' place.

        A picture's folders are part of its name: no two pictures of a run share a file.
        """
        for explained in answer.get("explanation", {}).get("labels", ()):
            path = self.folder / f"{_part(name.lstrip('./'))}-{_part(explained['label'])}.png"
            try:
                png = base64.b64decode(explained["overlay"].partition(",")[2], validate=True)
            except (AttributeError, KeyError, ValueError):
                raise InvalidRequest(f"{name}: the service sent no overlay that can be read") from None
            path.write_bytes(png)
            explained["overlay"] = str(path)


def _part(text: str) -> str:
    """As a part of a file's name on any system; of a long one its end."""
    safe = "".join(char if char.isalnum() or char in " .()_-" else "_" for char in text)
    return safe.encode()[-MAX_PART_BYTES:].decode(errors="ignore").strip() or "_"
