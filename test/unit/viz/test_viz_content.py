"""What is derived from a result folder, against the folder's known answers."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from fixtures.result_folder import NUM_FRAMES, TRUE_SCALE, UP, WALL_M, pose, write_result

from ego_perception.data import TrackingState
from ego_perception.errors import SourceError
from ego_perception.viz.content import ResultContent
from ego_perception.viz.renderings import point_size, render_views, thinned


def test_alignment_finds_the_scale_and_leaves_no_error(content: ResultContent) -> None:
    assert content.alignment is not None
    assert content.alignment.scale == pytest.approx(TRUE_SCALE, rel=1e-4)
    paths = content.paths
    assert paths is not None
    assert paths.rmse_m == pytest.approx(0.0, abs=1e-4)
    assert len(paths.error_m) == NUM_FRAMES - 2
    assert paths.truth is not None
    np.testing.assert_allclose(paths.truth[[0, -1]], paths.estimate[[0, -1]], atol=1e-3)


def test_paths_stand_level_in_metres_of_the_truth(content: ResultContent) -> None:
    paths = content.paths
    assert paths is not None
    # The walk rises and falls by 2 cm; seen level it covers 1.1 m sideways, doubled by the truth's metres.
    assert np.ptp(paths.estimate[:, 2]) < 0.06
    assert np.ptp(paths.estimate[:, 1]) == pytest.approx(1.1 * TRUE_SCALE, rel=0.02)


def test_truth_is_also_known_in_the_estimates_world(content: ResultContent) -> None:
    truth = content.truth_in_world()
    assert truth is not None
    np.testing.assert_allclose(truth[3], pose(3)[:3, 3], atol=1e-3)


def test_up_is_gravitys_opposite(content: ResultContent) -> None:
    assert np.degrees(np.arccos(np.clip(content.up @ UP, -1, 1))) < 1.5


def test_depth_errors_vanish_after_the_one_scale(content: ResultContent) -> None:
    assert content.depth_scale == pytest.approx(TRUE_SCALE, rel=2e-3)
    error = content.depth_error(content.frames[0])
    assert error is not None
    assert np.isnan(error[:6, :6]).all()
    assert np.nanmax(error) < 0.01


def test_depth_limits_span_the_room(content: ResultContent) -> None:
    near, far = content.depth_limits
    assert 1.0 < near < 2.0
    assert WALL_M * 0.9 < far < WALL_M * 1.3


def test_intervals_name_what_was_not_tracking(content: ResultContent) -> None:
    found = [(round(i.start_s, 3), round(i.end_s, 3), i.state.name, i.reason) for i in content.intervals]
    assert found == [
        (0.5, 0.7, "LOST", "no known place in <view> & sight"),
        (0.7, 0.8, "DEGRADED", "few points"),
    ]
    assert content.state_counts == {TrackingState.TRACKING: 9, TrackingState.LOST: 2, TrackingState.DEGRADED: 1}
    assert content.duration_s == pytest.approx(1.1)


def test_equal_states_apart_are_two_intervals(result_folder: Path, tmp_path: Path) -> None:
    out = shutil.copytree(result_folder, tmp_path / "out")
    log = out / "frames" / "frames.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    lines[1] |= {"state": lines[5]["state"], "reason": lines[5]["reason"]}
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = [(round(i.start_s, 3), round(i.end_s, 3)) for i in ResultContent(out).intervals]
    assert found == [(0.1, 0.2), (0.5, 0.7), (0.7, 0.8)]


def test_sampled_spreads_over_the_recording(content: ResultContent) -> None:
    assert [f.index for f in content.sampled(3)] == [0, 6, 11]
    assert len(content.sampled(100)) == NUM_FRAMES


def test_without_truth_there_is_a_path_and_no_error(tmp_path: Path) -> None:
    content = ResultContent(write_result(tmp_path / "out", with_truth=False))
    assert content.alignment is None
    assert content.truth_in_world() is None
    assert content.depth_scale is None
    assert content.depth_error(content.frames[0]) is None
    paths = content.paths
    assert paths is not None
    assert (paths.truth, paths.rmse_m, paths.scale) == (None, None, 1.0)
    walked = [pose(i)[:3, 3] for i in range(NUM_FRAMES) if i not in (5, 6)]
    expected = sum(np.linalg.norm(b - a) for a, b in itertools.pairwise(walked))
    assert paths.length_m == pytest.approx(expected, rel=1e-4)


def test_a_result_without_frames_has_defaults(tmp_path: Path) -> None:
    content = ResultContent(write_result(tmp_path / "out", num_frames=0))
    assert (content.frames, content.duration_s, content.paths, content.intervals) == ([], 0.0, None, [])
    assert content.sampled() == []
    assert content.up.tolist() == [0.0, 0.0, 1.0]
    assert render_views(content) == []


def test_damaged_pictures_count_as_absent_and_are_remembered(result_folder: Path, tmp_path: Path) -> None:
    out = shutil.copytree(result_folder, tmp_path / "out")
    (out / "frames" / "000001.depth.png").write_bytes(b"\x89PNG\r\n\x1a\nshort")
    (out / "frames" / "000002.jpg").unlink()
    content = ResultContent(out)
    assert content.depth(content.frames[1]) is None
    assert content.image(content.frames[2]) is None
    assert content.image(content.frames[1]) is not None
    assert content.unreadable == {"depth 1", "image 2"}


@pytest.mark.parametrize("name", ["cloud.ply", "metrics.json", "timing.json"])
def test_damaged_files_count_as_absent_and_are_remembered(result_folder: Path, tmp_path: Path, name: str) -> None:
    out = shutil.copytree(result_folder, tmp_path / "out")
    (out / name).write_bytes((out / name).read_bytes()[:-3])
    content = ResultContent(out)
    assert len(content.cloud[0]) == (0 if name == "cloud.ply" else len(ResultContent(result_folder).cloud[0]))
    assert (content.metrics is None) == (name == "metrics.json")
    assert (content.timing is None) == (name == "timing.json")
    assert content.unreadable == {name}


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_a_folder_that_is_no_result_is_an_error_that_says_so(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "empty":
        path.mkdir()
    elif name == "file":
        path.write_text("x")
    with pytest.raises(SourceError, match="is no result folder"):
        ResultContent(path)


def test_views_show_cloud_and_path(content: ResultContent) -> None:
    views = render_views(content, width=160)
    assert [v.caption.split(",")[0] for v in views] == ["from behind the wearer", "from the left", "from the top"]
    assert views[0].picture.shape[1] == 160
    for view in views:
        red = (view.picture[..., 0] > 120) & (view.picture[..., 2] < 90)
        assert red.mean() > 0.02, view.caption
        drawn = (np.abs(view.picture.astype(int) - (24, 27, 33)).max(axis=2) > 8).mean()
        assert 0.1 < drawn < 0.98, view.caption


def test_thinned_keeps_a_limit_the_same_choice_and_finite_points() -> None:
    points = np.arange(300, dtype=np.float32).reshape(100, 3)
    points[7] = np.nan
    colours = np.zeros((100, 3), np.uint8)
    kept, tint = thinned(points, colours, 20)
    assert (len(kept), len(tint)) == (20, 20)
    np.testing.assert_array_equal(kept, thinned(points, colours, 20)[0])
    assert len(thinned(points, colours, 1000)[0]) == 99


def test_point_size_falls_with_density() -> None:
    rng = np.random.default_rng(0)
    sparse = rng.uniform(0, 4, (2_000, 3)).astype(np.float32)
    dense = rng.uniform(0, 4, (200_000, 3)).astype(np.float32)
    assert 0.004 <= point_size(dense) < point_size(sparse) <= 0.08
