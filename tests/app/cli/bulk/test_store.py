"""Folders in object stores, through fsspec: a store in this process's memory stands for them."""

from __future__ import annotations

import io
from collections.abc import Iterator

import fsspec
import pyarrow
import pyarrow.parquet
import pytest

from app.cli.bulk.blocks import PICTURES, Block, blocks
from app.cli.bulk.store import Parts
from models.errors import InvalidRequest


@pytest.fixture
def bucket() -> Iterator[str]:
    store = fsspec.filesystem("memory")
    for name in ("b/2.jpg", "a/1.png", "a/notes.txt", "a/.hidden.jpg", "__MACOSX/3.jpg"):
        store.pipe_file(f"/bucket/{name}", name.encode())
    yield "memory://bucket"
    store.rm("/bucket", recursive=True)


def found(*arguments: str, done: frozenset[str] = frozenset()) -> list[Block]:
    return list(blocks(arguments, from_stdin=False, done=done))


def contents(some: list[Block]) -> dict[str, bytes]:
    return {picture.name: picture.read() for block in some for picture in block.pictures()}


def test_a_folder_of_a_store_is_gone_through_by_name_without_what_is_no_picture(bucket: str) -> None:
    [block] = found(bucket)
    assert block.names == ("memory:///bucket/a/1.png", "memory:///bucket/b/2.jpg")
    assert contents([block]) == dict(zip(block.names, (b"a/1.png", b"b/2.jpg"), strict=True))


def test_a_picture_that_is_named_twice_or_done_is_not_done_again(bucket: str) -> None:
    assert [
        block.names for block in found(bucket, f"{bucket}/a", done=frozenset(found(bucket)[0].names[1:]))
    ] == [("memory:///bucket/a/1.png",)]


@pytest.mark.parametrize("url", ["memory://bucket/nothing", "nosuch://bucket", "memory://bucket/a.parquet"])
def test_what_cannot_be_listed_is_told(bucket: str, url: str) -> None:
    with pytest.raises(InvalidRequest, match=url):
        found(url)


def test_parquet_may_hold_the_pictures_themselves(bucket: str) -> None:
    """As the Hugging Face datasets write them: a struct of bytes and path; and as plain binary."""
    store = fsspec.filesystem("memory")
    count = PICTURES + 3
    datasets = [{"bytes": b"%d" % n, "path": None} for n in range(count)]
    for name, columns in (
        ("struct", {"image": datasets}),
        ("plain", {"bytes": [b"%d" % n for n in range(count)], "path": [f"p{n}" for n in range(count)]}),
    ):
        file = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns), file, row_group_size=100)
        store.pipe_file(f"/bucket/{name}.parquet", file.getvalue())
    url = f"{bucket}/struct.parquet"
    assert contents(found(url)) == {f"{url}#{n}": b"%d" % n for n in range(count)}
    plain = found(f"{bucket}/plain.parquet", done=frozenset({"p1", "p150"}))
    assert contents(plain) == {f"p{n}": b"%d" % n for n in range(count) if n not in (1, 150)}


def test_a_part_is_whole_or_not_there_and_has_the_same_name_for_the_same_pictures(bucket: str) -> None:
    parts = Parts(f"{bucket}/out")
    parts.make()
    block = found(bucket)[0]
    assert not parts.has(block.part)
    parts.write(block.part, b"whole")
    assert (parts.names(), parts.has(found(bucket)[0].part)) == ([block.part], True)
    parts.remove()
    assert parts.names() == []
