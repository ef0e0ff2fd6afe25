"""MuJoCo's model holds each part where the room has it, with its finish."""

from __future__ import annotations

import itertools
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from ego_perception.data import SceneLabel
from ego_perception.errors import SimulationError
from ego_perception.geometry import so3_exp
from ego_perception.simulation.assembly import Part, Shape
from ego_perception.simulation.materials import Material, MaterialBook
from ego_perception.simulation.mjcf import mujoco_model
from ego_perception.simulation.room import Light, Room
from ego_perception.simulation.scene import FAR_M, NEAR_M

BOX = Part(Shape.BOX, (1.0, -0.5, 0.8), (0.3, 0.2, 0.1), 0, SceneLabel.FURNITURE)


def room_with(*parts: Part, lights: tuple[Light, ...] = ()) -> Room:
    book = MaterialBook(np.random.default_rng(0), size=16)
    checker = np.kron(np.eye(2, dtype=np.uint8) * 255, np.ones((8, 8), np.uint8))
    book.materials = [Material(None, (0.8, 0.1, 0.2), specular=0.4), Material(np.repeat(checker[..., None], 3, axis=2))]
    names = ["room", *(f"thing {i}" for i in range(len(parts)))]
    numbered = [(part, i + 1) for i, part in enumerate(parts)]
    return Room((3.0, 3.0), 2.5, book, parts=numbered, names=names, lights=list(lights))


def compiled(room: Room, shadow_map_px: int = 0) -> mujoco.MjModel:
    return mujoco_model(room, offscreen=(64, 48), shadow_map_px=shadow_map_px)


def vertices(model: mujoco.MjModel, geom: int) -> np.ndarray:
    """World vertices of a mesh geom; MuJoCo moves a mesh to its own centre and axes."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    mesh = model.geom_dataid[geom]
    start = model.mesh_vertadr[mesh]
    local = model.mesh_vert[start : start + model.mesh_vertnum[mesh]]
    return local @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]


@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.0])
@pytest.mark.parametrize("tilt", [0.0, -0.4, 1.57])
def test_a_box_has_its_corners_where_yaw_and_tilt_put_them(yaw: float, tilt: float) -> None:
    model = compiled(room_with(replace(BOX, yaw_rad=yaw, tilt_rad=tilt)))
    signs = np.array(list(itertools.product((-1, 1), repeat=3)))
    R = so3_exp(np.array([0.0, 0.0, yaw])) @ so3_exp(np.array([tilt, 0.0, 0.0]))
    expected = signs * BOX.half @ R.T + BOX.center
    found = vertices(model, 0)
    for corner in expected:
        assert np.linalg.norm(found - corner, axis=1).min() < 1e-5
    centred = (found - BOX.center) @ R
    assert (np.abs(centred) <= np.array(BOX.half) + 1e-5).all()


@pytest.mark.parametrize(
    ("shape", "kind", "size"),
    [
        (Shape.CYLINDER, mujoco.mjtGeom.mjGEOM_CYLINDER, (0.2, 0.5)),
        (Shape.ELLIPSOID, mujoco.mjtGeom.mjGEOM_ELLIPSOID, (0.2, 0.2, 0.5)),
    ],
)
def test_round_parts_become_mujocos_own_solids(shape: Shape, kind: int, size: tuple[float, ...]) -> None:
    model = compiled(room_with(Part(shape, (0.1, 0.2, 0.3), (0.2, 0.2, 0.5), 0)))
    assert model.geom_type[0] == kind
    assert model.geom_size[0][: len(size)] == pytest.approx(size)
    assert model.geom_pos[0] == pytest.approx((0.1, 0.2, 0.3))


def test_each_geom_has_its_finish() -> None:
    parts = [BOX, replace(BOX, label=SceneLabel.OBJECT, material=1), replace(BOX, shape=Shape.ELLIPSOID, label=SceneLabel.ROOM)]
    model = compiled(room_with(*parts))
    assert model.ngeom == 3
    assert model.geom_matid.tolist() == [0, 1, 0]
    assert model.mat_rgba[0] == pytest.approx((0.8, 0.1, 0.2, 1.0))
    assert model.mat_specular[0] == pytest.approx(0.4)
    assert model.ntex == 1 and model.tex_width[0] == 16


def test_the_texture_reaches_the_model_byte_by_byte() -> None:
    room = room_with(replace(BOX, material=1))
    image = room.book.materials[1].image
    assert image is not None
    np.testing.assert_array_equal(compiled(room).tex_data.reshape(16, 16, 3), image)


def test_nothing_collides_and_the_clipping_planes_are_the_stated_ones() -> None:
    model = compiled(room_with(BOX, replace(BOX, shape=Shape.CYLINDER)))
    assert not model.geom_contype.any() and not model.geom_conaffinity.any()
    assert model.stat.extent == 1.0
    assert (model.vis.map.znear, model.vis.map.zfar) == pytest.approx((NEAR_M, FAR_M))
    assert (model.vis.global_.offwidth, model.vis.global_.offheight) == (64, 48)
    assert model.vis.quality.offsamples == 0, "blended depth is no depth"


@pytest.mark.parametrize(("shadow_map_px", "casting"), [(0, [False, False]), (512, [True, False])])
def test_only_the_first_light_casts_shadows_and_only_when_asked(shadow_map_px: int, casting: list[bool]) -> None:
    spot = Light((0.0, 0.0, 2.0), (0.5, 0.4, 0.3), is_spot=True, direction=(0.0, 0.6, -0.8))
    model = compiled(room_with(BOX, lights=(spot, Light((1.0, 1.0, 2.0), (0.1, 0.2, 0.3), falloff=0.2))), shadow_map_px)
    assert model.light_castshadow.astype(bool).tolist() == casting
    np.testing.assert_allclose(model.light_diffuse, [[0.5, 0.4, 0.3], [0.1, 0.2, 0.3]], atol=1e-6)
    np.testing.assert_allclose(model.light_dir[0], [0.0, 0.6, -0.8], atol=1e-6)
    assert model.light_attenuation[1] == pytest.approx((1.0, 0.2, 0.0))


@pytest.mark.parametrize("half", [(0.0, 0.0, 0.0), (-0.1, 0.1, 0.1)])
def test_a_room_that_cannot_be_compiled_is_one_clear_error(half: tuple[float, float, float]) -> None:
    with pytest.raises(SimulationError, match="does not compile"):
        compiled(room_with(replace(BOX, shape=Shape.ELLIPSOID, half=half)))
