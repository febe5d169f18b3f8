"""Folders of files that can be made again: there whole and sound, or not there.

A folder's name and its manifest say what it was made from, so that nothing made from other weights is ever
taken for it; the manifest's checksums find what was damaged. Made by other versions, it is made again in the
same place, so old ones do not pile up. It is made beside its place and moved there by one rename, so that
services that start at once never see each other's half.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

MANIFEST: Final = "manifest.json"
ABANDONED_S: Final = 3600.0
"""Age at which a folder that somebody began to make is taken for what a crash left behind."""


class Export:
    """The folder under `root` of what is made from `made_from` (JSON); `fingerprint` begins its name.

    `versions` are of what makes it. One that is None is not installed here: any will do.
    """

    def __init__(
        self, root: Path, fingerprint: str, made_from: Mapping[str, Any], versions: Mapping[str, str | None]
    ) -> None:
        self._made_from = {"fingerprint": fingerprint, **made_from}
        self._versions = dict(versions)
        text = json.dumps(self._made_from, sort_keys=True)
        self._of_the_weights = f"{fingerprint[:16]}-*"
        self.folder = root / f"{fingerprint[:16]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def is_sound(self) -> bool:
        """True when every file is there as it was made, and it was made from the same by the same."""
        try:
            manifest = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
            promised: dict[str, str] = manifest["sha256"]
            same = manifest["made_from"] == json.loads(json.dumps(self._made_from))
            same = same and self._are_ours(manifest["versions"])
            return same and bool(promised) and promised == _checksums(self.folder)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _are_ours(self, versions: dict[str, str | None]) -> bool:
        ours = {name: version for name, version in self._versions.items() if version is not None}
        return {name: versions[name] for name in ours} == ours

    @contextmanager
    def making(self) -> Iterator[Path]:
        """A new folder to write into, which takes this export's place when the block ends without an error.

        Raises OSError when it cannot be written. When another process was first, that one's stays.
        """
        root, name = self.folder.parent, self.folder.name
        root.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(root, name)
        made = root / f"{name}.{uuid.uuid4().hex}"
        made.mkdir()  # with the process's own mode: who installs is not who serves
        try:
            yield made
            manifest = {
                "made_from": self._made_from,
                "versions": self._versions,
                "sha256": _checksums(made),
            }
            (made / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            self._put(made)
            self._remove_outdated()
        finally:
            shutil.rmtree(made, ignore_errors=True)  # unless it was moved

    def _put(self, made: Path) -> None:
        try:
            made.rename(self.folder)
        except OSError:  # something is there
            if self.is_sound():
                return
            if self.folder.is_dir() and not self.folder.is_symlink():
                shutil.rmtree(self.folder)
            else:
                self.folder.unlink()
            made.rename(self.folder)

    def _remove_outdated(self) -> None:
        """What other versions made of these weights elsewhere: once, the versions were part of the name."""
        for path in self.folder.parent.glob(self._of_the_weights):
            with suppress(OSError, ValueError, KeyError, TypeError):
                manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
                if "versions" in manifest["made_from"] or not self._are_ours(manifest["versions"]):
                    shutil.rmtree(path, ignore_errors=True)


def _checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file but the manifest."""
    sums = {}
    for path in sorted(folder.iterdir()):
        if path.name != MANIFEST:
            with path.open("rb") as file:
                sums[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


def _remove_abandoned(root: Path, name: str) -> None:
    for path in root.glob(f"{name}.*"):
        try:
            if time.time() - path.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:  # somebody else removed it
            continue
