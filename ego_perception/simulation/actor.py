"""A dressed person in the simulator: rig, texture, and one MuJoCo skin per piece, moved by one mocap body per bone.

A piece is a part that has a class of its own. Texture cuts and piece borders would show as creases, because MuJoCo averages
normals within a skin only; each chart therefore goes on under its neighbours by one ring of faces, which nobody sees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.atlas import REGIONS, SIZE, Atlas, build_atlas, face_regions, vertex_normals
from ego_perception.body.model import BodyModel
from ego_perception.body.rig import BONE_NAMES, NUM_BONES, SkinRig, bone_frames, make_rig
from ego_perception.body.state import BodyState
from ego_perception.data.labels import SceneLabel
from ego_perception.errors import SimulationError
from ego_perception.geometry.transforms import quat_xyzw_from_matrix
from ego_perception.simulation.backend import mujoco
from ego_perception.simulation.textures import Rng
from ego_perception.simulation.wardrobe import draw_look, paint_look
from ego_perception.simulation.wardrobe_canvas import BodyMap
from ego_perception.simulation.wardrobe_head import hair_thickness

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

APRON_DEPTH_M: Final = 0.0006
"""How far the hidden rim of a chart lies below the skin of its neighbour."""
_OTHER: Final = -1
_WEARER_PIECES: Final = {
    "left_hand": SceneLabel.LEFT_HAND,
    "right_hand": SceneLabel.RIGHT_HAND,
    "left_arm": SceneLabel.LEFT_ARM,
    "right_arm": SceneLabel.RIGHT_ARM,
    "body": SceneLabel.WEARER,
}


@dataclass(frozen=True, eq=False)
class Piece:
    """What becomes one skin.

    Attributes:
        corner: (n,) vertex of the rig.
        depth: (n,) metres below it along the normal; 0 but for the hidden rims.
        texcoords: (n, 2); faces: (m, 3) into `corner`.
        visible: how many of the faces, from the first, are not hidden rims.
    """

    name: str
    label: SceneLabel
    corner: Ids
    depth: Array
    texcoords: Array
    faces: Ids
    visible: int


@dataclass(frozen=True, eq=False)
class Actor:
    """A person ready to be drawn.

    Attributes:
        rig: with the volume of the hair; elsewhere the body itself.
        image: (S, S, 3) uint8 texture of all pieces.
        specular: shininess of the skins' material, 0..1.
    """

    name: str
    is_wearer: bool
    rig: SkinRig
    image: NDArray[np.uint8]
    pieces: tuple[Piece, ...]
    specular: float = 0.08


def dress(rng: Rng, model: BodyModel, betas: Array, *, name: str, is_wearer: bool) -> Actor:
    """Draw a person's looks and make the actor; the same generator state gives the same person."""
    look = draw_look(rng)
    rig = _with_hair(make_rig(model, betas), model, look.head.hair_style)
    return Actor(name, is_wearer, rig, paint_look(look, model), body_pieces(model, is_wearer))


@lru_cache(maxsize=4)
def body_pieces(model: BodyModel, is_wearer: bool) -> tuple[Piece, ...]:
    """Split the body: hands, arms and the rest of the wearer; somebody else stays whole."""
    atlas = build_atlas(model)
    if not is_wearer:
        return (_piece("body", SceneLabel.PERSON, model, atlas, np.ones(len(atlas.faces), np.bool_)),)
    limbs = np.isin(atlas.region, [REGIONS.index(name) for name in _WEARER_PIECES if name in REGIONS])
    pieces = []
    for name, label in _WEARER_PIECES.items():
        inside = atlas.region == REGIONS.index(name) if name in REGIONS else ~limbs
        pieces.append(_piece(name, label, model, atlas, inside))
    return tuple(pieces)


def add_actor(spec: mujoco.MjSpec, actor: Actor) -> None:
    """Add an actor in the rest pose: mocap bodies "<name>/<bone>" and skins "<name>/<piece>"."""
    for bone, position in zip(BONE_NAMES, actor.rig.rest_positions, strict=True):
        spec.worldbody.add_body(name=f"{actor.name}/{bone}", mocap=True, pos=position)
    texture = spec.add_texture(
        name=f"{actor.name}/look", type=mujoco.mjtTexture.mjTEXTURE_2D, width=SIZE, height=SIZE, nchannel=3
    )
    texture.data = actor.image.tobytes()
    material = spec.add_material(name=f"{actor.name}/look", specular=actor.specular, shininess=0.2)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = f"{actor.name}/look"
    normals = vertex_normals(actor.rig.vertices, actor.rig.faces)
    for piece in actor.pieces:
        points = actor.rig.vertices[piece.corner] - piece.depth[:, None] * normals[piece.corner]
        _add_skin(spec, actor, piece, points)


