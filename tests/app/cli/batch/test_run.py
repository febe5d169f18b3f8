from __future__ import annotations

import threading
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.cli.batch import run as room
from app.cli.batch.outputs import Output
from app.cli.batch.run import Job, Pending, Tally, run
from app.cli.batch.sorting import Sorter
from app.cli.batch.sources import Sources
from models.batching.read_ahead import read_ahead
from models.errors import CandidError, EncoderFailed, InvalidRequest

RANKING = [{"label": "cat", "similarity": 0.2, "probability": 0.9}]
ANSWER: dict[str, Any] = {"width": 1, "height": 1, "ranking": RANKING}


class Asker:
    """Answers when it is waited for; counts."""

    def __init__(self) -> None:
        self.common: dict[str, Any] = {"model": "fake"}
        self.warnings = ["a warning"]
        self.asked: list[bytes] = []
        self.under_way = self.most = 0
        self.closed = False
        self.fails_at: int | None = None

    def ask(self, data: bytes) -> Pending:
        self.asked.append(data)
        number = len(self.asked)
        self.under_way += 1
        self.most = max(self.most, self.under_way)

        def wait() -> dict[str, Any]:
            self.under_way -= 1
            if number == self.fails_at:
                raise EncoderFailed("the device is gone")
            return ANSWER

        return wait

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for index in range(10):
        (tmp_path / "in" / f"{index}.jpg").write_bytes(b"%d" % index)
    return tmp_path / "in"


def job(folder: Path, asker: Asker, **more: Any) -> tuple[Job, list[tuple[str, dict[str, Any]]]]:
    shown: list[tuple[str, dict[str, Any]]] = []
    sources = Sources((str(folder),), leave_out=more.pop("leave_out", None))
    return Job(sources, lambda: asker, lambda *answer: shown.append(answer), **more), shown


def test_answers_come_in_order_and_only_so_many_pictures_are_under_way(folder: Path) -> None:
    asker, tally = Asker(), Tally()
    asked, shown = job(folder, asker, ahead=3)
    run(asked, tally)
    assert [Path(name).name for name, _ in shown] == [f"{index}.jpg" for index in range(10)]
    assert (asker.most, asker.closed) == (3, True)
    assert (tally.done, tally.failed, tally.common, tally.warnings) == (10, 0, asker.common, ["a warning"])


def test_large_pictures_are_fewer_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "read_ahead", partial(read_ahead, nbytes=1))
    asker = Asker()
    run(job(folder, asker)[0], Tally())
    assert asker.most == 2


def test_a_file_that_cannot_be_read_is_its_own_error(folder: Path) -> None:
    (folder / "0.jpg").unlink()
    (folder / "0.jpg").symlink_to("nowhere")
    tally = Tally()
    asked, shown = job(folder, Asker())
    run(asked, tally)
    assert (tally.done, tally.failed) == (10, 1)
    assert shown[0][1]["error"]["code"] == "unreadable" and "error" not in shown[1][1]


def test_nobody_is_asked_when_nothing_is_left_to_do(folder: Path, tmp_path: Path) -> None:
    for expected in (10, 0):
        asker, tally = Asker(), Tally()
        with Output(tmp_path / "out.csv", asked="q", top_k=1) as output:
            run(job(folder, asker, output=output)[0], tally)
        assert (tally.done, tally.before, len(asker.asked)) == (expected, 10 - expected, expected)
        assert asker.closed is bool(expected)


def test_an_output_that_was_not_finished_is_finished_by_the_next_run(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    path = tmp_path / "out.parquet"
    with Output(path, asked="q", top_k=1) as output:
        for number in range(10):  # and then the process was killed
            output.write(str(folder / f"{number}.jpg"), ANSWER)
    assert not path.exists()
    asker = Asker()
    with Output(path, asked="q", top_k=1) as output:
        run(job(folder, asker, output=output)[0], Tally())
    assert path.exists() and not asker.asked


@pytest.mark.parametrize("move", [True, False])
def test_a_run_that_fails_is_gone_on_with_and_no_picture_is_done_twice(
    folder: Path, tmp_path: Path, move: bool
) -> None:
    first, second, top = Asker(), Asker(), tmp_path / "in" / "sorted"
    first.fails_at = 6
    rows = []
    for asker in (first, second):
        with Output(tmp_path / "out.jsonl", asked="q", top_k=1) as output:
            asked, shown = job(
                folder, asker, output=output, sorter=Sorter(top, move=move), ahead=2, leave_out=top
            )
            if asker is first:
                with pytest.raises(CandidError, match="device is gone"):
                    run(asked, Tally())
            else:
                run(asked, Tally())
            rows += [name for name, _ in shown]
    assert len(rows) == len(set(rows)) == 10
    assert sorted(path.name for path in (top / "cat").iterdir()) == [f"{index}.jpg" for index in range(10)]
    assert all((top / "cat" / f"{index}.jpg").read_bytes() == b"%d" % index for index in range(10))
    assert len(list(folder.glob("*.jpg"))) == (0 if move else 10)


def test_a_move_that_was_cut_short_is_finished_by_the_next_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    sorter = Sorter(tmp_path / "sorted", move=True)
    with (
        Output(tmp_path / "out.csv", asked="q", top_k=1) as output,
        monkeypatch.context() as patched,
        pytest.raises(KeyboardInterrupt),
    ):
        patched.setattr(Sorter, "take", cut)
        run(job(folder, Asker(), output=output, sorter=sorter)[0], Tally())
    assert (folder / "0.jpg").exists()
    with Output(tmp_path / "out.csv", asked="q", top_k=1) as output:
        run(job(folder, Asker(), output=output, sorter=sorter)[0], Tally())
    assert not list(folder.iterdir())
    assert sorted(p.name for p in (tmp_path / "sorted" / "cat").iterdir()) == [f"{i}.jpg" for i in range(10)]


def test_what_is_no_file_of_its_own_cannot_be_sorted(tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("a.jpg"))
    asker = Asker()
    asked, _ = job(tmp_path / "a.tar", asker, sorter=Sorter(tmp_path / "out", move=True))
    with pytest.raises(InvalidRequest, match="no file of its own"):
        run(asked, Tally())
    assert not asker.asked


def test_reading_goes_on_while_answers_are_waited_for(folder: Path) -> None:
    """The second picture is asked about before the first is answered."""
    second = threading.Event()

    class Overlapping(Asker):
        def ask(self, data: bytes) -> Pending:
            self.asked.append(data)
            if len(self.asked) > 1:
                second.set()
            done: Future[dict[str, Any]] = Future()

            def work() -> None:
                assert second.wait(10)
                done.set_result(ANSWER)

            threading.Thread(target=work).start()
            return done.result

    tally = Tally()
    run(job(folder, Overlapping())[0], tally)
    assert tally.done == 10
