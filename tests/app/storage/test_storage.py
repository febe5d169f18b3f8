"""Label sets in a database: SQLite and a real PostgreSQL server, each test on both."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import update

from app.storage import calibrations, examples, label_matrices, label_sets, tables
from app.storage.calibrations import ANY_LABELS, StoredCalibration
from app.storage.database import Condition, Database
from app.storage.errors import NotFound, PreconditionFailed, StoreUnavailable
from app.storage.label_matrices import Matrix
from models.errors import InvalidRequest
from tests import postgres

MOST = 100
MODEL = "f" * 64


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'sets.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    database = Database(url)
    for name in [row.name for row in label_sets.summaries(database)]:
        label_sets.remove(database, name)
    yield database
    database.close()


def document(*labels: str) -> dict[str, Any]:
    return {"labels": [{"label": label} for label in labels], "mode": "single"}


def unit(*numbers: float) -> NDArray[np.float32]:
    row = np.array(numbers, dtype=np.float32)
    return row / np.linalg.norm(row)


def example(*numbers: float) -> tuple[str, dict[str, NDArray[np.float32]]]:
    return uuid.uuid4().hex, {MODEL: unit(*numbers)}


def add(db: Database, name: str, label: str, pictures: Any, **options: Any) -> Any:
    return examples.add(db, name, [examples.Coming(label, *each) for each in pictures], **options)


def test_what_is_put_is_got_under_versions_that_only_go_up(db: Database) -> None:
    first, new = label_sets.put(db, "pets", document("cat", "dog"), most=MOST)
    start = first.version
    assert new and first.document == document("cat", "dog")

    second, new = label_sets.put(db, "pets", document("cat"), most=MOST)
    assert not new and second.version == start + 1
    assert label_sets.get(db, "pets") == second

    label_sets.remove(db, "pets")
    with pytest.raises(NotFound):
        label_sets.get(db, "pets")
    again, new = label_sets.put(db, "pets", document("cat"), most=MOST)
    assert new and again.version > start + 1  # an old ETag must not fit the new set
    assert [row.name for row in label_sets.summaries(db)] == ["pets"]


def test_a_change_takes_the_present_document_and_a_failed_one_changes_nothing(db: Database) -> None:
    before, _ = label_sets.put(db, "pets", document("cat"), most=MOST)

    def broken(_: dict[str, Any]) -> dict[str, Any]:
        raise InvalidRequest("no")

    with pytest.raises(InvalidRequest):
        label_sets.change(db, "pets", broken)
    assert label_sets.get(db, "pets") == before
    after = label_sets.change(db, "pets", lambda old: old | {"mode": "multi"})
    assert (after.version, after.document["mode"]) == (before.version + 1, "multi")


def test_a_condition_that_does_not_hold_changes_nothing(db: Database) -> None:
    with pytest.raises(PreconditionFailed):
        label_sets.put(db, "pets", document("cat"), most=MOST, condition=Condition(exists=True))
    stored, _ = label_sets.put(db, "pets", document("cat"), most=MOST, condition=Condition(absent=True))
    wrong = [Condition(absent=True), Condition(versions=frozenset({stored.version + 1}))]
    for condition in wrong:
        with pytest.raises(PreconditionFailed):
            label_sets.put(db, "pets", document("dog"), most=MOST, condition=condition)
        with pytest.raises(PreconditionFailed):
            label_sets.remove(db, "pets", condition=condition)
        with pytest.raises(PreconditionFailed):
            add(db, "pets", "cat", [example(1, 0)], most=9, condition=condition)
    assert label_sets.get(db, "pets") == stored
    label_sets.remove(db, "pets", condition=Condition(versions=frozenset({stored.version})))


def test_of_many_writers_with_the_same_condition_one_wins(db: Database) -> None:
    stored, _ = label_sets.put(db, "pets", document("cat"), most=MOST)
    condition = Condition(versions=frozenset({stored.version}))
    outcomes: list[str] = []

    def write(number: int) -> None:
        try:
            label_sets.put(db, "pets", document(f"label {number}"), most=MOST, condition=condition)
            outcomes.append("won")
        except PreconditionFailed:
            outcomes.append("lost")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost"] * 7 + ["won"]
    assert label_sets.get(db, "pets").version == stored.version + 1


def test_many_make_the_same_set_at_once(db: Database) -> None:
    made: list[bool] = []
    threads = [
        threading.Thread(target=lambda: made.append(label_sets.put(db, "new", document("a"), most=MOST)[1]))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False] * 5 + [True]


def test_a_reader_never_sees_two_versions_at_once(db: Database) -> None:
    """The document says how many examples there are; each writer changes both in turn."""
    label_sets.put(db, "pets", document("cat"), most=MOST)
    stop = threading.Event()

    def write() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            labels = ("cat", f"v{turn}") if turn % 2 else ("dog", f"v{turn}")
            label_sets.put(db, "pets", document(*labels), most=MOST)
            add(db, "pets", labels[0], [example(turn % 7 + 1, 1)], most=9)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(60):
            seen = label_sets.snapshot(db, "pets", MODEL)
            assert seen is not None
            assert set(seen.owners) <= {label["label"] for label in seen.document["labels"]}
    finally:
        stop.set()
        writer.join()


def test_examples_are_added_listed_and_removed_one_by_one(db: Database) -> None:
    version = label_sets.put(db, "pets", document("cat", "dog"), most=MOST)[0].version
    after, added = add(db, "pets", "cat", [example(1, 0), example(0, 1)], most=9)
    assert after == version + 1
    assert [each.duplicate for each in added] == [False, False]
    assert label_sets.get(db, "pets").examples == {"cat": 2}

    seen = label_sets.snapshot(db, "pets", MODEL)
    assert seen is not None and seen.owners == ("cat", "cat") and seen.unseen == 0
    np.testing.assert_array_equal(seen.vectors, np.stack([unit(1, 0), unit(0, 1)]))
    assert label_sets.snapshot(db, "pets", MODEL, known=after) is None

    now, listed = examples.listed(db, "pets", "cat")
    assert now == after and [each.id for each in listed] == [each.id for each in added]
    examples.remove(db, "pets", "cat", added[0].id)
    assert [each.id for each in examples.listed(db, "pets", "cat")[1]] == [added[1].id]
    with pytest.raises(NotFound):
        examples.remove(db, "pets", "cat", added[0].id)


def test_the_same_picture_is_one_example_but_gets_what_embeddings_it_lacks(db: Database) -> None:
    label_sets.put(db, "pets", document("cat"), most=MOST)
    version, [first] = add(db, "pets", "cat", [example(1, 0)], most=9)
    again, [second] = add(db, "pets", "cat", [example(1, 1e-4)], most=9)
    assert second == examples.Added(first.id, duplicate=True) and again == version
    other = label_sets.snapshot(db, "pets", "another model")
    assert other is not None and other.unseen == 1

    both = uuid.uuid4().hex, {MODEL: unit(1, 0), "another model": unit(0, 1, 0)}
    add(db, "pets", "cat", [both], most=9)
    [only] = examples.listed(db, "pets", "cat")[1]
    assert set(only.fingerprints) == {MODEL, "another model"}


def test_examples_go_with_their_label_and_nothing_outlives_its_set(db: Database) -> None:
    label_sets.put(db, "pets", document("cat", "dog"), most=MOST)
    add(db, "pets", "cat", [example(1, 0)], most=9)
    add(db, "pets", "dog", [example(0, 1)], most=9)
    calibrations.save(db, "pets", StoredCalibration(MODEL, 1.5, 1.2, -3.5, 30, 0.2, 0.1, 0))
    assert label_sets.put(db, "pets", document("dog", "fish"), most=MOST)[0].examples == {"dog": 1}
    label_sets.remove(db, "pets")
    fresh = label_sets.put(db, "pets", document("dog"), most=MOST)[0]
    assert fresh.examples == {} and fresh.calibrations == ()


def test_limits_and_what_is_not_there(db: Database) -> None:
    label_sets.put(db, "one", document("cat"), most=1)
    with pytest.raises(InvalidRequest, match="max_label_sets"):
        label_sets.put(db, "two", document("cat"), most=1)
    label_sets.put(db, "one", document("dog"), most=1)
    with pytest.raises(InvalidRequest, match="max_examples"):
        add(db, "one", "dog", [example(1, 0), example(0, 1)], most=1)
    assert label_sets.get(db, "one").examples == {}
    with pytest.raises(NotFound, match="no label 'cat'"):
        add(db, "one", "cat", [example(1, 0)], most=9)
    for missing in (label_sets.get, label_sets.remove, lambda d, n: examples.listed(d, n, "cat")):
        with pytest.raises(NotFound):
            missing(db, "nothing")


def test_a_calibration_belongs_to_a_set_or_to_a_model(db: Database) -> None:
    version = label_sets.put(db, "pets", document("cat"), most=MOST)[0].version
    fitted = StoredCalibration(MODEL, 1.5, 1.2, -3.5, 30, 0.2, 0.1, 0)
    assert calibrations.save(db, "pets", fitted) == version + 1
    [kept] = label_sets.get(db, "pets").calibrations
    assert (kept.temperature, kept.version) == (1.5, version + 1)
    seen = label_sets.snapshot(db, "pets", MODEL)
    assert seen is not None and seen.calibration == kept
    assert calibrations.for_model(db, "another model") is None
    calibrations.save(db, ANY_LABELS, fitted)
    own = calibrations.for_model(db, MODEL)
    assert own is not None and (own.temperature, own.slope, own.offset) == (1.5, 1.2, -3.5)


def test_embedded_labels_are_kept_for_the_texts_they_are_of(db: Database) -> None:
    label_sets.put(db, "pets", document("cat"), most=MOST)
    made = Matrix("digest", np.arange(6, dtype=np.float32).reshape(2, 3), ("cut",))
    label_matrices.save(db, "pets", MODEL, made)
    kept = label_matrices.get(db, "pets", MODEL, "digest")
    assert kept is not None and kept.warnings == ("cut",)
    np.testing.assert_array_equal(kept.vectors, made.vectors)
    assert label_matrices.get(db, "pets", MODEL, "of other texts") is None
    label_sets.remove(db, "pets")
    label_matrices.save(db, "pets", MODEL, made)
    assert label_matrices.get(db, "pets", MODEL, "digest") is None


def test_a_set_that_another_writer_holds_is_not_waited_for_without_end(
    db: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "BUSY_TIMEOUT_MS", 100)
    other = Database(url)
    label_sets.summaries(other)
    with db.write("pets"), pytest.raises(StoreUnavailable, match="the log says why"):
        label_sets.put(other, "pets", document("cat"), most=MOST)
    other.close()


def test_a_second_process_sees_what_the_first_wrote(db: Database, url: str) -> None:
    other = Database(url)
    label_sets.put(db, "pets", document("cat"), most=MOST)
    assert label_sets.get(other, "pets").document == document("cat")
    other.close()


WRITER = """
import sys
from app.storage import label_sets
from app.storage.database import Database

