"""Clips of the data set out of EgoSim: what is drawn per seed, and real frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from ego_perception.data import SceneLabel
from ego_perception.data.clips import ClipDataset
from ego_perception.data.labels import HANDS_AND_ARMS
from ego_perception.errors import SimulationError
from ego_perception.simulation import dataset_clips
from ego_perception.simulation.dataset import DatasetConfig, write_dataset
from ego_perception.simulation.dataset_clips import HARD_SHARE, MOST_TILT_DEG, SimClips, clip_config, useful_views

SMALL = DatasetConfig(split="val", width=48, height=36, frames_per_clip=2, preset="plain", products=())
SEEDS = range(10_000, 10_300)


class TestClipConfig:
    def test_equal_seeds_give_equal_clips_and_others_differ(self) -> None:
        drawn = [clip_config(seed, DatasetConfig()) for seed in SEEDS]
        assert drawn == [clip_config(seed, DatasetConfig()) for seed in SEEDS]
        assert len({config.fov_y_deg for config, _ in drawn}) == len(SEEDS)
        assert all(config.seed == seed for (config, _), seed in zip(drawn, SEEDS, strict=True))

    def test_two_in_three_are_hard_and_fields_of_view_fill_the_range(self) -> None:
        drawn = [clip_config(seed, DatasetConfig())[0] for seed in SEEDS]
        assert np.mean([c.preset == "hard" for c in drawn]) == pytest.approx(HARD_SHARE, abs=0.08)
        fovs = np.array([c.fov_y_deg for c in drawn])
        assert 45 <= fovs.min() < 47 and 78 < fovs.max() <= 80

    @pytest.mark.parametrize("length", [1, 20, 179, 180, 500])
    def test_the_clip_lies_within_its_walk(self, length: int) -> None:
        config = DatasetConfig(frames_per_clip=length)
        starts = []
        for seed in SEEDS:
            sim, start = clip_config(seed, config)
            assert 0 <= start <= sim.num_frames - length
            starts.append(start)
        assert max(starts) > 100 if length <= 20 else max(starts) <= 1

    def test_products_photo_and_people_follow_the_request(self) -> None:
        sim, _ = clip_config(3, DatasetConfig(products=("clean", "extra_views"), preset="plain"))
        assert (sim.products.clean, sim.products.flow, sim.products.bodies, sim.products.extra_views) == (True, False, False, 2)
        assert sim.preset == "plain" and sim.photo.lens == "pinhole" and sim.photo.noise == 0.0 and sim.people.wearer
        views, _ = clip_config(3, DatasetConfig(views="random"))
        assert not views.people.wearer and not views.products.clean
        photos = [clip_config(seed, DatasetConfig(photo="mix"))[0].photo for seed in SEEDS]
        assert {p.lens for p in photos} == {"pinhole", "radtan", "fisheye"}
        for name in ("noise", "exposure_drift", "rolling_shutter_s", "exposure_time_s"):
            values = [getattr(p, name) for p in photos]
            assert min(values) == 0.0 < max(values)

    def test_cameras_of_hands_look_down_further_and_keep_the_body(self) -> None:
        hands = [clip_config(seed, DatasetConfig(views="hands", products=("clean",)))[0] for seed in SEEDS[::3]]
        tilts = np.array([config.camera_tilt_deg for config in hands])
        assert 0 <= tilts.min() < 3 and MOST_TILT_DEG - 3 < tilts.max() <= MOST_TILT_DEG
        assert {config.products.clean_of for config in hands} == {"arms"}
        for views in ("walk", "random"):
            drawn = [clip_config(seed, DatasetConfig(views=views, products=("clean",)))[0] for seed in SEEDS[::3]]
            assert {(config.camera_tilt_deg, config.products.clean_of) for config in drawn} == {(0.0, "wearer")}
            assert [config.fov_y_deg for config in drawn] == [config.fov_y_deg for config in hands]


class Near:
    """A simulator that sees only a near wall."""

    calls = 0
    config = SimpleNamespace(duration_s=2.0)
    scene = SimpleNamespace(room=None)

    def __init__(self, level: float) -> None:
        self.level = level

    def render_view(self, T: np.ndarray, t: float) -> Any:
        self.calls += 1
        assert 0 <= t <= 2.0
        return SimpleNamespace(depth=np.full((4, 4), self.level, np.float32))


@pytest.mark.parametrize("level", [0.0, 0.1, 0.35])
def test_dull_views_are_drawn_again_until_patience_ends(level: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_clips, "random_viewpoint", lambda rng, room: np.eye(4))
    sim = Near(level)
    assert len(list(useful_views(sim, np.random.default_rng(0), 3))) == 3  # type: ignore[arg-type]
    assert sim.calls == 8 * 3 + 2


@pytest.mark.parametrize("views", ["walk", "random"])
def test_real_clips(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, views: str) -> None:
    monkeypatch.setitem(dataset_clips.WALK_S, views, 4.0)
    assert write_dataset(tmp_path, replace(SMALL, views=views), 2) == 2
    clip = ClipDataset(tmp_path).clip(0)
    first, second = clip
    assert first.truth is not None and second.truth is not None
    assert first.truth.depth is not None and (first.truth.depth > 0).mean() > 0.9
    step = np.linalg.norm(first.truth.T_world_cam[:3, 3] - second.truth.T_world_cam[:3, 3])  # type: ignore[index]
    assert step < 0.2 if views == "walk" else step > 0.0
    assert clip.about["config"]["seed"] == 10_000 and clip.scene is not None and "room" in clip.scene.instance_names
    assert first.camera is not None and first.camera.fov_rad[1] == pytest.approx(np.radians(clip.about["config"]["fov_y_deg"]))


@pytest.mark.parametrize("views", ["hands", "glimpses"])
def test_clips_of_hands_lack_hands_and_arms_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, views: str) -> None:
    """The clean frame is the frame to the byte, but for hands and arms and the pixels that their edges are blended into."""
    monkeypatch.setitem(dataset_clips.WALK_S, views, 8.0)  # the stretch is looked for in less
    config = replace(
        SMALL, views=views, width=96, height=72, fps=4.0, products=("clean",), colour="png", fov_y_deg=(80.0, 80.0),
        seed_offset=4,
    )  # fmt: skip
    assert write_dataset(tmp_path, config, 2) == 2
    for frame in ClipDataset(tmp_path).clip(0):
        truth = frame.truth
        assert truth is not None and truth.classes is not None and truth.depth is not None
        assert truth.clean is not None and truth.clean_shadowed is not None and truth.clean_depth is not None
        arms, body = np.isin(truth.classes, HANDS_AND_ARMS), truth.classes == SceneLabel.WEARER
        assert arms.mean() > 0.01 and body.mean() > 0.02, "the clip of this test must show hands and the body"
        edge = cv2.dilate(arms.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        changed = (truth.clean_shadowed != frame.image).any(axis=2)
        assert changed[arms].mean() > 0.9 and not changed[~edge].any()
        np.testing.assert_array_equal(truth.clean_depth[~arms], truth.depth[~arms])
        assert (truth.clean_depth[arms] > truth.depth[arms] - 1e-4).all()
        assert (truth.clean.astype(int) - truth.clean_shadowed).min() >= -2, "without shadows nothing is darker"


@pytest.mark.slow
def test_processes_give_the_same_clips(tmp_path: Path) -> None:
    for name, jobs in (("a", 1), ("b", 2)):
        write_dataset(tmp_path / name, SMALL, 4, jobs=jobs)
    for path in sorted((tmp_path / "a" / "clips").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / "clips" / path.name).read_bytes()


def test_a_missing_gl_back_end_is_found_before_any_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise SimulationError("no off-screen GL context; install libosmesa6")

    monkeypatch.setattr(dataset_clips, "Renderer", refuse)
    dataset_clips._open_context_once.cache_clear()
    with pytest.raises(SimulationError, match="libosmesa6"):
        write_dataset(tmp_path, SMALL, 4)
    assert list((tmp_path / "clips").iterdir()) == [] and (tmp_path / "index.jsonl").read_text() == ""


def test_a_room_that_is_impossible_costs_its_seed_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = dataset_clips.EgoSim

    def sim(config: Any) -> Any:
        if config.seed == 10_000:
            raise SimulationError("no free floor in the room of seed 10000")
        return real(config)

    monkeypatch.setattr(dataset_clips, "EgoSim", sim)
    monkeypatch.setitem(dataset_clips.WALK_S, "walk", 2.0)
    assert write_dataset(tmp_path, SMALL, 2, renderer=SimClips()) == 2
    assert [clip.seed for clip in ClipDataset(tmp_path).clips()] == [10_001]
