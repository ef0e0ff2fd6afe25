"""Skin, regressor and shape space of a small mesh, and the whole build against the shipped file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ego_perception.body.anatomy import mean_capsules, mean_joints
from ego_perception.body.files import write_body
from ego_perception.body.generate.build import build_body
from ego_perception.body.generate.field import BodyField
from ego_perception.body.generate.refine import mirrored
from ego_perception.body.generate.shape_space import shape_directions
from ego_perception.body.generate.skin import joint_regressor, other_side, skinning_weights
from ego_perception.body.generate.surface_nets import half_surface
from ego_perception.body.skeleton import JOINT_NAMES
from ego_perception.resources import models_dir

Mesh = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def field() -> BodyField:
    return BodyField(mean_capsules())


@pytest.fixture(scope="module")
def coarse(field: BodyField) -> Mesh:
    return mirrored(half_surface(field, 0.04))


def test_sides() -> None:
    partner = other_side()
    assert JOINT_NAMES[partner[JOINT_NAMES.index("left_knee")]] == "right_knee"
    assert partner[0] == 0
    assert np.array_equal(partner[partner], np.arange(24))


def test_weights_of_a_coarse_person(field: BodyField, coarse: Mesh) -> None:
    vertices, faces, image = coarse
    weights = skinning_weights(field, vertices, faces, image)
    assert np.array_equal(weights.sum(axis=1), np.ones(len(vertices)))
    assert np.array_equal(weights[image][:, other_side()], weights)
    assert np.array_equal(weights, np.round(weights * 8192) / 8192)
    owner = weights.argmax(axis=1)
    assert (owner[vertices[:, 1] > 0.72] == 15).all()
    assert (owner[vertices[:, 0] > 0.82] == 22).all()
    thigh = (vertices[:, 1] < -0.2) & (vertices[:, 1] > -0.4) & (np.abs(vertices[:, 0]) < 0.3)
    assert set(owner[thigh]) == {1, 2}


def test_regressor_of_a_coarse_person(coarse: Mesh) -> None:
    vertices, _, image = coarse
    joints = mean_joints()
    regressor = joint_regressor(vertices, image, joints)
    assert np.abs(regressor @ vertices - joints).max() < 1e-6
    assert regressor.min() >= 0
    assert np.allclose(regressor[other_side()][:, image], regressor, atol=1e-12)


def test_shape_space_of_a_coarse_person(coarse: Mesh) -> None:
    vertices, faces, image = coarse
    shapes = shape_directions(vertices, faces, mean_joints())
    flat = shapes.reshape(-1, 10) / np.linalg.norm(shapes.reshape(-1, 10), axis=0)
    assert np.abs(flat.T @ flat - np.eye(10)).max() < 2e-6
    assert np.allclose(shapes[image] * [[[-1.0], [1.0], [1.0]]], shapes, atol=1e-6)
    assert np.array_equal(shapes.astype(np.float32).astype(np.float64), shapes), "float32 holds them exactly"


@pytest.mark.slow
def test_the_shipped_file_is_what_the_code_builds(tmp_path: Path) -> None:
    write_body(tmp_path / "egobody.npz", build_body())
    with np.load(tmp_path / "egobody.npz") as built, np.load(models_dir() / "egobody.npz") as shipped:
        assert set(built.files) == set(shipped.files)
        for name in built.files:
            assert np.allclose(built[name], shipped[name], atol=1e-5), name
