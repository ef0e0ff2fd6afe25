"""The shipped body: its mesh, its joints, its shape directions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ego_perception.body.anatomy import mean_joints
from ego_perception.body.generate.build import landmark_targets
from ego_perception.body.generate.skin import other_side
from ego_perception.body.landmarks import LANDMARK_INDICES, LANDMARKS, NUM_FACES, NUM_VERTICES
from ego_perception.body.mesh_check import check_mesh, self_intersections
from ego_perception.body.model import SHAPE_NAMES, BodyError, BodyModel, load_body
from ego_perception.body.skeleton import PARENTS
from ego_perception.resources import models_dir

MEAN = np.zeros(10)


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_body()


def unit(index: int, size: float = 1.0) -> np.ndarray:
    betas = np.zeros(10)
    betas[index] = size
    return betas


def shape(name: str, size: float = 1.0) -> np.ndarray:
    return unit(SHAPE_NAMES.index(name), size)


def mirror_of(body: BodyModel) -> np.ndarray:
    """Index of every vertex's mirror image."""
    rows = {tuple(row): index for index, row in enumerate(body.v_template.tolist())}
    return np.array([rows[(-x + 0.0, y, z)] for x, y, z in body.v_template.tolist()])


def test_mesh_is_closed_whole_and_free_of_self_intersections(body: BodyModel) -> None:
    assert (len(body.v_template), len(body.faces)) == (NUM_VERTICES, NUM_FACES)
    report = check_mesh(body.v_template, body.faces)
    assert (report.closed, report.pieces, report.euler, report.intersections) == (True, 1, 2, 0)
    assert 0.055 < report.volume < 0.080


def test_it_is_a_person_in_size(body: BodyModel) -> None:
    span, height, depth = np.ptp(body.v_template, axis=0)
    assert height == pytest.approx(1.79, abs=0.02)
    assert span == pytest.approx(height, abs=0.08)
    assert 0.2 < depth < 0.35


def test_regressor_gives_the_joints_of_the_table(body: BodyModel) -> None:
    assert np.abs(body.rest_joints(MEAN) - mean_joints()).max() < 1e-6
    assert body.joint_regressor.min() >= 0
    assert np.abs(body.joint_regressor.sum(axis=1) - 1).max() < 1e-6
    assert body.joint_regressor.max() < 0.05, "a joint hangs on few vertices"


def test_left_and_right_are_mirror_images(body: BodyModel) -> None:
    image, partner = mirror_of(body), other_side()
    assert np.array_equal(image[image], np.arange(NUM_VERTICES))
    assert np.allclose(body.weights[image][:, partner], body.weights, atol=1e-7)
    assert np.allclose(body.joint_regressor[partner][:, image], body.joint_regressor, atol=1e-7)
    flipped = body.shapedirs[image] * [[[-1.0], [1.0], [1.0]]]
    assert np.allclose(flipped, body.shapedirs, atol=1e-5)


def test_weights_are_few_and_sum_to_one(body: BodyModel) -> None:
    assert np.array_equal(body.weights.sum(axis=1), np.ones(NUM_VERTICES))
    assert body.weights.min() >= 0
    assert (body.weights > 0).sum(axis=1).max() <= 6
    assert (body.weights.argmax(axis=1)[LANDMARK_INDICES[:5]] == 15).all(), "the face belongs to the head"


def test_weights_join_only_kin(body: BodyModel) -> None:
    # The two strongest joints of a vertex are related: same, parent and child, or siblings.
    order = np.argsort(-body.weights, axis=1)[:, :2]
    for first, second in np.unique(order[body.weights[np.arange(NUM_VERTICES), order[:, 1]] > 0.3], axis=0):
        kin = {first, PARENTS[first]} & {second, PARENTS[second]}
        assert kin, f"joints {first} and {second} share a vertex"


def test_landmarks_lie_where_smpl_has_them(body: BodyModel) -> None:
    targets = landmark_targets()
    assert list(LANDMARKS)[:5] == ["nose", "right_eye", "left_eye", "right_ear", "left_ear"]
    assert set(targets) == set(LANDMARKS)
    for name, index in LANDMARKS.items():
        assert np.linalg.norm(body.v_template[index] - targets[name]) < 0.015, name
    assert body.v_template[LANDMARKS["nose"], 2] == body.v_template[body.weights[:, 15] > 0.5, 2].max()


