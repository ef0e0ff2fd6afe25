"""Actors: what MuJoCo draws is the rig, piece by piece, without seams."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ego_perception.body.atlas import build_atlas
from ego_perception.body.model import BodyError, BodyModel, load_body
from ego_perception.body.rig import BONE_NAMES, bone_frames, pose_rig
from ego_perception.body.skeleton import joint_index, upright_rotation
from ego_perception.body.skinning import pose_vertices
from ego_perception.body.state import BodyState
from ego_perception.data.labels import SceneLabel
from ego_perception.errors import SimulationError
from ego_perception.simulation.actor import APRON_DEPTH_M, Actor, add_actor, body_pieces, dress, pose_actor
from ego_perception.simulation.backend import mujoco

WIDTH, HEIGHT, FOV_Y_DEG = 160, 120, 50.0
NEAR_M, FAR_M = 0.05, 10.0


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return load_body()


@pytest.fixture(scope="module")
def wearer(model: BodyModel) -> Actor:
    return dress(np.random.default_rng(0), model, np.zeros(10), name="wearer", is_wearer=True)


@pytest.fixture(scope="module")
def person(model: BodyModel) -> Actor:
    betas = np.random.default_rng(4).normal(0, 0.7, 10)
    return dress(np.random.default_rng(1), model, betas, name="person_0", is_wearer=False)


def compiled(*actors: Actor) -> tuple[mujoco.MjModel, mujoco.MjData]:
    spec = mujoco.MjSpec()
    spec.visual.global_.offwidth, spec.visual.global_.offheight = WIDTH, HEIGHT
    spec.visual.quality.offsamples = 0
    spec.stat.extent = 1
    spec.visual.map.znear, spec.visual.map.zfar = NEAR_M, FAR_M
    spec.worldbody.add_camera(name="eye", fovy=FOV_Y_DEG)
    for actor in actors:
        add_actor(spec, actor)
    scene = spec.compile()
    return scene, mujoco.MjData(scene)


def state_of(actor: Actor, seed: int, curl: float = 0.5) -> BodyState:
    """Someone who stands near the origin in a random pose."""
    rotations = Rotation.from_rotvec(np.random.default_rng(seed).normal(0, 0.3, (24, 3))).as_matrix()
    rotations[0] = upright_rotation(0.4)
    return BodyState(rotations, np.array([0.1, -0.2, 0.95]), actor.rig.betas, np.full((2, 5), curl))


def drawn_vertices(scene: mujoco.MjModel, data: mujoco.MjData, skin: str) -> np.ndarray:
    """Where MuJoCo puts the vertices of a skin."""
    mujoco.mj_kinematics(scene, data)
    view = mujoco.MjvScene(scene, 200)
    mujoco.mjv_updateScene(scene, data, mujoco.MjvOption(), None, mujoco.MjvCamera(), mujoco.mjtCatBit.mjCAT_ALL, view)
    index = mujoco.mj_name2id(scene, mujoco.mjtObj.mjOBJ_SKIN, skin)
    start, count = view.skinvertadr[index], view.skinvertnum[index]
    return np.asarray(view.skinvert).reshape(-1, 3)[start : start + count]


def test_pieces_carry_the_labels_of_their_parts(wearer: Actor, person: Actor) -> None:
    assert [piece.label for piece in person.pieces] == [SceneLabel.PERSON]
    assert {piece.name: piece.label for piece in wearer.pieces} == {
        "left_hand": SceneLabel.LEFT_HAND,
        "right_hand": SceneLabel.RIGHT_HAND,
        "left_arm": SceneLabel.LEFT_ARM,
        "right_arm": SceneLabel.RIGHT_ARM,
        "body": SceneLabel.WEARER,
    }


@pytest.mark.parametrize("is_wearer", [True, False])
def test_pieces_cover_every_face_once(model: BodyModel, is_wearer: bool) -> None:
    faces = np.concatenate([p.corner[p.faces[: p.visible]] for p in body_pieces(model, is_wearer)])
    assert len(faces) == len(model.faces)

    def key(f: np.ndarray) -> set[tuple[int, ...]]:
        return {tuple(row) for row in np.sort(f, axis=1).tolist()}

    assert key(faces) == key(model.faces)


def test_hands_begin_at_the_wrists_and_arms_at_the_shoulders(model: BodyModel, wearer: Actor) -> None:
    rest = wearer.rig.rest_positions
    span = {p.name: np.abs(wearer.rig.vertices[p.corner[p.faces[: p.visible]].ravel(), 0]) for p in wearer.pieces}
    wrist, shoulder = rest[joint_index("left_wrist")][0], rest[joint_index("left_shoulder")][0]
    assert abs(span["left_hand"].min() - wrist) < 0.02 and abs(span["left_arm"].max() - wrist) < 0.02
    assert abs(span["right_arm"].min() - shoulder) < 0.03


def test_texture_coordinates_are_those_of_the_atlas(model: BodyModel, wearer: Actor) -> None:
    atlas = build_atlas(model)
    known = {(int(c), *uv) for c, uv in zip(atlas.corner, np.round(atlas.texcoords, 9).tolist(), strict=True)}
    for piece in wearer.pieces:
        used = np.unique(piece.faces[: piece.visible])
        mine = zip(piece.corner[used], np.round(piece.texcoords[used], 9).tolist(), strict=True)
        assert {(int(c), *uv) for c, uv in mine} <= known


def test_hidden_rims_are_below_the_skin(wearer: Actor) -> None:
    for piece in wearer.pieces:
        rim = piece.faces[piece.visible :]
        assert len(rim) > 20
        assert set(np.unique(piece.depth)) == {0.0, APRON_DEPTH_M}
        assert (piece.depth[rim].max(axis=1) > 0).all() and (piece.depth[rim].min(axis=1) == 0).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mujoco_puts_the_skin_where_the_rig_does(wearer: Actor, person: Actor, seed: int) -> None:
    scene, data = compiled(wearer, person)
    for actor in (wearer, person):
        state = state_of(actor, seed)
        pose_actor(scene, data, actor, state)
        posed = pose_rig(actor.rig, state)
        for piece in actor.pieces:
            drawn = drawn_vertices(scene, data, f"{actor.name}/{piece.name}")
            shown = piece.depth == 0
            np.testing.assert_allclose(drawn[shown], posed[piece.corner[shown]], atol=1e-5)


def test_mocap_bodies_are_the_bones(wearer: Actor, person: Actor) -> None:
    scene, data = compiled(person, wearer)
    state = state_of(wearer, 3)
    pose_actor(scene, data, wearer, state)
    mujoco.mj_kinematics(scene, data)
    frames = bone_frames(wearer.rig, state)
    for i, bone in enumerate(BONE_NAMES):
        np.testing.assert_allclose(data.body(f"wearer/{bone}").xpos, frames.positions[i], atol=1e-9)
        np.testing.assert_allclose(data.body(f"wearer/{bone}").xmat.reshape(3, 3), frames.rotations[i], atol=1e-9)
    # The other actor has not moved.
    np.testing.assert_allclose(data.body("person_0/pelvis").xpos, person.rig.rest_positions[0], atol=1e-9)


def look_from(scene: mujoco.MjModel, data: mujoco.MjData, eye: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Aim the camera; returns (3, 3) rotation, camera (x right, y up, z back) to world."""
    back = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    R = np.stack([right, np.cross(back, right), back], axis=1)
    scene.cam_pos[0] = eye
    mujoco.mju_mat2Quat(scene.cam_quat[0], R.ravel())
    mujoco.mj_kinematics(scene, data)
    mujoco.mj_camlight(scene, data)
    return R


