"""The posed capsules: distances by hand, agreement with the mesh, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ego_perception.body.anatomy import LEFT_FINGERS, mean_capsules, mean_joints
from ego_perception.body.capsules import CapsuleSet, capsule_set, posed_ends, signed_distance
from ego_perception.body.lbs import PosedBody, body_tensors, body_vertices
from ego_perception.body.model import load_body
from ego_perception.body.poses import named_pose
from ego_perception.body.skeleton import JOINT_NAMES


def posed(name: str, betas: np.ndarray | None = None) -> PosedBody:
    body = body_tensors(load_body(), dtype=torch.float64)
    rotations = torch.as_tensor(named_pose(name))[None]
    shape = torch.zeros(1, 10, dtype=torch.float64) if betas is None else torch.as_tensor(betas)[None]
    return body_vertices(body, shape, rotations[:, 1:], rotations[:, 0], torch.tensor([[0.5, 1.0, -2.0]], dtype=torch.float64))


def single(radius: tuple[float, float]) -> CapsuleSet:
    ends = torch.tensor([[[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]], dtype=torch.float64)
    return CapsuleSet(torch.tensor([0]), ends, torch.tensor([radius], dtype=torch.float64))


def at_rest() -> PosedBody:
    transforms = torch.eye(4, dtype=torch.float64).expand(1, 24, 4, 4)
    return PosedBody(torch.zeros(1, 0, 3), torch.zeros(1, 24, 3), transforms)


def test_table_is_symmetric_and_every_part_has_capsules() -> None:
    capsules = mean_capsules()
    assert {JOINT_NAMES[c.joint] for c in capsules} >= {"pelvis", "head", "left_hand", "right_foot", "left_knee"}
    rows = {(JOINT_NAMES[c.joint], c.start, c.end) for c in capsules}
    for c in capsules:
        if c.start[0] > 0 and "left" in JOINT_NAMES[c.joint]:
            (ax, ay, az), (bx, by, bz) = c.start, c.end
            assert (JOINT_NAMES[c.joint].replace("left", "right"), (-ax, ay, az), (-bx, by, bz)) in rows
    assert all(0.005 < r < 0.12 for c in capsules for r in (c.start_radius, c.end_radius))


def test_fingers_start_at_the_knuckles_and_have_sensible_lengths() -> None:
    hand = mean_joints()[JOINT_NAMES.index("left_hand")]
    assert np.abs(LEFT_FINGERS[1:, 0] - hand).max() < 0.04
    length = np.linalg.norm(np.diff(LEFT_FINGERS, axis=1), axis=2).sum(axis=1)
    assert (length > 0.05).all()
    assert (length < 0.13).all()
    assert length.argmax() in (0, 2), "the middle finger, or the thumb with its palm bone"


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ([1.0, 0.3, 0.0], 0.15),
        ([-0.3, 0.0, 0.0], 0.2),
        ([2.5, 0.0, 0.0], 0.3),
        ([0.0, 0.0, 0.0], -0.1),
        ([1.0, 0.0, 0.4], 0.25),
    ],
)
def test_one_capsule_by_hand(point: list[float], expected: float) -> None:
    distance = signed_distance(single((0.1, 0.2)), at_rest(), torch.tensor([[point]], dtype=torch.float64), blend=0.0)
    assert float(distance) == pytest.approx(expected, abs=1e-5)


def test_capsules_move_with_their_joints() -> None:
    capsules = capsule_set(dtype=torch.float64)
    assert torch.allclose(posed_ends(capsules, at_rest())[0], capsules.ends)
    ends = posed_ends(capsules, posed("tpose"))[0]
    assert torch.allclose(ends - torch.tensor([0.5, 1.0, -2.0], dtype=torch.float64), capsules.ends, atol=1e-6)
    lengths = (posed_ends(capsules, posed("sit"))[0].diff(dim=1)).norm(dim=-1)
    assert torch.allclose(lengths, capsules.ends.diff(dim=1).norm(dim=-1), atol=1e-9)


@pytest.mark.parametrize("pose", ["tpose", "walk", "sit"])
def test_the_mesh_lies_near_the_zero_level(pose: str) -> None:
    body = posed(pose)
    distance = signed_distance(capsule_set(dtype=torch.float64), body, body.vertices).abs()
    assert float(distance.median()) < 0.008
    assert float(distance.quantile(0.95)) < 0.03


def test_inside_is_negative_and_far_is_positive() -> None:
    body = posed("walk", np.array([1.0, -0.5, 0, 0, 0, 0, 0, 0, 0, 0]))
    capsules = capsule_set(dtype=torch.float64)
    joints = body.joints[:, [0, 1, 2, 4, 5, 9, 16, 17, 18, 19]]
    assert (signed_distance(capsules, body, joints) < 0).all()
    far = body.joints[:, :1] + torch.tensor([3.0, 0.0, 0.0], dtype=torch.float64)
    assert float(signed_distance(capsules, body, far)) == pytest.approx(2.6, abs=0.5)
    assert (signed_distance(capsules, body, joints, blend=0.0) >= signed_distance(capsules, body, joints)).all()


def test_gradients_with_respect_to_points_and_pose() -> None:
    body = body_tensors(load_body(), dtype=torch.float64)
    capsules = capsule_set(dtype=torch.float64)
    pose = torch.zeros(1, 69, dtype=torch.float64, requires_grad=True)
    points = torch.tensor([[[0.6, 0.5, 0.1], [0.1, -0.5, 0.3]]], dtype=torch.float64, requires_grad=True)
    zero = torch.zeros(1, 3, dtype=torch.float64)
    result = body_vertices(body, torch.zeros(1, 10, dtype=torch.float64), pose, zero, zero)
    signed_distance(capsules, result, points).sum().backward()
    assert points.grad is not None
    assert torch.allclose(points.grad.norm(dim=-1), torch.ones(1, 2, dtype=torch.float64), atol=0.1)
    assert pose.grad is not None
    assert torch.isfinite(pose.grad).all()
    assert float(pose.grad.abs().max()) > 0.01