def pose_actor(model: mujoco.MjModel, data: mujoco.MjData, actor: Actor, state: BodyState) -> None:
    """Write the mocap poses of an actor's bones; `mj_kinematics` and `mjv_updateScene` then move the skins.

    Raises:
        SimulationError: the model does not hold this actor.
        BodyError: the state belongs to another shape.
    """
    first = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, f"{actor.name}/{BONE_NAMES[0]}")
    if first < 0:
        raise SimulationError(f"the scene has no actor '{actor.name}'; add it before compiling")
    start = int(model.body_mocapid[first])
    frames = bone_frames(actor.rig, state)
    data.mocap_pos[start : start + NUM_BONES] = frames.positions
    data.mocap_quat[start : start + NUM_BONES] = quat_xyzw_from_matrix(frames.rotations)[:, [3, 0, 1, 2]]


def _with_hair(rig: SkinRig, model: BodyModel, style: str) -> SkinRig:
    """Raise the scalp to the surface of hair or headwear; the rest of the body stays as it is."""
    thickness = hair_thickness(_vertex_map(model), style)
    normals = vertex_normals(rig.vertices, rig.faces)
    return replace(rig, vertices=rig.vertices + thickness[:, None] * normals)


@lru_cache(maxsize=4)
def _vertex_map(model: BodyModel) -> BodyMap:
    region = np.zeros(len(model.v_template), np.uint8)
    region[model.faces] = face_regions(model)[:, None]
    normals = vertex_normals(model.v_template, model.faces)
    return BodyMap(model, model.v_template.astype(np.float32), normals.astype(np.float32), region)


def _add_skin(spec: mujoco.MjSpec, actor: Actor, piece: Piece, points: Array) -> None:
    weights = actor.rig.weights[piece.corner]
    bones = np.flatnonzero((weights > 0).any(axis=0))
    members = [np.flatnonzero(weights[:, bone] > 0) for bone in bones]
    look: dict[str, Any] = {
        "vert": points.ravel().tolist(),
        "texcoord": piece.texcoords.ravel().tolist(),
        "face": piece.faces.ravel().tolist(),
        "bodyname": [f"{actor.name}/{BONE_NAMES[bone]}" for bone in bones],
        "bindpos": actor.rig.rest_positions[bones].ravel().tolist(),
        "bindquat": [1.0, 0.0, 0.0, 0.0] * len(bones),
        "vertid": [ids.tolist() for ids in members],
        "vertweight": [weights[ids, bone].tolist() for bone, ids in zip(bones, members, strict=True)],
    }
    skin = spec.add_skin(name=f"{actor.name}/{piece.name}", material=f"{actor.name}/look")
    for field, value in look.items():
        setattr(skin, field, value)


def _piece(name: str, label: SceneLabel, model: BodyModel, atlas: Atlas, inside: NDArray[np.bool_]) -> Piece:
    """Cut the faces out of the atlas, and lay the hidden rims of their charts."""
    used, faces = np.unique(atlas.faces[inside], return_inverse=True)
    faces = faces.reshape(-1, 3)
    corner, depth, texcoords = [atlas.corner[used]], [np.zeros(len(used))], [atlas.texcoords[used]]
    count, all_faces = len(used), [faces]
    for chart in np.unique(atlas.chart[inside]):
        local = np.full(len(model.v_template), _OTHER)
        members = np.unique(faces[atlas.chart[inside] == chart])
        local[corner[0][members]] = members
        rim = _rim(model.faces, atlas.chart != chart, local)
        outer = np.unique(rim[local[rim] == _OTHER])
        anchor = _anchors(rim, local, outer)
        local[outer] = count + np.arange(len(outer))
        corner.append(outer)
        depth.append(np.full(len(outer), APRON_DEPTH_M))
        texcoords.append(texcoords[0][anchor])
        all_faces.append(local[rim])
        count += len(outer)
    joined = np.concatenate(all_faces)
    return Piece(name, label, np.concatenate(corner), np.concatenate(depth), np.concatenate(texcoords), joined, len(faces))


def _rim(faces: Ids, outside: NDArray[np.bool_], local: Ids) -> Ids:
    """Faces outside a chart that touch it; those with all corners on it would lie on the skin and are left out."""
    touching = (local[faces] != _OTHER).sum(axis=1)
    return faces[outside & (touching > 0) & (touching < 3)]


def _anchors(rim: Ids, local: Ids, outer: Ids) -> Ids:
    """For each outer vertex a vertex of the chart beside it, whose texture coordinates it takes."""
    anchor = np.zeros(local.size, np.int64)
    best = local[rim].max(axis=1)
    for k in range(3):
        anchor[rim[:, k]] = best
    return anchor[outer]
