"""Who is drawn, who casts a shadow, and the law of the clean plates: only the wearer and that shadow make a difference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest

from ego_perception.body.rig import NUM_BONES, SkinRig, pose_rig
from ego_perception.body.state import BodyState
from ego_perception.data import SceneLabel
from ego_perception.geometry import make_transform
from ego_perception.simulation.assembly import Part, Shape
from ego_perception.simulation.materials import Material, MaterialBook
from ego_perception.simulation.renderer import Renderer, Rendering
from ego_perception.simulation.room import Light, Movable, Room
from ego_perception.simulation.roundbox import rounded_box
from ego_perception.simulation.scene import Scene, compile_scene
from ego_perception.simulation.skin import Skin
from ego_perception.simulation.viewpoints import look_rotation
from ego_perception.simulation.world import WorldState

WIDTH, HEIGHT, FOV_RAD = 120, 90, math.radians(65)
EYE = make_transform(look_rotation(0.0, -0.6), (-1.2, 0.0, 1.5))


@dataclass(frozen=True, eq=False)
class DummyPiece:
    label: SceneLabel
    corner: np.ndarray
    texcoords: np.ndarray
    faces: np.ndarray
    visible: int


@dataclass(frozen=True, eq=False)
class Dummy:
    """A rounded box on the pelvis bone, in two pieces; it has a hidden rim that is not drawn."""

    name: str
    is_wearer: bool
    half: tuple[float, float, float]
    colour: tuple[int, int, int]
    labels: tuple[SceneLabel, ...]
    specular: float = 0.1
    image: np.ndarray = field(init=False)
    rig: SkinRig = field(init=False)
    pieces: tuple[DummyPiece, ...] = field(init=False)

    def __post_init__(self) -> None:
        surface = rounded_box(self.half, 0.03)
        weights = np.zeros((len(surface.vertices), NUM_BONES))
        weights[:, 0] = 1
        faces = surface.triangles.astype(np.int64)
        set_ = object.__setattr__
        set_(self, "rig", SkinRig(surface.vertices, faces, weights, np.zeros((NUM_BONES, 3)), np.zeros(10)))
        set_(self, "image", np.full((16, 16, 3), self.colour, np.uint8))
        corner, texcoords = np.arange(len(surface.vertices)), np.full((len(surface.vertices), 2), 0.5)
        share = len(faces) // len(self.labels)
        cuts = [faces[i * share : (i + 1) * share if i + 1 < len(self.labels) else None] for i in range(len(self.labels))]
        pieces = [
            DummyPiece(label, corner, texcoords, np.concatenate([cut, faces[:3]]), len(cut))
            for label, cut in zip(self.labels, cuts, strict=True)
        ]
        set_(self, "pieces", tuple(pieces))


HAND = Dummy("wearer", True, (0.12, 0.05, 0.05), (200, 140, 110), (SceneLabel.LEFT_HAND, SceneLabel.LEFT_ARM))
BODY = Dummy(
    "wearer", True, (0.12, 0.05, 0.05), (200, 140, 110), (SceneLabel.LEFT_HAND, SceneLabel.LEFT_ARM, SceneLabel.WEARER)
)
PERSON = Dummy("person_0", False, (0.15, 0.2, 0.5), (60, 80, 160), (SceneLabel.PERSON,))


def at(x: float, y: float, z: float) -> BodyState:
    return BodyState(np.tile(np.eye(3), (24, 1, 1)), np.array([x, y, z]))


WORLD = WorldState({"wearer": at(-0.5, 0.1, 1.05), "person_0": at(0.6, 0.4, 0.5)})


def build_scene(wearer: Dummy = HAND) -> Scene:
    book = MaterialBook(np.random.default_rng(0), size=16)
    rng = np.random.default_rng(1)
    book.materials = [
        Material(rng.integers(90, 200, (32, 32, 3), np.uint8), specular=0.1),
        Material(None, (0.8, 0.2, 0.1), specular=0.5),
    ]
    parts = [
        Part(Shape.BOX, (0.0, 0.0, -0.05), (3.0, 3.0, 0.05), 0, SceneLabel.ROOM),
        Part(Shape.BOX, (2.0, 0.0, 1.5), (0.05, 3.0, 1.5), 0, SceneLabel.ROOM),
        Part(Shape.BOX, (0.2, 0.0, 0.35), (0.3, 0.6, 0.35), 0, SceneLabel.FURNITURE),
        Part(Shape.CYLINDER, (0.1, -0.3, 0.8), (0.06, 0.06, 0.1), 1, SceneLabel.OBJECT),
        Part(Shape.BOX, (0.1, 0.25, 0.75), (0.05, 0.05, 0.05), 1, SceneLabel.OBJECT, yaw_rad=0.3),
    ]
    room = Room(
        (3.0, 3.0), 3.0, book, parts=[(p, max(i - 1, 0)) for i, p in enumerate(parts)], names=["room", "table", "can", "box"]
    )
    room.lights = [Light((-1.0, -0.5, 2.6), (0.7, 0.65, 0.6), is_spot=True, direction=(0.4, 0.3, -1.0))]
    room.movables = [
        Movable("can", 2, make_transform(np.eye(3), (0.1, -0.3, 0.7)), (0.12, 0.12, 0.2)),
        Movable("box", 3, make_transform(np.eye(3), (0.1, 0.25, 0.7)), (0.1, 0.1, 0.1)),
    ]
    return compile_scene(room, (wearer, PERSON))


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    with Renderer(WIDTH, HEIGHT, shadow_map_px=512) as made:
        made.load(build_scene())
        yield made


def view(renderer: Renderer, world: WorldState = WORLD, **options: object) -> Rendering:
    renderer.pose(world)
    return renderer.render(EYE, FOV_RAD, **options)  # type: ignore[arg-type]


def is_wearer(rendering: Rendering) -> np.ndarray:
    return np.isin(rendering.classes, (SceneLabel.LEFT_HAND, SceneLabel.LEFT_ARM))


def grown(mask: np.ndarray) -> np.ndarray:
    """With the pixels around, which the wearer's edge may be blended into."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray((a == b).all(axis=-1))


