"""What moves between two worlds, and flow of a person against the person's own vertices."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ego_perception.body.model import load_body
from ego_perception.body.poses import named_pose
from ego_perception.body.state import BodyState, forward_kinematics
from ego_perception.geometry import PinholeCamera, invert, make_transform, so3_exp, transform_points
from ego_perception.simulation.actor import dress
from ego_perception.simulation.flow import optical_flow, visible_next, warp_backward
from ego_perception.simulation.lens import project
from ego_perception.simulation.motions import rigid_motions, skin_motions
from ego_perception.simulation.renderer import Renderer
from ego_perception.simulation.scene import Scene, compile_scene
from ego_perception.simulation.views import look_at
from ego_perception.simulation.visibility import joint_visibility, vertex_visibility
from ego_perception.simulation.world import WorldState

CAMERA = PinholeCamera.from_fov(240, 180, math.radians(60))
EYE = look_at(np.array([-1.3, 0.0, 1.5]), np.array([0.6, 0.0, 1.1]), np.array([0, 0, -1.0]))
EYE_NEXT = EYE @ make_transform(so3_exp([0.01, 0.02, 0.0]), (0.02, 0.0, 0.02))
UPRIGHT = so3_exp([math.pi / 2, 0, 0])
"""From SMPL's axes, y up, to the world's."""


def person(t: float) -> BodyState:
    """Somebody who begins to walk, turning."""
    model, rotations = load_body(), named_pose("walk")
    rotations = np.stack([so3_exp([0.15 * t, 0, 0]) @ R if k in (1, 4, 16) else R for k, R in enumerate(rotations)])
    rotations[0] = so3_exp([0, 0, -0.4 + 0.1 * t]) @ UPRIGHT @ rotations[0]
    curl = np.full((2, 5), 0.3 + 0.2 * t)
    return BodyState(rotations, np.array([0.6 + 0.03 * t, 0.1, 0.95]) - model.rest_joints(np.zeros(10))[0], finger_curl=curl)


@pytest.fixture(scope="module")
def scene(room_of) -> Scene:
    actor = dress(np.random.default_rng(3), load_body(), np.zeros(10), name="person_0", is_wearer=False)
    return compile_scene(room_of(2), [actor])


def worlds(scene: Scene) -> tuple[WorldState, WorldState]:
    thing = scene.room.movables[0]
    lifted = np.array(thing.T_world_object)
    lifted[2, 3] += 0.05
    now = WorldState(bodies={"person_0": person(0.0)})
    return now, WorldState(bodies={"person_0": person(1.0)}, objects={thing.instance: lifted})


def test_things_that_stay_are_not_listed(scene: Scene) -> None:
    now, after = worlds(scene)
    assert rigid_motions(scene, now, now) == {}
    motions = rigid_motions(scene, now, after)
    thing = scene.room.movables[0]
    assert set(motions) == {scene.instance_of(thing.instance)}
    change = next(iter(motions.values()))
    np.testing.assert_allclose((change.next - change.now)[:3, 3], [0, 0, 0.05])


def test_people_are_listed_by_the_numbers_of_their_pieces(scene: Scene) -> None:
    now, after = worlds(scene)
    skins = skin_motions(scene, now, after)
    assert [scene.instance_names[k] for k in skins] == ["person_0 person"]
    assert skin_motions(scene, now, WorldState()) == {}
    wearer = dress(np.random.default_rng(3), load_body(), np.zeros(10), name="wearer", is_wearer=True)
    alone = compile_scene(scene.room, [wearer])
    state = WorldState(bodies={"wearer": person(0.0)})
    pieces = skin_motions(alone, state, state)
    assert sorted(alone.instance_names[k] for k in pieces) == [
        f"wearer {name}" for name in ("left arm", "left hand", "right arm", "right hand", "wearer")
    ]
    whole = next(iter(pieces.values()))
    assert sum(len(p.faces) for p in pieces.values()) == len(alone.groups[-1].actor.triangles)  # type: ignore[union-attr]
    assert all(p.faces.max() < len(whole.now) for p in pieces.values())


def test_flow_of_a_rendered_person(scene: Scene) -> None:
    """Against the vertices' own motion, and photometrically: warping the next picture gives this one."""
    now, after = worlds(scene)
    with Renderer(CAMERA.width, CAMERA.height) as renderer:
        renderer.load(scene)
        renderer.pose(now)
        a = renderer.render(EYE, CAMERA.fov_rad[1])
        renderer.pose(after)
        b = renderer.render(EYE_NEXT, CAMERA.fov_rad[1])
    skins = skin_motions(scene, now, after)
    flow, scene_flow = optical_flow(a.depth, CAMERA, EYE, EYE_NEXT, a.instances, rigid_motions(scene, now, after), skins)
    number, skin = next(iter(skins.items()))
    shown = a.instances == number
    assert shown.sum() > 1500
    assert np.isnan(flow[..., 0])[shown].mean() < 0.005

    seen = vertex_visibility(skin.now, skin.faces, CAMERA, EYE, a.depth)
    pixels = np.rint(project(CAMERA, transform_points(invert(EYE), skin.now[seen]))).astype(int)
    at = scene_flow[pixels[:, 1], pixels[:, 0]]
    own = shown[pixels[:, 1], pixels[:, 0]]
    miss = np.linalg.norm(at - (skin.next - skin.now)[seen], axis=1)[own]
    assert np.nanmedian(miss) < 1e-3
    assert np.nanpercentile(miss, 95) < 1e-2

    visible = visible_next(flow, scene_flow, a.depth, b.depth, CAMERA, EYE, EYE_NEXT) & shown
    assert visible.sum() / shown.sum() > 0.6
    warped = np.abs(warp_backward(b.rgb, flow).astype(int) - a.rgb).mean(axis=-1)[visible]
    still = np.abs(b.rgb.astype(int) - a.rgb).mean(axis=-1)[visible]
    assert np.median(warped) < 4
    assert warped.mean() < 0.6 * still.mean()


def test_visible_joints_of_a_rendered_person_lie_on_the_person(scene: Scene) -> None:
    now, _ = worlds(scene)
    with Renderer(CAMERA.width, CAMERA.height, supersample=1) as renderer:
        renderer.load(scene)
        renderer.pose(now)
        view = renderer.render(EYE, CAMERA.fov_rad[1], colour=False)
    number = scene.instance_names.index("person_0 person")
    joints = _joints(now.bodies["person_0"])
    seen = joint_visibility(joints, CAMERA, EYE, view.depth, view.instances, number)
    pixels = np.rint(project(CAMERA, transform_points(invert(EYE), joints[seen]))).astype(int)
    assert seen.sum() >= 12
    assert (view.instances[pixels[:, 1], pixels[:, 0]] == number).mean() > 0.9


def _joints(state: BodyState) -> np.ndarray:
    return forward_kinematics(load_body().rest_joints(state.betas), state.rotations, state.transl).positions
