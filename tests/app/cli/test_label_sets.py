"""`candid label-sets` as a person types it: the service with the same database has what was stored here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

import models
from app.cli.main import app
from app.main import create_app
from app.settings import Settings
from models.batching.read_ahead import PICTURES
from tests.models.fakes import FakeClassifier, FakeImage, direction
from tests.small import small_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photographs: Mapping[str, bytes]) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for name in ("cat", "rocket"):
        (root / f"{name}.jpg").write_bytes(photographs[name])
    (root / "broken.jpg").write_bytes(b"no picture")
    (root / "things.json").write_text(json.dumps({"labels": ["ours", {"label": "theirs"}]}))
    return root


@pytest.fixture(autouse=True)
def _own_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDID_DATABASE_URL", f"sqlite:///{tmp_path / 'sets.db'}")


def candid(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def sets(*arguments: str | Path) -> Result:
    return candid("label-sets", *arguments)


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_set_is_stored_shown_listed_and_deleted(folder: Path) -> None:
    assert "stored, version 1" in done(sets("put", "things", folder / "things.json"))
    assert "replaced, version 2" in done(sets("put", "things", folder / "things.json"))
    shown = json.loads(done(sets("show", "things")))
    assert [each["label"] for each in shown["labels"]] == ["ours", "theirs"] and shown["version"] == 2
    assert done(sets("list")).split()[-4:] == ["things", "2", "2", "0"]
    done(sets("delete", "things"))
    assert sets("show", "things").exit_code == 2


def test_what_was_taught_here_is_used_by_the_service_and_measured(
    folder: Path, model: Path, photographs: Mapping[str, bytes], tmp_path: Path
) -> None:
    done(sets("put", "things", folder / "things.json"))
    added = sets("teach", "things", "ours", folder / "cat.jpg", folder / "broken.jpg", "-m", model)
    assert added.exit_code == 1 and "1 added" in added.stdout and "broken.jpg" in added.stderr
    again = done(sets("teach", "things", "ours", folder / "cat.jpg", "-m", model))
    assert "0 added, 1 known already" in again and "version 2" in again
    assert "version 3" in done(sets("teach", "things", "theirs", folder / "rocket.jpg", "-m", model))

    classifier = models.load(str(model))
    with TestClient(create_app(Settings(), {"small": classifier})) as client:
        for picture, label in (("cat", "ours"), ("rocket", "theirs")):
            answer = client.post(
                "/v1/classify", files={"images": photographs[picture]}, data={"label_set": "things"}
            ).json()
            assert answer["label_set"] == {"name": "things", "version": 3}
            assert answer["results"][0]["ranking"][0]["label"] == label
    classifier.close()

    table = tmp_path / "truth.csv"
    table.write_text(f"path,label\n{folder / 'cat.jpg'},ours\n{folder / 'rocket.jpg'},theirs\n")
    out = tmp_path / "out.json"
    measured = candid("evaluate", table, "-m", model, "--label-set", "things", "--json", out)
    assert measured.exit_code == 0, measured.output
    [row] = json.loads(out.read_text())
    assert (row["template"], row["top1"]) == ("things (version 3)", 1.0)

    [own] = done(sets("examples", "things", "ours")).split()
    assert "version 4" in done(sets("forget", "things", "ours", own))
    assert done(sets("examples", "things", "ours")) == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["put", "Capitals", "things.json"], "is no name"),
        (["put", "things", "nowhere.json"], "nowhere.json: No such file"),
        (["show", "things"], "there is no label set 'things'"),
        (["delete", "things"], "there is no label set 'things'"),
        (["teach", "things", "ours", "cat.jpg", "-m", "no/model"], "there is no label set 'things'"),
        (["forget", "things", "ours", "1"], "there is no label set 'things'"),
    ],
)
def test_a_mistake_is_told(arguments: list[str], said: str) -> None:
    result = sets(*arguments)
    assert result.exit_code == 2 and said in " ".join(result.output.split())


def test_what_the_service_would_refuse_is_refused(tmp_path: Path) -> None:
    for body, said in (
        ({"labels": []}, "at least one label"),
        ({"labels": ["a", "a"]}, "labels[1] repeats labels[0]"),
        ({"labels": ["a" * 2000]}, "labels[0] has 2000 characters"),
        ({"labels": ["a"], "typo": 1}, "typo"),
    ):
        file = tmp_path / "body.json"
        file.write_text(json.dumps(body))
        result = sets("put", "things", file)
        assert result.exit_code == 2 and said in " ".join(result.output.split())


class Counting(FakeClassifier):
    """Embeds when it is asked for the answer, so that what is under way is what was begun and not taken."""

    def __init__(self) -> None:
        super().__init__()
        self.info = SimpleNamespace(fingerprint="f" * 64, config="c" * 16)  # type: ignore[assignment]
        self.held: list[int] = []
        self.most = 0

    def embed_image(self, data: bytes) -> Future:
        under_way: Future = Future()
        self.held.append(len(data))
        self.most = max(self.most, len(self.held))

        def result(timeout: float | None = None) -> FakeImage:
            self.held.pop()
            return FakeImage(direction(data.decode()))

        under_way.result = result  # type: ignore[method-assign]
        return under_way

    def close(self) -> None:
        """Nothing is open."""


def test_teaching_holds_few_pictures_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set.json").write_text('{"labels": ["cat"]}')
    done(sets("put", "things", tmp_path / "set.json"))
    for number in range(300):
        (tmp_path / f"{number}.jpg").write_bytes(b"picture %d" % number)
    fake = Counting()
    monkeypatch.setattr(models, "load", lambda *_: fake)
    said = done(sets("teach", "things", "cat", *sorted(tmp_path.glob("*.jpg"))))
    assert "300 added" in said
    assert fake.most <= PICTURES
