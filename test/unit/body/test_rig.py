"""The drawing rig: equal to SMPL skinning with straight fingers, whole skin with bent ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ego_perception.body.fingers import HANDS, grasp_curl
from ego_perception.body.landmarks import LANDMARKS
from ego_perception.body.model import BodyError, BodyModel, load_body
from ego_perception.body.rig import BONE_NAMES, BONE_PARENTS, NUM_BONES, bone_frames, make_rig, palm_frame, pose_rig
from ego_perception.body.skinning import pose_vertices
from ego_perception.body.state import BodyState


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return load_body()


def random_state(seed: int, curl: float = 0.0, sigma: float = 0.6) -> BodyState:
    rng = np.random.default_rng(seed)
    rotations = Rotation.from_rotvec(rng.normal(0, sigma, (24, 3))).as_matrix()
    return BodyState(rotations, rng.normal(size=3), rng.normal(size=10), np.full((2, 5), curl))


def at_rest(curl: np.ndarray) -> BodyState:
    return BodyState(np.tile(np.eye(3), (24, 1, 1)), np.zeros(3), np.zeros(10), curl)


def test_bones_are_the_joints_and_the_fingers() -> None:
    assert NUM_BONES == 54 and len(BONE_PARENTS) == 54 and len(set(BONE_NAMES)) == 54
    for bone, parent in enumerate(BONE_PARENTS[1:], start=1):
        assert 0 <= parent < bone
    parent_of = {name: BONE_NAMES[p] for name, p in zip(BONE_NAMES, BONE_PARENTS, strict=True) if p >= 0}
    assert parent_of["left_index1"] == "left_hand" and parent_of["right_thumb3"] == "right_thumb2"


@pytest.mark.parametrize("seed", range(5))
def test_straight_fingers_equal_plain_skinning(model: BodyModel, seed: int) -> None:
    state = random_state(seed)
    rig = make_rig(model, state.betas)
    np.testing.assert_allclose(pose_rig(rig, state), pose_vertices(model, state), atol=1e-9)


def test_rest_pose_is_the_shaped_body(model: BodyModel) -> None:
    rig = make_rig(model, np.zeros(10))
    np.testing.assert_allclose(pose_rig(rig, at_rest(np.zeros((2, 5)))), model.v_template, atol=1e-6)
    np.testing.assert_allclose(rig.weights.sum(axis=1), model.weights.sum(axis=1), atol=1e-12)
    assert rig.weights.min() >= 0


def test_frames_form_a_tree_of_rigid_bones(model: BodyModel) -> None:
    state = random_state(7, curl=0.8)
    rig = make_rig(model, state.betas)
    frames = bone_frames(rig, state)
    for bone, parent in enumerate(BONE_PARENTS):
        if parent >= 0:
            offset = rig.rest_positions[bone] - rig.rest_positions[parent]
            want = frames.positions[parent] + frames.rotations[parent] @ offset
            np.testing.assert_allclose(frames.positions[bone], want, atol=1e-12)


def test_curl_moves_only_the_hand(model: BodyModel) -> None:
    rig = make_rig(model, np.zeros(10))
    curl = np.zeros((2, 5))
    curl[0] = 1.0
    moved = np.linalg.norm(pose_rig(rig, at_rest(curl)) - rig.vertices, axis=1) > 1e-6
    wrist = rig.rest_positions[20]
    assert moved.any() and (rig.vertices[moved, 0] > wrist[0] - 0.02).all()


@pytest.mark.parametrize("curl", [0.3, 0.6, 1.0])
def test_skin_neither_tears_nor_explodes(model: BodyModel, curl: float) -> None:
    rig = make_rig(model, np.zeros(10))
    posed = pose_rig(rig, at_rest(np.full((2, 5), curl)))
    edges = np.concatenate([rig.faces[:, [0, 1]], rig.faces[:, [1, 2]]])
    before = np.linalg.norm(rig.vertices[edges[:, 0]] - rig.vertices[edges[:, 1]], axis=1)
    after = np.linalg.norm(posed[edges[:, 0]] - posed[edges[:, 1]], axis=1)
    assert (after < np.maximum(4 * before, before + 0.02)).all()
    assert np.percentile(after / before, 99.9) < 2.5
    assert np.linalg.norm(posed - rig.vertices, axis=1).max() < 0.16


def test_a_fist_brings_the_tips_to_the_palm(model: BodyModel) -> None:
    rig = make_rig(model, np.zeros(10))
    posed = pose_rig(rig, at_rest(np.ones((2, 5))))
    for hand, side in enumerate(("left", "right")):
        centre, normal = palm_frame(rig, hand)
        palm = rig.rest_positions[HANDS[hand]] + centre
        for finger in ("index", "middle", "ring", "pinky"):
            tip = posed[LANDMARKS[f"{side}_{finger}"]]
            assert np.linalg.norm(tip - palm) < 0.055
            assert (tip - palm) @ normal > -0.012


def test_hands_stay_mirror_images(model: BodyModel) -> None:
    rig = make_rig(model, np.zeros(10))
    frames = bone_frames(rig, at_rest(np.full((2, 5), 0.7)))
    left, right = frames.positions[24:39], frames.positions[39:]
    np.testing.assert_allclose(right, left * [-1, 1, 1], atol=2e-3)


def test_palm_faces_down_at_rest_and_grows_with_nothing_between(model: BodyModel) -> None:
    rig = make_rig(model, np.zeros(10))
    for hand, sign in enumerate((1, -1)):
        centre, normal = palm_frame(rig, hand)
        assert normal.tolist() == [0, -1, 0]
        assert -0.04 < sign * centre[0] < 0.01 and -0.03 < centre[1] < 0


@pytest.mark.parametrize("diameter", [0.03, 0.05, 0.08])
def test_grasping_fingers_touch_the_bar_but_do_not_pierce_it(model: BodyModel, diameter: float) -> None:
    rig = make_rig(model, np.zeros(10))
    frames = bone_frames(rig, at_rest(np.tile(grasp_curl(diameter), (2, 1))))
    centre, normal = palm_frame(rig, 0)
    axis = (rig.rest_positions[HANDS[0]] + centre + diameter / 2 * normal)[:2]
    for finger in range(1, 5):
        bones = frames.positions[24 + 3 * finger : 27 + 3 * finger, :2]
        gap = np.linalg.norm(bones - axis, axis=1) - diameter / 2
        assert gap.min() > 0.003  # a finger is about 8 mm thick
        assert gap[2] < 0.025


def test_a_state_of_another_shape_is_refused(model: BodyModel) -> None:
    rig = make_rig(model, np.zeros(10))
    with pytest.raises(BodyError, match="shape coefficients"):
        pose_rig(rig, random_state(1))
