"""The whole simulator: people, hands and things in their place, and every product of a frame true to the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ego_perception.body.model import load_body
from ego_perception.body.state import BodyState, forward_kinematics
from ego_perception.data import Frame, FrameTruth, SceneLabel
from ego_perception.data.labels import MOVER_LABELS, WEARER_LABELS
from ego_perception.errors import SimulationError
from ego_perception.geometry import invert, so3_exp, transform_points
from ego_perception.simulation import EgoSim, EgoSimConfig
from ego_perception.simulation.config import PeopleConfig, PhotoConfig, ProductsConfig
from ego_perception.simulation.flow import visible_next, warp_backward
from ego_perception.simulation.lens import project

ALL = ProductsConfig(clean=True, background=True, flow=True, bodies=True, vertices=True, extra_views=2)
InWorldOf = Callable[[EgoSim, EgoSimConfig], EgoSim]
BUSY = EgoSimConfig(seed=4, width=160, height=120, supersample=1, duration_s=6.0, fps=10.0, products=ALL)


def truth_of(frame: Frame) -> FrameTruth:
    assert frame.truth is not None
    return frame.truth


@pytest.fixture(scope="module")
def sim() -> Iterator[EgoSim]:
    with EgoSim(BUSY) as sim:
        yield sim


@pytest.fixture(scope="module")
def frames(sim: EgoSim) -> list[Frame]:
    """Every sixth frame and its successor."""
    return [sim.frame(i) for k in range(0, 54, 6) for i in (k, k + 1)]


def with_people(frames: list[Frame]) -> list[Frame]:
    found = [f for f in frames if np.isin(classes_of(f), [SceneLabel.PERSON]).mean() > 0.02]
    assert found, "the clip of this test must show people"
    return found


def with_wearer(frames: list[Frame]) -> list[Frame]:
    found = [f for f in frames if np.isin(classes_of(f), WEARER_LABELS).mean() > 0.01]
    assert found, "the clip of this test must show hands"
    return found


def classes_of(frame: Frame) -> NDArray[np.uint8]:
    classes = truth_of(frame).classes
    assert classes is not None
    return classes


def test_every_product_is_there(frames: list[Frame]) -> None:
    for frame in frames:
        truth = truth_of(frame)
        for name in ("depth", "classes", "instances", "clean_depth", "background_depth"):
            assert getattr(truth, name).shape == (120, 160), name
        for name in ("clean", "clean_shadowed", "background"):
            assert getattr(truth, name).shape == (120, 160, 3), name
        assert truth.flow is not None and truth.flow.shape == (120, 160, 2)
        assert truth.scene_flow is not None and truth.scene_flow.shape == (120, 160, 3)
        assert len(truth.views) == 2 and len(truth.bodies) == 2 and truth.wearer is not None and truth.objects


def test_frames_repeat_to_the_byte_and_in_any_order(sim: EgoSim, frames: list[Frame]) -> None:
    again = sim.frame(frames[4].index)
    a, b = truth_of(frames[4]), truth_of(again)
    assert frames[4].image.tobytes() == again.image.tobytes()
    for name in ("depth", "classes", "instances", "clean", "clean_shadowed", "background", "flow"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def test_two_simulators_are_byte_equal(frames: list[Frame]) -> None:
    with EgoSim(BUSY) as other:
        for first in frames[1::6]:
            again = other.frame(first.index)
            a, b = truth_of(first), truth_of(again)
            assert first.image.tobytes() == again.image.tobytes() and a.flow is not None and b.flow is not None
            assert a.flow.tobytes() == b.flow.tobytes() and (a.instances == b.instances).all()
            assert [body.joints.tobytes() for body in a.bodies] == [body.joints.tobytes() for body in b.bodies]


def test_without_the_wearer_only_wearer_and_shadow_change(frames: list[Frame]) -> None:
    for frame in with_wearer(frames):
        truth = truth_of(frame)
        assert truth.clean is not None and truth.clean_shadowed is not None
        is_wearer = np.isin(classes_of(frame), WEARER_LABELS)
        changed = (truth.clean_shadowed != frame.image).any(axis=2)
        assert not (changed & ~is_wearer).any(), "the plate with the shadow may differ from the frame on the wearer only"
        assert changed[is_wearer].mean() > 0.5
        # What the shadow touches becomes lighter, never darker.
        lighter = truth.clean.astype(int) - truth.clean_shadowed
        assert lighter.min() >= -2


def test_clean_plates_show_no_wearer_and_the_depth_behind(frames: list[Frame]) -> None:
    for frame in with_wearer(frames):
        truth = truth_of(frame)
        assert truth.depth is not None and truth.clean_depth is not None
        is_wearer = np.isin(classes_of(frame), WEARER_LABELS)
        np.testing.assert_array_equal(truth.depth[~is_wearer], truth.clean_depth[~is_wearer])
        assert (truth.clean_depth[is_wearer] > truth.depth[is_wearer] - 1e-4).all()


def test_background_differs_from_the_frame_by_movers_and_their_shadows_only(frames: list[Frame]) -> None:
    for frame in frames:
        truth = truth_of(frame)
        assert truth.depth is not None and truth.background_depth is not None
        is_mover = np.isin(classes_of(frame), MOVER_LABELS)
        np.testing.assert_array_equal(truth.depth[~is_mover], truth.background_depth[~is_mover])


def test_joints_follow_from_the_parameters(frames: list[Frame]) -> None:
    model = load_body()
    for body in truth_of(frames[0]).bodies:
        rotations = np.stack([so3_exp(r) for r in np.vstack([body.global_orient, body.body_pose])])
        joints = forward_kinematics(model.rest_joints(body.betas), rotations, body.transl).positions
        np.testing.assert_allclose(body.joints, joints, atol=1e-9)
        assert body.body_sha256 == model.sha256


def test_visible_joints_lie_in_the_persons_mask(sim: EgoSim, frames: list[Frame]) -> None:
    """Joints lie inside the body, so their pixels show the person; thin limbs and hands may be missed by a pixel."""
    hits = []
    for frame in with_people(frames):
        is_person = np.pad(classes_of(frame) == SceneLabel.PERSON, 2)
        near = np.max([is_person[dy : dy + 120, dx : dx + 160] for dy in range(5) for dx in range(5)], axis=0)
        for body in truth_of(frame).bodies:
            T = truth_of(frame).T_world_cam
            assert T is not None
            uv = project(sim.camera, transform_points(invert(T), body.joints)[body.joint_visible])
            u, v = np.round(uv).astype(int).T
            hits.append(near[v, u])
    assert np.concatenate(hits).mean() > 0.95


def test_vertices_agree_with_rendered_depth(sim: EgoSim, frames: list[Frame]) -> None:
    errors = []
    for frame in with_people(frames):
        truth = truth_of(frame)
        assert truth.T_world_cam is not None and truth.depth is not None
        for body in truth.bodies:
            assert body.vertices is not None and body.vertex_visible is not None
            points = transform_points(invert(truth.T_world_cam), body.vertices[body.vertex_visible].astype(np.float64))
            u, v = np.round(project(sim.camera, points)).astype(int).T
            errors.append(np.abs(truth.depth[v, u] - points[:, 2]))
    # A pixel is 5 to 20 mm wide here, so slanted skin differs by millimetres; clothes add up to 4.
    assert np.median(np.concatenate(errors)) < 0.006


def test_flow_finds_the_same_colours_in_the_next_frame(sim: EgoSim, frames: list[Frame]) -> None:
    for now, after in zip(frames[::2], frames[1::2], strict=True):
        a, b = truth_of(now), truth_of(after)
        assert a.flow is not None and a.scene_flow is not None and a.depth is not None and b.depth is not None
        assert a.T_world_cam is not None and b.T_world_cam is not None
        seen = visible_next(a.flow, a.scene_flow, a.depth, b.depth, sim.camera, a.T_world_cam, b.T_world_cam)
        error = np.abs(warp_backward(after.image, a.flow).astype(float) - now.image).mean(axis=2)
        still = np.abs(after.image.astype(float) - now.image).mean(axis=2)
        assert seen.mean() > 0.3
        assert np.median(error[seen]) < max(2.5, 0.6 * np.median(still[seen]))


def test_things_in_hands_move_with_them(sim: EgoSim) -> None:
    wearer = sim.stage.players["wearer"].motion
    people = [p.motion for p in sim.stage.players.values() if p.motion.holds]
    assert people, "the clip of this test must have something taken in a hand"
    hold = people[0].holds[0]
    t0, t1 = hold.start_s + 0.05, min(hold.end_s, wearer.duration_s) - 0.05
    instance = next(m.instance for m in sim.room.movables if m.id == hold.object_id)
    a, b = (sim.stage.world_at(t) for t in (t0, t1))
    assert instance in a.held and instance in b.held
    assert not np.allclose(a.objects[instance], b.objects[instance])
    ended = sim.stage.world_at(wearer.duration_s)
    if hold.end_s < wearer.duration_s and not any(
        h.object_id == hold.object_id for m in people for h in m.holds if h is not hold
    ):
        assert instance not in ended.held
        np.testing.assert_array_equal(ended.objects[instance], hold.T_world_end)


def test_camera_rides_on_the_wearers_head(sim: EgoSim, frames: list[Frame]) -> None:
    mounts = []
    for frame in frames:
        truth = truth_of(frame)
        assert truth.wearer is not None and truth.T_world_cam is not None
        mounts.append(invert(truth.wearer.T_world_head) @ truth.T_world_cam)
        assert 1.0 < truth.T_world_cam[2, 3] < 2.1
    np.testing.assert_allclose(mounts, np.broadcast_to(mounts[0], (len(mounts), 4, 4)), atol=1e-9)


def test_wearers_state_is_that_of_the_humanoid(frames: list[Frame]) -> None:
    for frame in frames:
        wearer = truth_of(frame).wearer
        assert wearer is not None
        assert wearer.qpos.shape == (76,) and wearer.qvel.shape == (75,)
        np.testing.assert_allclose(wearer.qpos[:3], wearer.joints[0], atol=1e-9)
        assert np.isclose(np.linalg.norm(wearer.qpos[3:7]), 1.0)
        assert np.abs(wearer.qvel).max() < 40


def test_extra_views_see_the_same_instant_from_elsewhere(sim: EgoSim, frames: list[Frame]) -> None:
    frame = frames[6]
    for view in truth_of(frame).views:
        T = truth_of(frame).T_world_cam
        assert T is not None
        assert 0.0 < np.linalg.norm(view.T_world_cam[:3, 3] - T[:3, 3]) < 0.5
        again = sim.render_view(view.T_world_cam, frame.index / BUSY.fps)
        np.testing.assert_array_equal(again.depth, view.depth)


def test_products_that_nobody_asks_for_are_not_made(sim: EgoSim) -> None:
    truth = truth_of(sim.frame(3, products=()))
    assert truth.clean is None and truth.background is None and truth.flow is None and not truth.views and not truth.bodies
    assert truth.depth is not None and truth.classes is not None and truth.wearer is not None
    assert truth_of(sim.frame(3, products={"flow"})).flow is not None


def test_scene_truth_names_what_the_numbers_mean(sim: EgoSim, frames: list[Frame]) -> None:
    scene = sim.scene_truth()
    instances = truth_of(frames[0]).instances
    assert instances is not None and scene.instance_names[0] == ""
    assert instances.max() < len(scene.instance_names)
    for thing in truth_of(frames[0]).objects:
        assert scene.instance_names[thing.instance] == thing.id
    assert len(scene.points) > 10_000
    np.testing.assert_allclose(np.linalg.norm(scene.normals, axis=1), 1.0, atol=1e-3)


def test_a_bare_camera_moves_as_the_wearers_does(sim: EgoSim) -> None:
    with EgoSim(replace(BUSY, products=ProductsConfig(), people=PeopleConfig(wearer=False))) as bare:
        for i in (0, 29, 58):
            second = truth_of(bare.frame(i))
            np.testing.assert_array_equal(sim.stage.camera_pose(i / BUSY.fps), second.T_world_cam)
            assert second.classes is not None and not np.isin(second.classes, WEARER_LABELS).any()


def test_nobody_else_where_nobody_is_asked_for() -> None:
    with EgoSim(EgoSimConfig(seed=4, width=32, height=24, duration_s=2.0, people=PeopleConfig(others=0))) as sim:
        assert not sim.stage.others and not truth_of(sim.frame(0)).bodies


def test_people_who_find_no_place_are_an_error() -> None:
    with pytest.raises(SimulationError, match="others"):
        EgoSim(EgoSimConfig(seed=1, room_size_m=2.2, duration_s=2.0, people=PeopleConfig(others=2)))


@pytest.mark.parametrize("lens", ["radtan", "fisheye"])
def test_truth_goes_through_the_lens(lens: str, sim: EgoSim, in_world_of: InWorldOf) -> None:
    config = replace(BUSY, width=96, height=72, fps=5.0, fov_y_deg=80.0, photo=PhotoConfig(lens=lens))
    with in_world_of(sim, config) as bent:
        now, after = (bent.frame(i) for i in (5, 6))
        assert bent.camera.is_distorted
        a, b = truth_of(now), truth_of(after)
        assert a.flow is not None and a.scene_flow is not None and a.depth is not None and b.depth is not None
        assert a.T_world_cam is not None and b.T_world_cam is not None
        seen = visible_next(a.flow, a.scene_flow, a.depth, b.depth, bent.camera, a.T_world_cam, b.T_world_cam)
        error = np.abs(warp_backward(after.image, a.flow).astype(float) - now.image).mean(axis=2)
        assert seen.mean() > 0.2 and np.median(error[seen]) < 4


def test_photo_effects_are_the_same_for_all_versions_of_a_frame(sim: EgoSim, in_world_of: InWorldOf) -> None:
    photo = PhotoConfig(
        exposure_time_s=0.01, rolling_shutter_s=0.02, exposure_drift=0.2, noise=4.0, vignette=0.3, jpeg_quality=0
    )
    with in_world_of(sim, replace(BUSY, width=96, height=72, fps=5.0, photo=photo)) as taken:
        frame = taken.frame(8)
    truth = truth_of(frame)
    assert truth.photo is not None and truth.photo.noise_std == 4.0 and truth.photo.exposure != 1.0
    assert truth.clean_shadowed is not None
    far = ~np.isin(classes_of(frame), WEARER_LABELS)
    same = (truth.clean_shadowed == frame.image).all(axis=2)
    assert same[far].mean() > 0.8, "noise must be drawn once per frame"


def test_held_things_have_a_class_of_their_own(sim: EgoSim) -> None:
    """Some frame of a clip in which something is held shows it."""
    holds = [(h, p) for p in sim.stage.players.values() for h in p.motion.holds]
    shown = False
    for hold, _ in holds:
        for t in np.arange(max(hold.start_s, 0.0) + 0.1, min(hold.end_s, BUSY.duration_s - 0.1), 0.3):
            classes = sim.frame(int(t * BUSY.fps), products=()).truth
            shown = shown or (classes is not None and bool((classes.classes == SceneLabel.HELD_OBJECT).any()))
    assert shown


def test_states_interpolate_between_frames(sim: EgoSim) -> None:
    """Two simulators that ask for different frame rates show the same walk."""
    state: BodyState = sim.stage.players["wearer"].motion.at(1.2345)
    assert state.rotations.shape == (24, 3, 3)
    np.testing.assert_allclose(
        state.rotations @ state.rotations.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (24, 3, 3)), atol=1e-9
    )
