"""The scene holds each part where the room has it, in the group that it moves with, with its number, class and finish."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from ego_perception.data import SceneLabel
from ego_perception.errors import SimulationError
from ego_perception.geometry import make_transform, so3_exp
from ego_perception.simulation.assembly import Part, Shape
from ego_perception.simulation.materials import Material, MaterialBook
from ego_perception.simulation.partmesh import part_mesh
from ego_perception.simulation.room import Light, Movable, Room
from ego_perception.simulation.scene import GroupKind, Scene, compile_scene

BOX = Part(Shape.BOX, (1.0, -0.5, 0.8), (0.3, 0.2, 0.1), 0, SceneLabel.FURNITURE)


def room_with(*parts: Part, movable: int | None = None, lights: tuple[Light, ...] = ()) -> Room:
    book = MaterialBook(np.random.default_rng(0), size=16)
    checker = np.kron(np.eye(2, dtype=np.uint8) * 255, np.ones((8, 8), np.uint8))
    book.materials = [Material(None, (0.8, 0.1, 0.2), specular=0.4), Material(np.repeat(checker[..., None], 3, axis=2))]
    names = ["room", *(f"thing {i}" for i in range(len(parts)))]
    room = Room((3.0, 3.0), 2.5, book, parts=[(part, i + 1) for i, part in enumerate(parts)], names=names, lights=list(lights))
    if movable is not None:
        room.movables.append(Movable("thing", movable, make_transform(np.eye(3), (1.0, -0.5, 0.7)), (0.6, 0.4, 0.2)))
    return room


def positions(scene: Scene, group: int = 0) -> np.ndarray:
    first, count = scene.groups[group].vertices
    return scene.vertices["position"][first : first + count]


@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.0])
@pytest.mark.parametrize("tilt", [0.0, -0.4, 1.57])
def test_a_box_has_its_corners_where_yaw_and_tilt_put_them(yaw: float, tilt: float) -> None:
    found = positions(compile_scene(room_with(replace(BOX, yaw_rad=yaw, tilt_rad=tilt))))
    signs = np.array(list(itertools.product((-1, 1), repeat=3)))
    R = so3_exp(np.array([0.0, 0.0, yaw])) @ so3_exp(np.array([tilt, 0.0, 0.0]))
    expected = signs * BOX.half @ R.T + BOX.center
    for corner in expected:
        assert np.linalg.norm(found - corner, axis=1).min() < 1e-6
    assert (np.abs((found - BOX.center) @ R) <= np.array(BOX.half) + 1e-6).all()


@pytest.mark.parametrize("shape", [shape for shape in Shape if shape is not Shape.MESH])
def test_normals_are_unit_and_point_outwards(shape: Shape) -> None:
    vertices, triangles = part_mesh(replace(BOX, shape=shape, half=(0.2, 0.2, 0.4), yaw_rad=0.3), Material(None), 7)
    normals = vertices["normal"]
    assert np.linalg.norm(normals, axis=1) == pytest.approx(np.ones(len(normals)), abs=1e-5)
    assert (((vertices["position"] - BOX.center) * normals).sum(axis=1) > 0).all()
    assert (vertices["ids"] == (0, 7)).all()
    corners = vertices["position"][triangles].astype(float)
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    has_area = np.linalg.norm(face, axis=1) > 1e-9
    assert ((face * (corners.mean(axis=1) - BOX.center)).sum(axis=1)[has_area] > 0).all(), "counter-clockwise from outside"
    volume = np.einsum("fi,fi->f", corners[:, 0] - BOX.center, face).sum() / 6
    ideal = {Shape.BOX: 8 * 0.016, Shape.CYLINDER: math.pi * 0.04 * 0.8, Shape.ELLIPSOID: 4 / 3 * math.pi * 0.016}[shape]
    assert volume == pytest.approx(ideal, rel=0.03)


def test_an_ellipsoid_has_the_normals_of_its_surface() -> None:
    half = np.array([0.4, 0.2, 0.1])
    vertices, _ = part_mesh(replace(BOX, shape=Shape.ELLIPSOID, half=tuple(half)), Material(None), 1)
    gradient = (vertices["position"] - BOX.center) / half**2
    gradient /= np.linalg.norm(gradient, axis=1, keepdims=True)
    np.testing.assert_allclose(vertices["normal"], gradient, atol=0.08)


def test_each_pixel_number_has_a_name_and_a_class() -> None:
    parts = [BOX, replace(BOX, label=SceneLabel.OBJECT, material=1), replace(BOX, label=SceneLabel.ROOM)]
    scene = compile_scene(room_with(*parts))
    assert scene.instance_names == ["", "room", "thing 0", "thing 1", "thing 2"]
    assert scene.class_of_instance[2:].tolist() == [SceneLabel.FURNITURE, SceneLabel.OBJECT, SceneLabel.ROOM]
    assert scene.instance_of(1) == 2
    assert np.unique(scene.vertices["ids"][:, 1]).tolist() == [2, 3, 4]


def test_what_can_be_moved_is_a_group_of_its_own() -> None:
    scene = compile_scene(room_with(BOX, replace(BOX, center=(0.0, 0.0, 0.3)), movable=1))
    assert [group.kind for group in scene.groups] == [GroupKind.STATIC, GroupKind.MOVABLE]
    assert scene.groups[1].movable is scene.room.movables[0]
    assert positions(scene, 1).mean(axis=0) == pytest.approx(BOX.center, abs=1e-6)
    covered = np.concatenate([np.arange(g.vertices[0], sum(g.vertices)) for g in scene.groups])
    assert covered.tolist() == list(range(len(scene.vertices)))
    for group in scene.groups:
        ranges = group.chunks.ranges + np.array([group.first_triangle, 0])
        used = np.concatenate([scene.triangles[a : a + n].ravel() for a, n in ranges])
        assert used.min() == group.vertices[0] and used.max() == sum(group.vertices) - 1


def test_finishes_are_colours_with_the_layer_of_their_picture() -> None:
    scene = compile_scene(room_with(BOX, replace(BOX, material=1)))
    finishes = scene.finishes.reshape(-1, 2, 4)
    assert finishes[0, 0] == pytest.approx([0.8, 0.1, 0.2, -1.0])
    assert finishes[1, 0, 3] == 0
    assert finishes[0, 1, 0] > finishes[1, 1, 0] > 0, "the first is shinier"
    image = scene.room.book.materials[1].image
    assert image is not None
    np.testing.assert_array_equal(scene.pictures[0], image)


def test_pictures_of_several_sizes_get_one_size() -> None:
    room = room_with(BOX)
    room.book.materials.append(Material(np.full((8, 32, 3), 77, np.uint8)))
    room.book.materials.append(Material(np.full((700, 700, 3), 99, np.uint8)))
    pictures = compile_scene(room).pictures
    assert pictures.shape == (3, 256, 256, 3)
    assert (pictures[1] == 77).all() and (pictures[2] == 99).all()


def test_an_empty_room_is_a_scene() -> None:
    scene = compile_scene(Room((2.0, 2.0), 2.5, MaterialBook(np.random.default_rng(0), size=16)))
    assert len(scene.vertices) == 0 and scene.groups == ()
    assert scene.pictures.shape == (1, 1, 1, 3)


@pytest.mark.parametrize("half", [(0.0, 0.0, 0.0), (-0.1, 0.1, 0.1)])
def test_a_room_that_cannot_be_compiled_is_one_clear_error(half: tuple[float, float, float]) -> None:
    with pytest.raises(SimulationError, match=r"does not compile: part 0 \(thing 0\)"):
        compile_scene(room_with(replace(BOX, shape=Shape.ELLIPSOID, half=half)))
