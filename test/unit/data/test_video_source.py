"""Videos and webcams."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ego_perception.data import Frame
from ego_perception.data.intrinsics import parse_intrinsics
from ego_perception.data.listing import EPOCH_NS
from ego_perception.data.video import VideoSource, WebcamSource
from ego_perception.errors import SourceError
from ego_perception.runtime import Source


def write_video(path: Path, n: int = 12, fps: float = 20.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (64, 48))
    for i in range(n):
        writer.write(np.full((48, 64, 3), 20 * (i % 12), np.uint8))
    writer.release()
    return path


def frames(source: VideoSource) -> list[Frame]:
    return [item for item in source if isinstance(item, Frame)]


def test_frames_stamps_and_order(tmp_path: Path) -> None:
    source = VideoSource(write_video(tmp_path / "v.avi"))
    assert isinstance(source, Source)
    assert not source.is_live
    found = frames(source)
    assert len(found) == 12
    assert found[0].stamp_ns == EPOCH_NS
    assert np.allclose(np.diff([f.stamp_ns for f in found]), 50_000_000, atol=1_000_000)
    assert [round(float(f.image.mean()) / 20) for f in found] == list(range(12))


def test_second_pass_starts_over(tmp_path: Path) -> None:
    source = VideoSource(write_video(tmp_path / "v.avi"))
    first, second = frames(source), frames(source)
    assert [f.stamp_ns for f in first] == [f.stamp_ns for f in second]
    assert np.array_equal(first[3].image, second[3].image)


def test_given_rate_replaces_the_stamps(tmp_path: Path) -> None:
    found = frames(VideoSource(write_video(tmp_path / "v.avi"), fps=10.0))
    assert [f.stamp_ns - EPOCH_NS for f in found] == [i * 100_000_000 for i in range(12)]


def test_intrinsics_ride_along(tmp_path: Path) -> None:
    found = frames(VideoSource(write_video(tmp_path / "v.avi"), intrinsics=parse_intrinsics("60,61,32,24")))
    assert found[0].camera is not None
    assert found[0].camera.fy == 61


def test_a_video_that_is_no_video(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "v.mp4").write_text("this is a text file\n" * 100)
    with pytest.raises(SourceError, match="is no video"):
        VideoSource(tmp_path / "v.mp4")


@pytest.mark.parametrize("content", [b"", b"\x00" * 4096])
def test_empty_and_zero_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.mp4").write_bytes(content)
    with pytest.raises(SourceError, match="is no video"):
        VideoSource(tmp_path / "v.mp4")


def test_truncated_video_gives_what_it_holds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "v.avi", n=40)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    found = frames(VideoSource(path))
    assert 5 < len(found) < 40
    assert "cut short" in caplog.text


def test_missing_file_one_image_and_impossible_rate(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        VideoSource(tmp_path / "nothing.mp4")
    cv2.imwrite(str(tmp_path / "one.jpg"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(SourceError, match="one image"):
        VideoSource(tmp_path / "one.jpg")
    with pytest.raises(SourceError, match="fps"):
        VideoSource(write_video(tmp_path / "v.avi"), fps=-3)


class FakeCamera:
    """Gives three pictures, then fails as an unplugged camera does."""

    def __init__(self, device: int) -> None:
        self.left = 3 if device == 0 else 0
        self.released = False

    def isOpened(self) -> bool:
        return self.left > 0

    def set(self, *_: object) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        return (True, np.zeros((48, 64, 3), np.uint8)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.released = True


def test_webcam_is_live_and_says_when_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    source = WebcamSource(0)
    assert source.is_live
    taken: list[Frame | Exception] = []
    with pytest.raises(SourceError, match="after 3 frames"):
        taken.extend(source)
    assert len(taken) == 3
    stamps = [item.stamp_ns for item in taken if isinstance(item, Frame)]
    assert stamps == sorted(stamps)
    source.close()


def test_missing_webcam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    with pytest.raises(SourceError, match="/dev/video7"):
        WebcamSource(7)