db = Database(sys.argv[1])
for number in range(100_000):
    kept, _ = label_sets.put(db, "pets", {"labels": [{"label": str(number)}]}, most=9)
    print(number, kept.version, flush=True)
"""


def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'sets.db'}"
    for turn in range(3):
        command = [sys.executable, "-c", WRITER, url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(5 + 7 * turn):
                assert writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            said = writer.stdout.read().splitlines() or ["0 0"]
        number, version = map(int, said[-1].split()) if said[-1].count(" ") else (0, 0)
        db = Database(url)
        kept = label_sets.get(db, "pets")
        assert kept.version >= version
        assert int(kept.document["labels"][0]["label"]) >= number
        db.close()


def test_a_place_that_cannot_be_used_says_so_and_works_once_it_can(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    db = Database(f"sqlite:///{blocked / 'sets.db'}")
    with pytest.raises(StoreUnavailable, match="CANDID_DATABASE_URL"):
        label_sets.summaries(db)
    blocked.unlink()
    with pytest.raises(StoreUnavailable, match="a moment ago"):
        label_sets.summaries(db)  # not tried again at once: callers of a silent server would wait in turn
    wait_until(lambda: can_be_opened(db))
    assert label_sets.summaries(db) == []
    db.close()


def can_be_opened(db: Database) -> bool:
    try:
        label_sets.summaries(db)
    except StoreUnavailable:
        return False
    return True


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_is_written_after_the_file_was_taken_away_is_there_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "sets.db"
    db = Database(f"sqlite:///{file}")
    label_sets.put(db, "pets", document("cat"), most=MOST)
    for part in tmp_path.iterdir():
        part.unlink()
    label_sets.put(db, "birds", document("owl"), most=MOST)  # into a new file
    db.close()
    again = Database(f"sqlite:///{file}")
    assert [row.name for row in label_sets.summaries(again)] == ["birds"]
    again.close()


def test_one_damaged_document_keeps_no_other_set_from_being_listed(db: Database) -> None:
    for name in ("birds", "pets"):
        label_sets.put(db, name, document("cat", "dog"), most=MOST)
    with db.write("pets") as connection:
        own = tables.label_sets.c.name == "pets"
        connection.execute(update(tables.label_sets).where(own).values(document="{", version=9))
    assert [(row.name, row.labels) for row in label_sets.summaries(db)] == [("birds", 2), ("pets", 0)]
    with pytest.raises(StoreUnavailable, match="'pets' is damaged"):
        label_sets.get(db, "pets")
    label_sets.put(db, "pets", document("cat"), most=MOST)
    assert label_sets.get(db, "pets").document == document("cat")


def test_a_list_reads_a_document_once_a_version(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    label_sets.put(db, "pets", document("cat", "dog"), most=MOST)
    assert [row.labels for row in label_sets.summaries(db)] == [2]
    monkeypatch.setattr(label_sets, "labels_in", None)  # who calls it fails
    assert [row.labels for row in label_sets.summaries(db)] == [2]
    monkeypatch.undo()
    label_sets.put(db, "pets", document("cat"), most=MOST)
    assert [row.labels for row in label_sets.summaries(db)] == [1]


@pytest.mark.parametrize("url", ["postgresql://user:secret@127.0.0.1:1/none", "no url", "oracle+none://x"])
def test_a_wrong_url_tells_no_password(url: str) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        label_sets.summaries(Database(url))
    assert "secret" not in caught.value.message


def test_without_a_url_it_is_the_users_data_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    db = Database(None)
    assert not (tmp_path / "candid").exists()  # nothing is made before it is needed
    label_sets.put(db, "pets", document("cat"), most=MOST)
    db.close()
    assert (tmp_path / "candid" / "candid.db").is_file()