def test_shape_directions_are_orthogonal_and_named(body: BodyModel) -> None:
    flat = body.shapedirs.reshape(-1, 10)
    unit_length = flat / np.linalg.norm(flat, axis=0)
    assert np.abs(unit_length.T @ unit_length - np.eye(10)).max() < 1e-6
    assert len(set(SHAPE_NAMES)) == body.shapedirs.shape[-1]


def test_shape_names_say_what_happens(body: BodyModel) -> None:
    def change(betas: np.ndarray, joint: int, other: int) -> float:
        def distance(j: np.ndarray) -> float:
            return float(np.linalg.norm(j[joint] - j[other]))

        return distance(body.rest_joints(betas)) - distance(body.rest_joints(MEAN))

    def width(betas: np.ndarray, axis: int, low: float, high: float) -> float:
        rows = (body.v_template[:, 1] > low) & (body.v_template[:, 1] < high) & (np.abs(body.v_template[:, 0]) < 0.2)
        return float(np.ptp(body.shaped(betas)[rows, axis]) - np.ptp(body.v_template[rows, axis]))

    assert np.ptp(body.shaped(shape("stature"))[:, 1]) - np.ptp(body.v_template[:, 1]) > 0.03
    assert width(shape("girth"), 0, 0.0, 0.2) > 0.01
    assert change(shape("leg length"), 1, 7) > 0.02
    assert change(shape("shoulder width"), 16, 17) > 0.01
    assert width(shape("hip width"), 0, -0.15, -0.05) > 0.01
    assert width(shape("belly"), 2, 0.05, 0.15) > 0.01
    assert change(shape("arm length"), 16, 20) > 0.01
    assert width(shape("chest depth"), 2, 0.3, 0.4) > 0.01
    assert width(shape("head size"), 0, 0.66, 0.80) > 0.003
    leg = (body.v_template[:, 1] < -0.5) & (body.v_template[:, 1] > -0.6) & (body.v_template[:, 0] > 0)
    assert np.ptp(body.shaped(shape("limb girth"))[leg, 2]) > np.ptp(body.v_template[leg, 2]) + 0.005


def test_hands_and_head_keep_their_shape_under_girth(body: BodyModel) -> None:
    for part in (np.abs(body.v_template[:, 0]) > 0.74, body.v_template[:, 1] > 0.68):
        for name in ("girth", "limb girth", "belly", "chest depth", "shoulder width"):
            moved = body.shaped(shape(name))[part] - body.v_template[part]
            assert np.abs(moved - moved.mean(axis=0)).max() < 0.003 or name == "shoulder width", name


def test_joints_follow_the_shape(body: BodyModel) -> None:
    betas = np.random.default_rng(0).normal(size=10)
    assert np.allclose(body.rest_joints(betas), body.joint_regressor @ body.shaped(betas), atol=1e-12)
    assert np.allclose(body.shaped(betas[:3]), body.shaped(np.concatenate([betas[:3], np.zeros(7)])))
    joints = body.rest_joints(betas)
    assert np.allclose(joints[other_side()] * [-1, 1, 1], joints, atol=1e-5)


@pytest.mark.parametrize("name", ["girth", "belly", "limb girth"])
def test_stout_and_thin_bodies_do_not_fold(body: BodyModel, name: str) -> None:
    for size in (-3.0, 3.0):
        assert len(self_intersections(body.shaped(shape(name, size)), body.faces)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("index", range(10))
def test_shapes_of_three_standard_deviations_do_not_fold(body: BodyModel, index: int) -> None:
    for size in (-3.0, 3.0):
        assert len(self_intersections(body.shaped(unit(index, size)), body.faces)) == 0


@pytest.mark.slow
def test_random_shapes_hardly_fold(body: BodyModel) -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        assert len(self_intersections(body.shaped(rng.uniform(-3, 3, 10)), body.faces)) < 0.002 * NUM_FACES


def test_arrays_cannot_be_changed_by_mistake_and_loading_is_cached(body: BodyModel) -> None:
    with pytest.raises(ValueError, match="read-only"):
        body.v_template[0, 0] = 1.0
    assert load_body() is load_body(models_dir() / "egobody.npz")


def test_missing_file_and_unknown_gender(tmp_path: Path) -> None:
    with pytest.raises(BodyError, match="is missing"):
        load_body(tmp_path / "SMPL_NEUTRAL.npz")
    with pytest.raises(BodyError, match="gender is 'other'"):
        load_body(tmp_path, "other")
    with pytest.raises(BodyError, match=r"has no SMPL_MALE\.npz"):
        load_body(tmp_path, "male")
