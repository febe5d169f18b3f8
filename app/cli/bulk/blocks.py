"""What one part holds: pictures that are answered together, named before any of them is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from app.cli.batch.sources import SourcePicture, Sources
from app.cli.bulk import store, tables
from models.errors import InvalidRequest
from models.evaluation.picture_files import read_file

PICTURES: Final = 256
"""Of one part: some seconds of work, and all that is lost with a machine."""


@dataclass(frozen=True, slots=True)
class Block:
    """Pictures by name; where each lies, or the row group of a Parquet file that holds them all."""

    names: tuple[str, ...]
    places: tuple[str, ...] = ()  # a path or a URL each
    table: str | None = None
    group: int = 0
    all_names: tuple[str, ...] = ()  # of the row group, where not all are wanted

    @property
    def part(self) -> str:
        """Its file's name: the same for the same pictures, so doing them again writes it again."""
        digest = hashlib.sha256(json.dumps(self.names).encode()).hexdigest()
        return f"{digest[:32]}{store.PART}"

    def pictures(self) -> Iterator[SourcePicture]:
        """In their order."""
        if self.table is None:
            for name, place in zip(self.names, self.places, strict=True):
                reading = (
                    partial(store.read, place) if store.is_url(place) else partial(read_file, Path(place))
                )
                yield SourcePicture(name, None, reading)
            return
        found = tables.pictures(
            self.table, self.group, list(self.all_names or self.names), frozenset(self.names)
        )
        for name, data in found:
            yield SourcePicture(name, None, partial(bytes, data))


def blocks(arguments: Iterable[str], *, from_stdin: bool, done: Collection[str]) -> Iterator[Block]:
    """Of all pictures that a command names, each once, but those that are `done`. Raises InvalidRequest."""
    seen = set(done)
    files: list[str] = []
    for argument in arguments:
        if argument.lower().endswith(store.PART) and tables.holds_pictures(argument):
            yield from _of_table(argument, seen)
        elif store.is_url(argument):
            yield from _of_files(((url, url) for url in store.pictures(argument)), seen)
        else:
            files.append(argument)
    if files or from_stdin:
        sources = Sources(tuple(files), from_stdin)
        sources.check()
        yield from _of_files(map(_placed, sources), seen)


def _of_files(found: Iterable[tuple[str, str]], seen: set[str]) -> Iterator[Block]:
    new = ((name, place) for name, place in found if _is_new(name, seen))
    while some := list(islice(new, PICTURES)):
        names, places = zip(*some, strict=True)
        yield Block(names, places)


def _of_table(table: str, seen: set[str]) -> Iterator[Block]:
    for group, names in enumerate(tables.groups(table)):
        new = tuple(name for name in names if _is_new(name, seen))
        if new:
            yield Block(new, table=table, group=group, all_names=tuple(names))


def _is_new(name: str, seen: set[str]) -> bool:
    new = name not in seen
    seen.add(name)
    return new


def _placed(found: SourcePicture) -> tuple[str, str]:
    if found.path is None or found.embedded is not None:
        raise InvalidRequest(f"{found.name}: --ray takes pictures that are files, not tars or embeddings")
    return found.name, str(found.path.absolute())