def ray_depths(vertices: np.ndarray, faces: np.ndarray, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Distance along each ray to the first face (Moeller and Trumbore, 1997); inf where there is none."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    e1, e2, to = b - a, c - a, origin - a
    q = np.cross(to, e1)
    out = np.full(len(rays), np.inf)
    for i, ray in enumerate(rays):
        p = np.cross(ray, e2)
        det = (e1 * p).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            u, v, t = (to * p).sum(axis=1) / det, q @ ray / det, (e2 * q).sum(axis=1) / det
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
        out[i] = t[hit].min(initial=np.inf)
    return out


def test_rendered_depth_is_the_meshs(model: BodyModel, person: Actor) -> None:
    scene, data = compiled(person)
    state = state_of(person, 5)
    pose_actor(scene, data, person, state)
    eye = np.array([1.6, -1.2, 1.4])
    R = look_from(scene, data, eye, np.array([0.1, -0.2, 1.0]))
    with mujoco.Renderer(scene, HEIGHT, WIDTH) as renderer:
        renderer.enable_depth_rendering()
        renderer.update_scene(data, camera="eye")
        depth = renderer.render()
    rows, columns = np.nonzero((depth > 0.3) & (depth < 6))
    assert len(rows) > 1500
    pick = np.random.default_rng(0).choice(len(rows), 250, replace=False)
    rows, columns = rows[pick], columns[pick]
    focal = HEIGHT / 2 / np.tan(np.deg2rad(FOV_Y_DEG) / 2)
    camera_rays = np.stack(
        [(columns + 0.5 - WIDTH / 2) / focal, (HEIGHT / 2 - rows - 0.5) / focal, -np.ones(len(rows))], axis=1
    )
    rays = camera_rays @ R.T
    for vertices in (pose_rig(person.rig, state), pose_vertices(model, replace(state, finger_curl=np.zeros((2, 5))))):
        error = np.abs(ray_depths(vertices, person.rig.faces, eye, rays) - depth[rows, columns])
        assert np.median(error) < 0.002


def test_normals_run_on_across_cuts(model: BodyModel, wearer: Actor) -> None:
    # Vertices that several charts or pieces share must be lit alike.
    scene, data = compiled(wearer)
    pose_actor(scene, data, wearer, state_of(wearer, 1))
    mujoco.mj_kinematics(scene, data)
    view = mujoco.MjvScene(scene, 200)
    mujoco.mjv_updateScene(scene, data, mujoco.MjvOption(), None, mujoco.MjvCamera(), mujoco.mjtCatBit.mjCAT_ALL, view)
    normals = np.asarray(view.skinnormal).reshape(-1, 3)
    by_vertex: dict[int, list[np.ndarray]] = {}
    start = 0
    for piece in wearer.pieces:
        for local in np.flatnonzero(piece.depth == 0):
            by_vertex.setdefault(int(piece.corner[local]), []).append(normals[start + local])
        start += len(piece.corner)
    shared = [copies for copies in by_vertex.values() if len(copies) > 1]
    assert len(shared) > 200
    worst = np.array([min(float(a @ copies[0]) for a in copies[1:]) for copies in shared])
    angle = np.rad2deg(np.arccos(worst.clip(-1, 1)))
    assert np.median(angle) < 4 and np.percentile(angle, 95) < 20


def test_hair_is_part_of_the_rig_and_the_body_is_not_changed(model: BodyModel, wearer: Actor, person: Actor) -> None:
    for actor in (wearer, person):
        raised = np.linalg.norm(actor.rig.vertices - model.shaped(actor.rig.betas), axis=1)
        assert raised.max() < 0.025
        below_shoulders = model.v_template[:, 1] < 0.3
        assert raised[below_shoulders].max() == 0


def test_dressing_is_deterministic_and_differs_between_people(model: BodyModel) -> None:
    one, two, other = (dress(np.random.default_rng(seed), model, np.zeros(10), name="a", is_wearer=False) for seed in (7, 7, 8))
    assert one.image.tobytes() == two.image.tobytes() and one.rig.vertices.tobytes() == two.rig.vertices.tobytes()
    assert one.image.tobytes() != other.image.tobytes()


def test_an_actor_that_was_not_added_is_named(wearer: Actor, person: Actor) -> None:
    scene, data = compiled(wearer)
    with pytest.raises(SimulationError, match="person_0"):
        pose_actor(scene, data, person, state_of(person, 0))


def test_a_state_of_another_shape_is_refused(wearer: Actor) -> None:
    scene, data = compiled(wearer)
    with pytest.raises(BodyError, match="shape coefficients"):
        pose_actor(scene, data, wearer, replace(state_of(wearer, 0), betas=np.ones(10)))
