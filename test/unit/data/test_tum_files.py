"""TUM files: nanoseconds survive, damaged lines do not stop a reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evo.tools import file_interface
from hypothesis import given
from hypothesis import strategies as st

from ego_perception.data.tum import TumWriter, format_pose, make_trajectory, parse_stamp, read_tum, write_tum
from ego_perception.errors import SourceError
from ego_perception.geometry import make_transform, so3_exp


def spiral(n: int = 20) -> tuple[list[int], list[np.ndarray]]:
    stamps = [1_700_000_000_123_456_789 + i * 66_666_667 for i in range(n)]
    return stamps, [make_transform(so3_exp([0.1 * i, 0.02 * i, 0]), [np.cos(i), np.sin(i), 0.1 * i]) for i in range(n)]


def test_round_trip_keeps_nanoseconds_and_poses(tmp_path: Path) -> None:
    trajectory = make_trajectory(*spiral())
    write_tum(tmp_path / "t.tum", trajectory)
    back = read_tum(tmp_path / "t.tum")
    assert np.array_equal(back.stamps_ns, trajectory.stamps_ns)
    assert np.abs(back.T_world_cam - trajectory.T_world_cam).max() < 2e-6


def test_evo_reads_what_we_write(tmp_path: Path) -> None:
    trajectory = make_trajectory(*spiral())
    write_tum(tmp_path / "t.tum", trajectory)
    theirs = file_interface.read_tum_trajectory_file(str(tmp_path / "t.tum"))
    assert np.allclose(theirs.positions_xyz, trajectory.positions, atol=1e-6)
    assert np.allclose(np.array(theirs.poses_se3), trajectory.T_world_cam, atol=1e-5)


@given(st.integers(min_value=0, max_value=2**62))
def test_stamps_survive_text(stamp_ns: int) -> None:
    assert parse_stamp(format_pose(stamp_ns, np.eye(4)).split()[0]) == stamp_ns


@pytest.mark.parametrize(
    ("text", "stamp_ns"), [("1.5", 1_500_000_000), ("2", 2 * 10**9), ("-0.25", -250_000_000), ("1e-3", 10**6)]
)
def test_stamp_texts(text: str, stamp_ns: int) -> None:
    assert parse_stamp(text) == stamp_ns


def test_each_pose_is_on_disk_at_once(tmp_path: Path) -> None:
    writer = TumWriter(tmp_path / "t.tum")
    writer.write(5, np.eye(4))
    assert len(read_tum(tmp_path / "t.tum")) == 1
    writer.close()


def test_damaged_lines_are_skipped_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = format_pose(10**9, np.eye(4))
    (tmp_path / "t.tum").write_text(f"# head\n\n{good}\n3 1 2 nan 0 0 0 1\n4 1 2 3 0 0 0 0\nwhat is this\n5.0 1 2 3 0 0")
    assert len(read_tum(tmp_path / "t.tum")) == 1
    assert "4 lines" in caplog.text


def test_file_without_poses_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t.tum").write_text("# nothing\n")
    with pytest.raises(SourceError, match="holds no pose"):
        read_tum(tmp_path / "t.tum")
    with pytest.raises(SourceError, match="cannot be read"):
        read_tum(tmp_path / "missing.tum")


def test_unsorted_and_repeated_stamps() -> None:
    poses = [make_transform(np.eye(3), [i, 0, 0]) for i in range(3)]
    trajectory = make_trajectory([30, 10, 30], poses)
    assert trajectory.stamps_ns.tolist() == [10, 30]
    assert trajectory.positions[:, 0].tolist() == [1, 0]


def test_path_length() -> None:
    square = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert make_trajectory([0, 1, 2, 3], [make_transform(np.eye(3), p) for p in square]).path_length_m == pytest.approx(3.0)
    assert len(make_trajectory([], [])) == 0


def test_real_trajectory_reads_as_evo_reads_it(shared_data: Path) -> None:
    path = shared_data / "trajectories" / "freiburg1_xyz-groundtruth.txt"
    truth, theirs = read_tum(path), file_interface.read_tum_trajectory_file(str(path))
    assert len(truth) == theirs.num_poses == 3000
    assert truth.path_length_m == pytest.approx(theirs.path_length)
    assert np.abs(truth.stamps_ns * 1e-9 - theirs.timestamps).max() < 1e-6