def test_every_piece_has_its_class_and_number(renderer: Renderer) -> None:
    found = view(renderer)
    scene = build_scene()
    assert scene.instance_names[-3:] == ["wearer left hand", "wearer left arm", "person_0 person"]
    for label, name in ((SceneLabel.LEFT_HAND, -3), (SceneLabel.LEFT_ARM, -2), (SceneLabel.PERSON, -1)):
        mask = found.classes == label
        assert mask.sum() > 10
        assert (found.instances[mask] == len(scene.instance_names) + name).all()


def test_depth_is_that_of_the_skinned_vertices(renderer: Renderer) -> None:
    found = view(renderer, wearer=False)
    nearest = found.depth[found.classes == SceneLabel.PERSON].min()
    vertices = pose_rig(PERSON.rig, WORLD.bodies["person_0"])
    in_camera = (vertices - EYE[:3, 3]) @ EYE[:3, :3]
    assert nearest == pytest.approx(in_camera[:, 2].min(), abs=0.03) and nearest >= in_camera[:, 2].min() - 1e-4


def test_only_the_wearer_and_the_wearers_shadow_differ_from_the_clean_plate(renderer: Renderer) -> None:
    full, clean, shadowed = view(renderer), view(renderer, wearer=False), view(renderer, wearer=False, wearer_shadow=True)
    hand = is_wearer(full)
    assert hand.sum() > 80 and not is_wearer(clean).any()
    assert same(full.rgb, shadowed.rgb)[~grown(hand)].all(), "with the shadow kept, only the wearer's pixels differ"
    assert not same(full.rgb, shadowed.rgb)[hand].all()
    shadow = ~same(shadowed.rgb, clean.rgb)
    assert shadow.sum() > 50 and (shadow & ~grown(hand)).any()
    assert (shadowed.rgb.astype(int).sum(axis=2) <= clean.rgb.astype(int).sum(axis=2)).all(), "a shadow brightens nothing"
    assert same(full.rgb, clean.rgb)[~grown(hand) & ~shadow].all()
    np.testing.assert_array_equal(full.depth[~hand], clean.depth[~hand])
    np.testing.assert_array_equal(clean.depth, shadowed.depth)


