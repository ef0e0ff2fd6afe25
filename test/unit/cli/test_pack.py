"""`ego pack`: each kind of video becomes a file that its reader reads; labels that do not fit are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fixtures.packed_videos import write_epic_frames, write_visor_json

from ego_perception.cli.main import main
from ego_perception.data.hdf5.ego4d import Ego4dClip
from ego_perception.data.hdf5.epic import EpicVideo
from ego_perception.data.hdf5.visor import VisorVideo
from ego_perception.hand_removal.segmentation.sizes import HandClass


def pack(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main(["pack", *map(str, arguments)])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Five images; the second and third are bright."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for k in range(5):
        cv2.imwrite(str(folder / f"{k}.png"), np.full((40, 60, 3), 200 if k in (1, 2) else 30, np.uint8))
    return folder


def test_epic_and_visor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pack("epic", write_epic_frames(tmp_path / "P01_01", 3), "-o", tmp_path / "P01_01.hdf5") == 0
    assert len(EpicVideo(tmp_path / "P01_01.hdf5")) == 3
    dense, sparse = write_visor_json(tmp_path, "P01_01", 4)
    out = tmp_path / "P01_01_interpolations.hdf5"
    assert pack("visor", dense, "--sparse", sparse, "-o", out) == 0
    assert len(VisorVideo(out)) == 4
    assert "P01_01.hdf5: 3 frames" in (text := capsys.readouterr().out) and "interpolations.hdf5: 4 annotations" in text
    assert pack("visor", dense, "-o", out) == 1
    assert "--sparse FILE.json" in capsys.readouterr().err


def test_ego4d_with_labels(tmp_path: Path, frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels.txt").write_text("0 1\n0\n")
    assert pack("ego4d", frames, "-o", tmp_path / "clip.hdf5", "--labels", tmp_path / "labels.txt", "--stride", "2") == 0
    assert Ego4dClip(tmp_path / "clip.hdf5").has_hand.tolist() == [False, True, False]
    for text, message in (("0 1", "has 2 labels, fewer"), ("0 1 0 0", "has 4 labels for 3 frames"), ("0 2 0", "holds '2'")):
        (tmp_path / "labels.txt").write_text(text)
        out = tmp_path / "other.hdf5"
        assert pack("ego4d", frames, "-o", out, "--labels", tmp_path / "labels.txt", "--stride", "2") == 1
        assert message in capsys.readouterr().err and not out.exists()


def test_ego4d_with_the_segmenter(tmp_path: Path, frames: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bright:
        """Bright images are all hand; in dark ones a hand is held to be an object."""

        def predict(self, rgb: Any) -> Any:
            found = HandClass.LEFT_HAND if rgb.mean() > 100 else HandClass.HELD_OBJECT
            return np.stack([np.full((30, 40), float(c == found), np.float32) for c in HandClass])

    monkeypatch.setattr("ego_perception.hand_removal.segmentation.network.load_segmenter", lambda path: Bright())
    assert pack("ego4d", frames, "-o", tmp_path / "clip.hdf5", "--stride", "1") == 0
    assert Ego4dClip(tmp_path / "clip.hdf5").has_hand.tolist() == [False, True, True, False, False]


def test_an_unknown_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pack("hoi4d", tmp_path, "-o", tmp_path / "a.hdf5") == 1
    assert "choose one of epic, ego4d, visor" in capsys.readouterr().err
