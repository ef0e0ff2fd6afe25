"""Finger bones: where they lie, how they bend, which skin they take."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.body.anatomy import LEFT_FINGERS, MIRROR
from ego_perception.body.fingers import (
    FINGER_BONES,
    FLEXION_DEG,
    HANDS,
    finger_chains,
    finger_joints,
    finger_rotations,
    finger_weights,
    grasp_curl,
)
from ego_perception.body.landmarks import LANDMARKS
from ego_perception.body.model import BodyModel, load_body


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return load_body()


def test_thirty_bones_left_hand_first() -> None:
    assert len(FINGER_BONES) == 30
    assert FINGER_BONES[0] == "left_thumb1" and FINGER_BONES[15 + 14] == "right_pinky3"


def test_straight_fingers_do_not_turn_at_all() -> None:
    assert (finger_rotations(np.zeros((2, 5))) == np.eye(3)).all()


def test_rotations_are_proper_and_bend_as_far_as_the_table_says() -> None:
    rotations = finger_rotations(np.ones((2, 5)))
    np.testing.assert_allclose(
        rotations @ np.swapaxes(rotations, -1, -2), np.broadcast_to(np.eye(3), (2, 15, 3, 3)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-12)
    angle = np.rad2deg(np.arccos((np.trace(rotations, axis1=-2, axis2=-1) - 1) / 2))
    np.testing.assert_allclose(angle, np.tile(FLEXION_DEG.ravel(), (2, 1)), atol=1e-6)


def test_a_finger_moves_alone() -> None:
    curl = np.zeros((2, 5))
    curl[1, 2] = 0.7
    moved = np.abs(finger_rotations(curl) - np.eye(3)).max(axis=(-1, -2)) > 0
    assert moved.sum() == 3 and moved[1, 6:9].all()


def test_hands_are_mirror_images() -> None:
    curl = np.tile(np.linspace(0.1, 1, 5), (2, 1))
    left, right = finger_rotations(curl)
    flip = np.diag(MIRROR)
    np.testing.assert_allclose(right, flip @ left @ flip, atol=1e-12)


def test_fingers_bend_towards_the_palm() -> None:
    # At rest the palm faces down: the tip of every finger goes down and back.
    rotations = finger_rotations(np.full((2, 5), 0.6)).reshape(2, 5, 3, 3, 3)
    for hand, forward in enumerate((1.0, -1.0)):
        for finger in range(1, 5):
            tip = np.array([forward, 0, 0]) @ (rotations[hand, finger, 0] @ rotations[hand, finger, 1]).T
            assert tip[1] < -0.5


def test_joints_lie_in_their_fingers(model: BodyModel) -> None:
    chains = finger_chains(model)
    np.testing.assert_allclose(chains[0], LEFT_FINGERS, atol=0.012)
    np.testing.assert_allclose(chains[1], chains[0] * MIRROR, atol=1e-3)
    for finger, name in enumerate(("thumb", "index", "middle", "ring", "pinky")):
        tip = model.v_template[LANDMARKS[f"left_{name}"]]
        assert np.linalg.norm(chains[0, finger, 3] - tip) < 0.012
    lengths = np.linalg.norm(np.diff(chains, axis=2), axis=-1)
    assert (lengths > 0.012).all() and (lengths < 0.06).all()


def test_joints_move_with_the_shape(model: BodyModel) -> None:
    mean = finger_joints(model, np.zeros(10))
    np.testing.assert_allclose(mean, finger_chains(model)[:, :, :3].reshape(2, 15, 3), atol=1e-12)
    longer = np.zeros(10)
    longer[6] = 2.0  # arm length
    shift = finger_joints(model, longer) - mean
    hand = model.rest_joints(longer)[list(HANDS)] - model.rest_joints(np.zeros(10))[list(HANDS)]
    np.testing.assert_allclose(shift, np.broadcast_to(hand[:, None], shift.shape), atol=0.004)


def test_weights_are_shares_and_follow_the_finger(model: BodyModel) -> None:
    weights = finger_weights(model)
    assert weights.min() >= 0 and weights.sum(axis=1).max() < 1 + 1e-9
    assert (weights[model.v_template[:, 0] < 0, :15] == 0).all()
    for side, sign in (("left", 0), ("right", 15)):
        for finger, name in enumerate(("thumb", "index", "middle", "ring", "pinky")):
            at_tip = weights[LANDMARKS[f"{side}_{name}"]]
            assert at_tip.argmax() == sign + 3 * finger + 2 and at_tip.max() > 0.9


def test_neighbouring_vertices_have_similar_weights(model: BodyModel) -> None:
    weights = finger_weights(model)
    step = np.abs(weights[model.faces[:, 0]] - weights[model.faces[:, 1]]).max()
    assert step < 0.95  # a jump from bone to bone would tear the skin


def test_a_grasp_opens_with_the_size_of_the_thing() -> None:
    curls = np.array([grasp_curl(d) for d in np.linspace(0.01, 0.12, 12)])
    assert curls.shape == (12, 5) and (np.diff(curls, axis=0) < 0).all()
    assert (curls > 0).all() and (curls < 1).all()
    assert (grasp_curl(0.001) == grasp_curl(0.01)).all() and (grasp_curl(1.0) == grasp_curl(0.12)).all()