def test_plates_at_once_are_those_drawn_one_by_one(renderer: Renderer) -> None:
    world = replace(WORLD, objects={3: make_transform(np.eye(3), (-0.2, -0.1, 0.8))}, held=frozenset({3}))
    bare = view(renderer, world, wearer=False, people=False, held=False)
    clean, shadowed = view(renderer, world, wearer=False), view(renderer, world, wearer=False, wearer_shadow=True)
    full = view(renderer, world)
    plates = renderer.render_plates(EYE, FOV_RAD, background=True)
    assert plates.background is not None and plates.background_depth is not None
    for found, expected in (
        (plates.background, bare.rgb),
        (plates.background_depth, bare.depth),
        (plates.view.rgb, full.rgb),
        (plates.clean, clean.rgb),
        (plates.clean_shadowed, shadowed.rgb),
        (plates.clean_depth, clean.depth),
        (plates.view.instances, full.instances),
    ):
        np.testing.assert_array_equal(found, expected)


def test_plates_may_keep_the_body() -> None:
    """What is left of the wearer is where it would be for a wearer who has nothing else."""
    trunk = replace(BODY)
    object.__setattr__(trunk, "pieces", BODY.pieces[2:])
    with Renderer(WIDTH, HEIGHT, supersample=1, shadow_map_px=512) as renderer:
        renderer.load(build_scene(trunk))
        alone = view(renderer)
        renderer.load(build_scene(BODY))
        renderer.pose(WORLD)
        kept = renderer.render_plates(EYE, FOV_RAD, keep_body=True)
        bare = renderer.render_plates(EYE, FOV_RAD)
    arm, body = is_wearer(kept.view), kept.view.classes == SceneLabel.WEARER
    behind = alone.classes == SceneLabel.WEARER
    assert arm.sum() > 40 and body.sum() > 40 and (behind & arm).any(), "some of the body lies behind the arm"
    np.testing.assert_array_equal(kept.view.rgb, bare.view.rgb)
    np.testing.assert_array_equal(kept.clean_shadowed[~arm], kept.view.rgb[~arm])
    assert not same(kept.clean_shadowed, kept.view.rgb)[arm].all()
    np.testing.assert_array_equal(kept.clean_depth, alone.depth)
    gone = ~behind & ~body
    for name in ("clean", "clean_shadowed", "clean_depth"):
        np.testing.assert_array_equal(getattr(kept, name)[gone], getattr(bare, name)[gone], err_msg=name)
    assert (kept.clean_depth[behind] < bare.clean_depth[behind]).all()


