"""Pictures of hand removal in the report, in the viewer of a result, and on the live page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures.wall_scene import wall
from removal_fakes import FaultyEstimator, frame_with_hand

from ego_perception.data import SceneEstimate
from ego_perception.data.hand_removal import HandLabel, HandRemovalEstimate, Provenance, RemovalState
from ego_perception.data.result import ResultSink, RunRecord
from ego_perception.geometry import PinholeCamera
from ego_perception.viz.content import ResultContent
from ego_perception.viz.hands import (
    PROVENANCE_RGB,
    overlay_hands,
    overlay_provenance,
    removal_frames,
    shares,
    state_counts,
)
from ego_perception.viz.live import LiveViewer
from ego_perception.viz.report_hands import hand_removal_body
from ego_perception.viz.viewer import serve


def estimates(count: int = 5, withheld: tuple[int, ...] = (2,)) -> list[SceneEstimate]:
    estimator, found = FaultyEstimator(), []
    for k in range(count):
        known = wall(k)
        frame = replace(frame_with_hand(k, known.frame.stamp_ns), index=k)
        removed = estimator.push(frame)
        assert removed is not None
        if k in withheld:
            removed = HandRemovalEstimate(frame, RemovalState.WITHHELD, "no <mask>")
        camera = PinholeCamera.from_fov(*frame.size, 1.0)
        found.append(replace(known, frame=frame, camera=camera, hand_removal=removed))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hands")
    sink = ResultSink(out, RunRecord("run", "hands", tasks=("reconstruction", "hand_removal")))
    for estimate in estimates():
        sink.write(estimate)
    sink.close()
    sink.finish(replace(sink.record, status="finished"))
    return out


def test_only_the_marked_pixels_are_tinted_each_label_in_its_colour() -> None:
    image = np.full((4, 6, 3), 100, np.uint8)
    mask = np.zeros((4, 6), np.uint8)
    mask[0, 0], mask[0, 1], mask[0, 2], mask[0, 3] = HandLabel.LEFT, HandLabel.RIGHT, HandLabel.HELD_OBJECT, HandLabel.ANY
    shown = overlay_hands(image, mask)
    assert (shown[1:] == 100).all() and (shown[0, 4:] == 100).all()
    assert len({tuple(c) for c in shown[0, :3].tolist()} | {(100, 100, 100)}) == 4
    assert (image == 100).all()
    assert overlay_hands(image, None) is image


def test_provenance_has_its_colours_and_live_pixels_stay() -> None:
    image = np.full((2, 4, 3), 100, np.uint8)
    codes = np.tile(np.array([[0, 1, 2, 3]], np.uint8), (2, 1))
    shown = overlay_provenance(image, codes)
    assert (shown[:, 0] == 100).all()
    for code, colour in PROVENANCE_RGB.items():
        expected = 0.45 * 100 + 0.55 * np.array(colour)
        assert np.abs(shown[0, int(code)] - expected).max() <= 1


def test_codes_of_another_size_are_fitted() -> None:
    image = np.full((4, 4, 3), 100, np.uint8)
    codes = np.array([[0, 2], [0, 0]], np.uint8)
    changed = (overlay_provenance(image, codes) != 100).any(axis=2)
    assert np.array_equal(changed, np.kron(codes == 2, np.ones((2, 2), np.bool_)))


def test_shares_and_states_are_counted(folder: Path) -> None:
    content = ResultContent(folder)
    frames = removal_frames(content)
    assert sum(state_counts(frames).values()) == 5
    assert state_counts(frames)["withheld"] == 1
    found = shares(p for f in frames if (p := content.provenance(f)) is not None)
    assert sum(found.values()) == pytest.approx(1.0)
    assert found[Provenance.LIVE] > 0.5 and found[Provenance.UNKNOWN] == 0
    assert shares([]) == {}


def test_the_section_escapes_reasons_and_marks_what_was_withheld(folder: Path) -> None:
    body = hand_removal_body(ResultContent(folder))
    assert "no &lt;mask&gt;" in body and "no <mask>" not in body
    assert '<span class="soft">withheld</span>' in body
    assert body.count("<img") == 5 + 2 * 4


def test_a_damaged_picture_costs_that_picture_only(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "frames" / "000001.free.jpg").write_bytes(b"not a picture")
    (copy / "frames" / "000003.prov.png").unlink()
    content = ResultContent(copy)
    assert "<img" in hand_removal_body(content)
    assert {"hand_free 1", "provenance 3"} <= content.unreadable


def test_the_viewer_of_a_result_shows_the_pair_of_each_frame(folder: Path) -> None:
    with serve(folder, port=0, block=False) as viewer:
        panel = viewer.view._hands
        assert panel is not None
        viewer.view.show(1)
        first = np.array(panel.image)
        viewer.view.show(2)
        assert not np.array_equal(first, panel.image)


def test_a_result_without_hand_removal_has_no_such_panel(result_folder: Path) -> None:
    with serve(result_folder, port=0, block=False) as viewer:
        assert viewer.view._hands is None


def test_the_live_page_shows_hands_from_the_first_frame_that_has_them() -> None:
    viewer = LiveViewer(port=0)
    try:
        viewer.write(wall(0))
        viewer.update()
        assert viewer._page._hands is None
        shown, withheld = estimates()[1], estimates()[2]
        viewer.write(shown)
        viewer.update()
        panel, status = viewer._page._hands, viewer._page._hands_status
        assert panel is not None and status is not None
        picture = np.array(panel.image)
        late = replace(wall(9), hand_removal=withheld.hand_removal)
        viewer.write(late)
        viewer.update()
        assert not np.array_equal(picture, panel.image), "a withheld picture must not stay"
        assert "no &lt;mask&gt;" in status.content and "s earlier" in status.content
    finally:
        viewer.close()
