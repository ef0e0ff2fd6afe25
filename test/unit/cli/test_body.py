"""`ego body`: pictures, descriptions, and one line for every mistake."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ego_perception.body.model import SHAPE_NAMES, load_body
from ego_perception.cli.body import parse_betas
from ego_perception.cli.main import main
from ego_perception.errors import ConfigError
from ego_perception.resources import models_dir


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["body", *arguments])
    return int(stop.value.code or 0)


def test_preview_draws_the_pose_and_the_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rest, seated, tall = tmp_path / "rest.png", tmp_path / "sit.png", tmp_path / "tall.png"
    assert run("preview", "-o", str(rest), "--height", "200") == 0
    assert run("preview", "-o", str(seated), "--height", "200", "--pose", "sit") == 0
    assert run("preview", "-o", str(tall), "--height", "200", "--betas", "0,3") == 0
    assert "egobody, pose tpose" in capsys.readouterr().out
    pictures = [cv2.imread(str(path)) for path in (rest, seated, tall)]
    assert all(picture.shape[0] == 200 for picture in pictures)
    assert pictures[1].shape[1] < 0.9 * pictures[0].shape[1], "a seated person with arms down is less wide"
    assert (pictures[2] < 240).mean() > (pictures[0] < 240).mean(), "a stouter person covers more"


def test_info_describes_the_shipped_body(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info") == 0
    shown = capsys.readouterr().out
    assert load_body().sha256 in shown
    assert "closed, 1 piece(s), Euler number 2" in shown
    assert "0 self-intersections" in shown
    assert all(name in shown for name in SHAPE_NAMES)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["draw"], "action is 'draw'"),
        (["preview", "--pose", "fly"], "choose one of tpose"),
        (["preview", "--betas", "a"], "write up to 10 numbers"),
        (["preview", "--betas", "9"], "between -5 and 5"),
        (["preview", "-o", "picture.gif", "--height", "64"], "use .png or .jpg"),
        (["preview", "missing.npz"], "is missing"),
        (["info", "missing.pkl"], "is missing"),
        (["build"], "needs -o"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 1
    shown = capsys.readouterr().err.strip()
    assert words in shown
    assert "\n" not in shown


def test_unwritable_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("preview", "-o", str(tmp_path / "none" / "a.png"), "--height", "64") == 1
    assert "cannot be written" in capsys.readouterr().err


def test_build_writes_a_file_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(models_dir() / "egobody.npz") as shipped:
        arrays = {name: shipped[name] for name in shipped.files}
    monkeypatch.setattr("ego_perception.body.generate.build.build_body", lambda: arrays)
    assert run("build", "-o", str(tmp_path / "new.npz")) == 0
    assert (tmp_path / "new.npz").read_bytes() == (models_dir() / "egobody.npz").read_bytes()
    assert load_body().sha256 in capsys.readouterr().out
    assert run("build", "-o", str(tmp_path / "new.obj")) == 1
    assert "use .npz or .pkl" in capsys.readouterr().err


def test_betas_are_padded_and_checked() -> None:
    assert parse_betas("").tolist() == [0.0] * 10
    assert parse_betas(" 2, -1.5 0").tolist() == [2.0, -1.5] + [0.0] * 8
    for text in ("nan", "1," * 11, "inf", "1;2"):
        with pytest.raises(ConfigError):
            parse_betas(text)
    assert np.array_equal(parse_betas("5,-5")[:2], [5.0, -5.0])
