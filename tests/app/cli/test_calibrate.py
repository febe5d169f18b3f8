"""`candid calibrate`, and that the service then answers with what it found."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

import models
from app.cli.main import app
from app.main import create_app
from app.settings import Settings
from tests.small import small_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Pictures that show nothing, so that whoever is sure of them is wrong."""
    root = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    for label in ("cat", "dog", "rocket"):
        (root / label).mkdir()
        for number in range(8):
            file = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(file, "PNG")
            (root / label / f"{number}.png").write_bytes(file.getvalue())
    yield root


def test_the_temperature_is_found_kept_and_used(
    noise: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'sets.db'}"
    monkeypatch.setenv("CANDID_DATABASE_URL", url)
    shown = CliRunner().invoke(app, ["calibrate", str(noise), "-m", str(model)])
    assert shown.exit_code == 0, shown.output
    assert "24 pictures" in shown.output and "kept" in shown.output
    temperature = float(shown.output.split("temperature ")[1].split(",")[0])

    classifier = models.load(str(model))
    picture = (noise / "cat" / "0.png").read_bytes()
    with TestClient(create_app(Settings(), {"small": classifier})) as client:
        fields = {"labels": ["cat", "dog"], "calibrated": "true"}
        answer = client.post("/v1/classify", files={"images": picture}, data=fields).json()
        plain = client.post("/v1/classify", files={"images": picture}, data={"labels": ["cat", "dog"]}).json()
    classifier.close()
    assert answer["temperature_of"] == "model"
    assert answer["temperature"] == pytest.approx(temperature, rel=1e-3)
    assert plain["calibrated"] is False


def test_the_curve_of_mode_multi_is_fitted_with_it_and_used_unasked(
    noise: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANDID_DATABASE_URL", f"sqlite:///{tmp_path / 'sets.db'}")
    asked = ["classify", str(noise / "cat" / "0.png"), "-m", str(model), "-l", "cat", "-l", "dog"]
    asked += ["--mode", "multi", "--json"]
    before = CliRunner().invoke(app, asked)
    shown = CliRunner().invoke(app, ["calibrate", str(noise), "-m", str(model)])
    assert shown.exit_code == 0, shown.output
    slope = float(shown.output.split("slope ")[1].split(",")[0])
    assert abs(slope) < 1  # noise: whether a label is right cannot be seen
    after = CliRunner().invoke(app, asked)
    raw = CliRunner().invoke(app, [*asked, "--raw"])
    one, two, three = (json.loads(each.stdout) for each in (before, after, raw))
    assert one["calibrated"] is False and "no curve was fitted for small" in one["warnings"][0]
    assert (two["calibrated"], two["curve_of"]) == (True, "model") and "temperature" not in two
    assert two["warnings"] == []
    for place in two["results"][0]["ranking"]:  # nothing is known but how often a label holds
        assert place["probability"] == pytest.approx(0.2, abs=0.15)
    assert three["results"] == one["results"] and three["calibrated"] is False


def test_a_label_set_gets_a_temperature_of_its_own(
    noise: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANDID_DATABASE_URL", f"sqlite:///{tmp_path / 'sets.db'}")
    arguments = ["calibrate", str(noise), "-m", str(model), "--label-set", "things"]
    unknown = CliRunner().invoke(app, arguments)
    assert unknown.exit_code == 2 and "there is no label set 'things'" in unknown.output

    classifier = models.load(str(model))
    with TestClient(create_app(Settings(), {"small": classifier})) as client:
        labels = [{"label": "cat", "aliases": ["kitten"]}, "dog", "rocket", "boat"]
        client.put("/v1/label-sets/things", json={"labels": labels})
        shown = CliRunner().invoke(app, arguments)
        assert shown.exit_code == 0 and "things, now version 2" in shown.output, shown.output
        [kept] = client.get("/v1/label-sets/things").json()["calibration"]
        assert kept["images"] == 24 and kept["version"] == 2
        picture = (noise / "cat" / "0.png").read_bytes()
        answer = client.post("/v1/classify", files={"images": picture}, data={"label_set": "things"}).json()
    classifier.close()
    assert (answer["calibrated"], answer["temperature_of"]) == (True, "label_set")
    assert answer["temperature"] == pytest.approx(kept["temperature"], rel=1e-4)
    both = CliRunner().invoke(app, [*arguments, "-t", "photo"])
    assert both.exit_code == 2 and "leave out --template" in both.output


def test_shown_only_nothing_is_kept(noise: Path, model: Path, tmp_path: Path) -> None:
    environment = {"CANDID_DATABASE_URL": f"sqlite:///{tmp_path / 'sets.db'}"}
    arguments = ["calibrate", str(noise), "-m", str(model), "--show"]
    shown = CliRunner().invoke(app, arguments, env=environment)
    assert shown.exit_code == 0 and "kept" not in shown.output
    assert not (tmp_path / "sets.db").exists()


def test_too_few_pictures_are_refused(noise: Path, model: Path) -> None:
    refused = CliRunner().invoke(app, ["calibrate", str(noise), "-m", str(model), "--limit", "5", "--show"])
    assert refused.exit_code == 2 and "needs 20" in refused.output
