"""`ego dataset`: options, progress, verify."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from fixtures.toy_clips import TOY, ToyClips
from rich.console import Console
from typer.testing import CliRunner

from ego_perception.cli import dataset as verb
from ego_perception.cli.dataset import Meter, app
from ego_perception.data.clips import ClipDataset, clip_path
from ego_perception.errors import ConfigError, SourceError
from ego_perception.simulation import dataset
from ego_perception.simulation.dataset import DatasetConfig, Progress, write_dataset


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, Exception):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Renders toys; keeps what was asked for."""
    seen: dict[str, Any] = {}

    def write(out: Path, config: DatasetConfig, frames: int, **options: Any) -> int:
        seen.update(config=config, frames=frames, **options)
        return write_dataset(out, config, frames, renderer=ToyClips(), **options)

    monkeypatch.setattr(verb, "write_dataset", write)
    return seen


def test_options_become_the_configuration(asked: dict[str, Any], tmp_path: Path) -> None:
    text = run(
        "--split", "test", "--frames", "7", "-o", str(tmp_path / "d"), "--size", "32x16", "--frames-per-clip", "3",
        "--fps", "10", "--preset", "hard", "--products", "flow,bodies", "--photo", "mix", "--fov", "50-60", "--colour", "png",
        "--seed-offset", "5", "--views", "walk",
    )  # fmt: skip
    assert asked["config"] == DatasetConfig(
        split="test", width=32, height=16, frames_per_clip=3, fps=10.0, preset="hard", products=("flow", "bodies"), photo="mix",
        fov_y_deg=(50.0, 60.0), colour="png", seed_offset=5,
    )  # fmt: skip
    assert "9 frames in 'test'" in text and "9 of 9 frames" in text
    about = json.loads((tmp_path / "d" / "dataset.json").read_text())
    assert about["command"].startswith("ego dataset") and about["code_version"]


def test_the_same_command_again_renders_nothing(asked: dict[str, Any], tmp_path: Path) -> None:
    arguments = ("--frames", "3", "-o", str(tmp_path), "--frames-per-clip", "3", "--size", "16x16", "--products", "none")
    run(*arguments)
    before = clip_path(tmp_path, 0).stat().st_mtime_ns
    assert "3 frames" in run(*arguments)
    assert clip_path(tmp_path, 0).stat().st_mtime_ns == before and asked["config"].products == ()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--frames", "5"), "say where the data set goes"),
        (("-o", "x", "--split", "trian"), "did you mean 'train'"),
        (("-o", "x", "--size", "big"), "WIDTHxHEIGHT"),
        (("-o", "x", "--fov", "wide"), "LEAST-LARGEST"),
        (("-o", "x", "--products", "shoes"), "choose one of"),
        (("-o", "x", "--frames", "300000"), "1 to 200000 frames"),
        (("-o", "x", "--jobs", "0"), "jobs start at 1"),
        (("paint",), "choose one of render, verify"),
        (("verify",), "say which data set"),
    ],
)
def test_wrong_requests_are_one_line(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=words) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == []


def test_verify_finds_damage(tmp_path: Path) -> None:
    write_dataset(tmp_path, TOY, 9, renderer=ToyClips())
    assert "3 of 3 clips are whole, 9 frames" in run("verify", str(tmp_path))
    path = clip_path(tmp_path, 10_001)
    data = bytearray(path.read_bytes())
    data[-3000] ^= 1
    path.write_bytes(bytes(data))
    lines = (tmp_path / "index.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "index.jsonl").write_text("".join(lines[:2]))
    text = run("verify", str(tmp_path), code=1)
    assert "damaged: 10001.tar" in text and "not in the index: 10002.tar" in text and "1 of 2 clips are whole" in text
    with pytest.raises(SourceError, match="is no dataset"):
        run("verify", str(tmp_path / "clips"))


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_in_place_on_a_terminal_and_rare_elsewhere(terminal: bool) -> None:
    out = io.StringIO()
    meter = Meter(Console(file=out, force_terminal=terminal, width=100))
    for done in (20, 40, 60):
        meter(Progress(done, 60, 12.34, 65.0 if done < 60 else 0.0))
    text = out.getvalue()
    assert text.count("frames/s") == (3 if terminal else 1)
    assert "60 of 60 frames, 12.3 frames/s, 0:00 left" in text
    assert ("40 of 60 frames, 12.3 frames/s, 1:05 left" in text) == terminal


def test_the_default_renderer_is_the_simulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ego_perception.simulation import dataset_clips

    monkeypatch.setattr(dataset_clips, "SimClips", ToyClips)
    assert dataset.write_dataset(tmp_path, TOY, 3) == 3
    assert ClipDataset(tmp_path).num_clips == 1
