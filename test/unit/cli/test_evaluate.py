"""`ego evaluate`: tables, files, and the errors a user can make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.clip_folder import write_clips
from fixtures.hand_clips import hand_frames
from typer.testing import CliRunner

from ego_perception.cli.evaluate import app
from ego_perception.errors import ConfigError, OutputError, SourceError, WeightsError

NO_WEIGHTS = ("--painter", "none", "--segmenter", "none")


def run(*arguments: Any) -> str:
    """Run the verb and return what it printed; expected errors are raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_clips(folder, {1: hand_frames(3, 1), 2: hand_frames(3, 2)})
    return folder


def test_baselines_are_scored_without_weights(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "scores.json"
    printed = run("hand_removal", "--data", clips, *NO_WEIGHTS, "--output", out)
    assert "6 frames" in printed and "telea" in printed
    content = json.loads(out.read_text())
    assert content["models"] == {"painter": "none", "segmenter": "none"} and content["masks"] == {}
    scores = content["removal"]["true masks"]
    assert set(scores["methods"]) == {"telea", "navier_stokes", "propagation_telea"} and scores["frames"] == 6
    assert 5 < scores["methods"]["telea"]["psnr"] < 40 and 0 < scores["hole_share"] < 0.3
    tables = out.with_suffix(".md").read_text()
    assert "| telea | " in tables and "segmenter: none" in tables


def test_limit_takes_the_first_clips(clips: Path) -> None:
    assert "3 frames" in run("hand_removal", "--data", clips, *NO_WEIGHTS, "--limit", 1)


def test_numbers_that_json_cannot_hold_are_null(clips: Path, tmp_path: Path) -> None:
    """One frame: nothing was seen before, and there is no frame before to flicker against."""
    write_clips(tmp_path / "one", {1: hand_frames(1)})
    run("hand_removal", "--data", tmp_path / "one", *NO_WEIGHTS, "-o", tmp_path / "s.json")
    row = json.loads((tmp_path / "s.json").read_text())["removal"]["true masks"]["methods"]["telea"]
    assert row["psnr_observed"] is None and row["flicker"] is None and row["psnr_unobserved"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("reconstruction",), "task is 'reconstruction'; choose one of hand_removal"),
        (("hand_removal", "--limit", "-1"), "limit is -1"),
        (("hand_removal", "--output", "scores.md"), "where the tables go; name the JSON file"),
    ],
)
def test_bad_arguments(clips: Path, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(*arguments, "--data", clips)


def test_bad_files(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        run("hand_removal", "--data", tmp_path / "missing", *NO_WEIGHTS)
    (tmp_path / "w.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"w\.safetensors"):
        run("hand_removal", "--data", clips, "--painter", tmp_path / "w.safetensors", "--segmenter", "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        run("hand_removal", "--data", clips, *NO_WEIGHTS, "--limit", 1, "-o", tmp_path / "file" / "s.json")


def test_how_alike_pictures_look_is_told_where_asked_for(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def distance(a: Any, b: Any) -> Any:
        return np.abs(a.astype(np.float32) - b).mean(axis=2)

    monkeypatch.setattr("ego_perception.hand_removal.perceptual.load_networks", lambda: (distance, None))
    out = tmp_path / "s.json"
    printed = run("hand_removal", "--data", clips, *NO_WEIGHTS, "--limit", 1, "--perceptual", "-o", out)
    rows = json.loads(out.read_text())["perceptual"]["true masks"]
    assert rows["telea"]["lpips_hole"] > rows["telea"]["lpips"] > 0 and rows["telea"]["fid"] is None
    assert "in the hole" in printed and "How alike pictures look, true masks" in out.with_suffix(".md").read_text()
