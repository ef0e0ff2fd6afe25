"""What `~/save` writes: readable by others, whole or not at all, and only what belongs to the present map."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import trimesh
from evo.tools import file_interface
from fixtures.wall_scene import START_NS, STEP_NS, wall

from ego_perception.data import TrackingState
from ego_perception.data.result.cloud import read_ply
from ego_perception.data.tum import read_tum
from ego_perception.errors import OutputError
from ego_perception.nodes import archive as module
from ego_perception.nodes.archive import SceneArchive

POINTS = np.array([[0.0, 1.0, 2.0], [-3.0, 0.5, 0.25]], np.float32)


@pytest.fixture
def archive() -> SceneArchive:
    """Five poses and a map of two points."""
    made = SceneArchive()
    for i in range(5):
        made.process(wall(i, landmarks=POINTS))
    return made


def test_it_is_a_stage_that_changes_nothing(archive: SceneArchive) -> None:
    estimate = wall(5)
    assert archive.process(estimate) is estimate
    assert archive.flush() == []


def test_trajectory_and_map_come_back(archive: SceneArchive, tmp_path: Path) -> None:
    folder = tmp_path / "a new" / "folder"
    assert archive.save(folder, overwrite=False) == [folder / "trajectory.tum", folder / "map.ply"]
    assert sorted(path.name for path in folder.iterdir()) == ["map.ply", "trajectory.tum"]
    trajectory = read_tum(folder / "trajectory.tum")
    assert trajectory.stamps_ns.tolist() == [START_NS + i * STEP_NS for i in range(5)]
    np.testing.assert_allclose(trajectory.positions[:, 0], 0.01 * np.arange(5), atol=1e-6)
    points, colours = read_ply(folder / "map.ply")
    np.testing.assert_array_equal(points, POINTS)
    assert (colours == 255).all()


def test_other_programs_read_it(archive: SceneArchive, tmp_path: Path) -> None:
    trajectory, cloud = archive.save(tmp_path, overwrite=False)
    assert file_interface.read_tum_trajectory_file(trajectory).num_poses == 5
    np.testing.assert_array_equal(trimesh.load(cloud).vertices, POINTS)


def test_lost_frames_have_no_pose(archive: SceneArchive, tmp_path: Path) -> None:
    archive.process(wall(5, TrackingState.LOST, landmarks=POINTS))
    archive.save(tmp_path, overwrite=False)
    assert len(read_tum(tmp_path / "trajectory.tum")) == 5


def test_a_new_map_drops_the_poses_of_the_old_one(archive: SceneArchive, tmp_path: Path) -> None:
    """Poses of different maps share no frame, so one file must not hold both."""
    for i in range(5, 8):
        archive.process(wall(i, map_id=1, landmarks=POINTS[:1]))
    archive.save(tmp_path, overwrite=False)
    assert len(read_tum(tmp_path / "trajectory.tum")) == 3
    assert len(read_ply(tmp_path / "map.ply")[0]) == 1


def test_after_a_reset_there_is_nothing_to_save(archive: SceneArchive, tmp_path: Path) -> None:
    archive.reset()
    with pytest.raises(OutputError, match="no pose was estimated since the last reset"):
        archive.save(tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out").exists()


def test_files_in_the_way_stay_unless_overwriting(archive: SceneArchive, tmp_path: Path) -> None:
    (tmp_path / "map.ply").write_text("precious")
    with pytest.raises(OutputError, match=r"map\.ply exists; set overwrite"):
        archive.save(tmp_path, overwrite=False)
    assert (tmp_path / "map.ply").read_text() == "precious"
    assert not (tmp_path / "trajectory.tum").exists()
    archive.save(tmp_path, overwrite=True)
    assert len(read_ply(tmp_path / "map.ply")[0]) == 2


def test_a_full_disk_leaves_the_earlier_files_whole(
    archive: SceneArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.save(tmp_path, overwrite=False)
    archive.process(wall(5, landmarks=POINTS))

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left on device; free space"):
        archive.save(tmp_path, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.ply", "trajectory.tum"]
    assert len(read_tum(tmp_path / "trajectory.tum")) == 5


@pytest.mark.parametrize("below", ["", "below"])
def test_a_file_where_the_folder_should_be(archive: SceneArchive, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        archive.save(tmp_path / "file" / below, overwrite=True)


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_POSES", 10)
    archive = SceneArchive()
    for i in range(25):
        archive.process(wall(i))
    archive.save(tmp_path, overwrite=False)
    assert read_tum(tmp_path / "trajectory.tum").stamps_ns.tolist() == [START_NS + i * STEP_NS for i in range(15, 25)]


def test_saving_while_frames_arrive(tmp_path: Path) -> None:
    archive, stop = SceneArchive(), threading.Event()
    archive.process(wall(0))

    def feed() -> None:
        i = 0
        while not stop.wait(0.0005):
            i += 1
            archive.process(wall(i))

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        for _ in range(5):
            archive.save(tmp_path, overwrite=True)
            stamps = read_tum(tmp_path / "trajectory.tum").stamps_ns
            assert (np.diff(stamps) == STEP_NS).all()
    finally:
        stop.set()
        thread.join(10)