def test_the_background_costs_the_other_plates_nothing(renderer: Renderer) -> None:
    renderer.pose(WORLD)
    a, b = renderer.render_plates(EYE, FOV_RAD), renderer.render_plates(EYE, FOV_RAD, background=True)
    assert a.background is None and a.background_depth is None
    for name in ("clean", "clean_shadowed", "clean_depth"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    np.testing.assert_array_equal(a.view.rgb, b.view.rgb)


def test_without_a_wearer_all_plates_are_the_picture(renderer: Renderer) -> None:
    renderer.pose(WorldState({"person_0": WORLD.bodies["person_0"]}))
    plates = renderer.render_plates(EYE, FOV_RAD)
    assert not is_wearer(plates.view).any()
    for image in (plates.clean, plates.clean_shadowed):
        np.testing.assert_array_equal(image, plates.view.rgb)


def test_a_wearer_out_of_view_still_casts_a_shadow(renderer: Renderer) -> None:
    renderer.pose(WorldState({"wearer": at(-0.7, -0.1, 1.9)}))
    plates = renderer.render_plates(EYE, FOV_RAD)
    assert not is_wearer(plates.view).any()
    assert (plates.view.rgb != plates.clean).any()
    np.testing.assert_array_equal(plates.view.rgb, plates.clean_shadowed)


def test_the_background_holds_no_mover_and_no_shadow_of_one(renderer: Renderer) -> None:
    moved = replace(WORLD, objects={2: make_transform(np.eye(3), (-0.4, 0.1, 1.1))}, held=frozenset({2}))
    background = view(renderer, moved, wearer=False, people=False, held=False)
    alone = view(renderer, WorldState(objects={2: make_transform(np.eye(3), (0.0, 0.0, -9.0))}))
    np.testing.assert_array_equal(background.rgb, alone.rgb)
    np.testing.assert_array_equal(background.depth, alone.depth)


def test_a_held_object_moves_and_changes_its_class(renderer: Renderer) -> None:
    pose = make_transform(look_rotation(0.5, 0.2), (-0.3, -0.2, 0.9))
    before, after = view(renderer), view(renderer, replace(WORLD, objects={2: pose}, held=frozenset({2})))
    assert (before.classes[before.instances == 3] == SceneLabel.OBJECT).all()
    mask = after.instances == 3
    assert mask.sum() > 20 and (after.classes[mask] == SceneLabel.HELD_OBJECT).all()
    assert not (mask & (before.instances == 3)).all()
    foot = np.linalg.inv(EYE) @ pose @ [0.0, 0.0, 0.1, 1.0]
    rows, columns = np.nonzero(mask)
    f = HEIGHT / 2 / math.tan(FOV_RAD / 2)
    assert columns.mean() == pytest.approx(f * foot[0] / foot[2] + (WIDTH - 1) / 2, abs=2.5)
    assert rows.mean() == pytest.approx(f * foot[1] / foot[2] + (HEIGHT - 1) / 2, abs=2.5)


def test_an_objects_shadow_goes_with_it(renderer: Renderer) -> None:
    empty = WorldState(objects={2: make_transform(np.eye(3), (0.0, 0.0, -9.0))})
    resting, lifted = WorldState(), WorldState(objects={2: make_transform(np.eye(3), (0.1, -0.3, 0.9))})
    images = [view(renderer, world) for world in (empty, resting, lifted)]
    shade = [~same(images[0].rgb, v.rgb) & ~grown(v.instances == 3) for v in images[1:]]
    centres = [np.argwhere(s & (images[0].instances == 2)).mean(axis=0) for s in shade]
    assert all(s.sum() > 5 for s in shade) and np.linalg.norm(centres[0] - centres[1]) > 2


def test_what_comes_back_is_as_before(renderer: Renderer) -> None:
    """Nothing is left of what was posed in between, whatever the order."""
    first = view(renderer, WorldState())
    view(renderer, replace(WORLD, objects={2: np.eye(4), 3: make_transform(np.eye(3), (0.0, 0.5, 1.0))}, held=frozenset({3})))
    again = view(renderer, WorldState())
    np.testing.assert_array_equal(first.rgb, again.rgb)
    np.testing.assert_array_equal(first.classes, again.classes)
    busy = view(renderer)
    with Renderer(WIDTH, HEIGHT, shadow_map_px=512) as fresh:
        fresh.load(build_scene())
        np.testing.assert_array_equal(view(fresh).rgb, busy.rgb)


def test_colour_can_be_left_out_and_the_size_chosen(renderer: Renderer) -> None:
    full, bare = view(renderer), view(renderer, colour=False)
    assert not bare.rgb.any()
    np.testing.assert_array_equal(full.depth, bare.depth)
    np.testing.assert_array_equal(full.instances, bare.instances)
    large = view(renderer, size=(3 * WIDTH, 3 * HEIGHT))
    assert large.rgb.shape == (3 * HEIGHT, 3 * WIDTH, 3)
    # Of three by three pixels the middle one has the same centre.
    np.testing.assert_array_equal(large.instances[1::3, 1::3], full.instances)
    np.testing.assert_allclose(large.depth[1::3, 1::3], full.depth, rtol=1e-5)
    small = cv2.resize(large.rgb, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(small - full.rgb).mean() < 3


def test_normals_of_a_turned_skin_turn_with_it() -> None:
    skin = Skin(PERSON)
    turn = make_transform(look_rotation(0.8, 0.3), np.zeros(3))[:3, :3]
    state = BodyState(np.concatenate([turn[None], np.tile(np.eye(3), (23, 1, 1))]), np.array([1.0, 2.0, 3.0]))
    rest, posed = skin.posed(at(0.0, 0.0, 0.0)), skin.posed(state)
    np.testing.assert_allclose(posed[0], rest[0] @ turn.T + [1.0, 2.0, 3.0], atol=1e-5)
    np.testing.assert_allclose(posed[1], rest[1] @ turn.T, atol=1e-5)
    assert np.linalg.norm(rest[1], axis=1) == pytest.approx(np.ones(len(rest[1])), abs=1e-5)
    assert ((rest[0] * rest[1]).sum(axis=1) > 0).all(), "outwards"
    assert len(skin.triangles) == len(PERSON.rig.faces), "the hidden rim is left out"
