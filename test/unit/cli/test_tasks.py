"""`ego run --tasks`: selection, hand removal beside and without the reconstruction, and what lies in the result folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import removal_fakes as fakes
from fixtures.wall_scene import CAMERA, START_NS, STEP_NS, wall
from removal_fakes import FaultyEstimator, hand_pixels

from ego_perception.bag import BagReader
from ego_perception.cli import main as cli
from ego_perception.cli import tasks as tasks_module
from ego_perception.cli.offline import Job, Model, reconstruct, with_tasks
from ego_perception.cli.settings import resolve_config, resolve_removal
from ego_perception.cli.tasks import HAND_REMOVAL, RECONSTRUCTION, Selection, TaskEstimator, parse_tasks
from ego_perception.data import Frame, SceneEstimate, TrackingState
from ego_perception.data.hand_removal import HandLabel, Provenance, RemovalState
from ego_perception.data.result import ResultReader
from ego_perception.errors import ConfigError, EgoPerceptionError
from ego_perception.geometry import PinholeCamera
from ego_perception.hand_removal.guard import RemovalGuard
from ego_perception.messages.image import frame_from_image
from ego_perception.nodes.config import HandRemovalNodeConfig
from ego_perception.reconstruction.config import ReconstructionConfig
from ego_perception.viz.content import ResultContent
from ego_perception.viz.report import build_report

BOTH = Selection((RECONSTRUCTION, HAND_REMOVAL))
ALONE = Selection((HAND_REMOVAL,))
NUM_FRAMES = 12


class Hands:
    """A camera that sees a hand; `bad` frames hold one everywhere."""

    name, is_live = "hands", False

    def __init__(self, bad: tuple[int, ...] = (), camera: bool = True) -> None:
        self._bad, self._camera = bad, camera

    def __iter__(self) -> Iterator[Frame]:
        for i in range(NUM_FRAMES):
            frame = fakes.frame_with_hand(i, START_NS + i * STEP_NS)
            image = np.full_like(frame.image, 1) * np.array(fakes.HAND_RGB, np.uint8) if i in self._bad else frame.image
            yield replace(frame, image=image, camera=PinholeCamera.from_fov(*frame.size, 1.0) if self._camera else None)

    def close(self) -> None:
        pass


class Scene:
    """A reconstruction that remembers what it was given; `holds_back` frames come late."""

    def __init__(self, holds_back: int = 0) -> None:
        self.frames: list[Frame] = []
        self._queue: list[SceneEstimate] = []
        self._holds_back = holds_back

    def reset(self) -> None:
        self._queue.clear()

    def push(self, frame: Frame) -> SceneEstimate | None:
        self.frames.append(frame)
        known = wall(len(self.frames) - 1)
        camera = frame.camera or CAMERA
        self._queue.append(replace(known, frame=frame, camera=camera))
        return self._queue.pop(0) if len(self._queue) > self._holds_back else None

    def flush(self) -> list[SceneEstimate]:
        return self._queue


def run(out: Path, selection: Selection, source: Any = None, scene: Any = None) -> ResultReader:
    removal = RemovalGuard(FaultyEstimator())
    estimator = TaskEstimator(scene or Scene() if selection.has_reconstruction else None, removal)
    job = Job("run", source or Hands(), out, ReconstructionConfig(), selection=selection)
    reconstruct(job, Model(estimator))
    return ResultReader(out)


@pytest.mark.parametrize(
    ("text", "tasks"),
    [
        ("reconstruction", (RECONSTRUCTION,)),
        ("hand_removal", (HAND_REMOVAL,)),
        ("hand_removal, reconstruction", (RECONSTRUCTION, HAND_REMOVAL)),
        ("reconstruction,reconstruction,", (RECONSTRUCTION,)),
    ],
)
def test_tasks_are_read_in_the_order_in_which_they_run(text: str, tasks: tuple[str, ...]) -> None:
    assert parse_tasks(text) == tasks


@pytest.mark.parametrize(("text", "words"), [("", "no task named"), (",", "no task named"), ("handremoval", "unknown task")])
def test_other_words_are_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_tasks(text)


def test_the_default_is_the_reconstruction_and_nothing_is_added_to_it() -> None:
    model = Model(Scene())
    assert with_tasks(model, Selection()) is model
    assert "hand_removal.backend" not in Selection().parameters(ReconstructionConfig())
    assert "hand_removal.backend" in BOTH.parameters(ReconstructionConfig())
    assert not [name for name in ALONE.parameters(ReconstructionConfig()) if not name.startswith("hand_removal.")]


def test_settings_go_to_their_task() -> None:
    assignments = ["tracking.num_features=250", "hand_removal.backend=propagate_only", "hand_removal.masks.margin=0.02"]
    assert resolve_config(None, assignments).tracking.num_features == 250
    removal = resolve_removal(assignments)
    assert (removal.backend, removal.masks.margin) == ("propagate_only", 0.02)
    assert resolve_removal([]) == HandRemovalNodeConfig()


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("hand_removal.backend", "name=value"),
        ("hand_removal.backnd=compact", "did you mean 'backend'"),
        ("hand_removal.masks.margin=7", "masks.margin is 7"),
        ("hand_removal.backend=[", "no YAML value"),
    ],
)
def test_bad_settings_of_hand_removal_are_one_line(assignment: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        resolve_removal([assignment])


def test_both_tasks_leave_pictures_mask_and_provenance_beside_depth(tmp_path: Path) -> None:
    scene = Scene()
    reader = run(tmp_path, BOTH, scene=scene)
    assert reader.run["tasks"] == [RECONSTRUCTION, HAND_REMOVAL]
    assert len(reader.frames) == NUM_FRAMES
    for record in reader.frames:
        assert {"image", "depth", "hand_free", "hand_mask", "provenance"} <= set(record.files)
        free, mask, codes = reader.hand_free(record), reader.hand_mask(record), reader.provenance(record)
        assert free is not None and mask is not None and codes is not None
        assert hand_pixels(reader.image(record)) > 0
        assert hand_pixels(free) == 0
        assert (mask == HandLabel.LEFT).any() and not (codes[mask == HandLabel.LEFT] == Provenance.LIVE).any()
        assert record.hand_removal["state"] in ("CLEAN", "DEGRADED")
    for frame in scene.frames:
        assert frame.ignore is not None
        assert (frame.ignore == (frame.rgb == np.array(fakes.HAND_RGB)).all(axis=2)).all(), "the map must not see hands"


def test_the_bag_holds_the_topics_of_the_node_and_no_hand(tmp_path: Path) -> None:
    run(tmp_path, BOTH, Hands(bad=(5,)))
    with BagReader(tmp_path / "result") as bag:
        counts = {name: topic.count for name, topic in bag.topics.items() if name.startswith("/hand_removal/")}
        shown = [frame_from_image(m.message).rgb for m in bag.messages(["/hand_removal/image/compressed"])]
    assert counts == {
        "/hand_removal/image/compressed": NUM_FRAMES - 1,
        "/hand_removal/provenance": NUM_FRAMES - 1,
        "/hand_removal/provenance/image": NUM_FRAMES - 1,
        "/hand_removal/hand_mask/image": NUM_FRAMES,
        "/hand_removal/status": NUM_FRAMES,
    }
    assert sum(hand_pixels(picture) for picture in shown) == 0


def test_a_withheld_frame_has_its_reason_and_no_picture(tmp_path: Path) -> None:
    reader = run(tmp_path, BOTH, Hands(bad=(5,)))
    record = reader.frames[5]
    assert "hand_free" not in record.files and "provenance" not in record.files
    assert record.hand_removal == {"state": "WITHHELD", "reason": "hands cover 100% of the image"}
    assert reader.hand_free(record) is None and reader.provenance(record) is None


@pytest.mark.parametrize("camera", [True, False])
def test_hand_removal_alone_needs_neither_pose_nor_camera(tmp_path: Path, camera: bool) -> None:
    reader = run(tmp_path, ALONE, Hands(bad=(3,), camera=camera))
    assert [f.state for f in reader.frames if f.index == 3] == [TrackingState.LOST]
    assert all("hand_free" in f.files for f in reader.frames if f.index != 3)
    assert reader.trajectory is None
    page = (tmp_path / "report.html").read_text()
    assert "Hand removal from one head-mounted camera" in page
    assert "Camera path" not in page and "no camera path" not in page


def test_the_report_shows_pairs_shares_and_reasons(tmp_path: Path) -> None:
    run(tmp_path, BOTH, Hands(bad=(5,)))
    page = build_report(ResultContent(tmp_path))
    for words in (
        "<h2>Hand removal</h2>",
        "without hands",
        "where pixels come from",
        "made up",
        "seen earlier",
        "left hand, marked",
    ):
        assert words in page
    assert "hands cover 100% of the image" in page
    assert "withheld <b>8</b> %" in page


def test_a_result_without_hand_removal_says_nothing_of_it(tmp_path: Path) -> None:
    job = Job("run", Hands(), tmp_path, ReconstructionConfig())
    reconstruct(job, Model(Scene()))
    page = (tmp_path / "report.html").read_text()
    assert "Hand removal" not in page
    assert ResultReader(tmp_path).frames[0].hand_removal == {}


def test_the_same_run_writes_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        run(tmp_path / name, BOTH, Hands(bad=(5,)))
        files = [
            f for f in sorted((tmp_path / name).rglob("*")) if f.is_file() and f.name not in ("timing.json", "report.html")
        ]
        contents.append({str(f.relative_to(tmp_path / name)): f.read_bytes() for f in files})
    assert contents[0] == contents[1]


def test_estimates_that_come_late_meet_their_own_frame() -> None:
    estimator = TaskEstimator(Scene(holds_back=3), RemovalGuard(FaultyEstimator()))
    given = [e for frame in Hands() if (e := estimator.push(frame)) is not None] + list(estimator.flush())
    assert len(given) == NUM_FRAMES
    for estimate in given:
        assert estimate.hand_removal is not None
        assert estimate.hand_removal.frame.stamp_ns == estimate.frame.stamp_ns
    assert estimator._waiting == {}
    estimator.reset()


def test_a_failure_of_hand_removal_does_not_cost_the_reconstruction() -> None:
    faulty = FaultyEstimator()
    faulty.fault = RuntimeError("dead")
    estimator = TaskEstimator(Scene(), RemovalGuard(faulty))
    estimate = estimator.push(next(iter(Hands())))
    assert estimate is not None and estimate.T_world_cam is not None
    assert estimate.hand_removal is not None and estimate.hand_removal.state is RemovalState.WITHHELD
    assert estimate.frame.ignore is None


def test_no_task_at_all_is_a_defect() -> None:
    with pytest.raises(ValueError, match="at least one"):
        TaskEstimator(None, None)


def test_missing_weights_are_one_line() -> None:
    removal = resolve_removal(["hand_removal.models.segmenter=/nowhere/hands.safetensors"])
    with pytest.raises(EgoPerceptionError, match=r"hands\.safetensors") as caught:
        with_tasks(Model(Scene()), Selection(BOTH.tasks, removal))
    assert len(str(caught.value).splitlines()) == 1


def test_the_command_takes_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    import cv2

    for i, frame in enumerate(Hands()):
        cv2.imwrite(str(folder / f"{i:04d}.png"), frame.image[..., ::-1])
    monkeypatch.setattr(tasks_module, "load_removal", lambda s: (RemovalGuard(FaultyEstimator()), {"fake": "00"}))
    monkeypatch.setattr("ego_perception.cli.offline.load_removal", lambda s: (RemovalGuard(FaultyEstimator()), {"fake": "00"}))
    arguments = ["run", str(folder), "--fps", "15", "-o", str(tmp_path / "out"), "--tasks", "hand_removal"]
    monkeypatch.setattr("sys.argv", ["ego", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (0, None), capsys.readouterr().err
    reader = ResultReader(tmp_path / "out")
    assert reader.run["weights"] == {"fake": "00"}
    assert all("hand_free" in record.files for record in reader.frames)
