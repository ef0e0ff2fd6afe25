"""Turns a room into a compiled MuJoCo model with class and instance ids per geom. Nothing collides: the world is drawn only."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import SimulationError
from ego_perception.simulation.assembly import Part, Shape
from ego_perception.simulation.backend import mujoco
from ego_perception.simulation.boxmesh import box_mesh
from ego_perception.simulation.materials import Material
from ego_perception.simulation.room import Light, Room

NEAR_M, FAR_M = 0.03, 30.0


@dataclass(frozen=True, eq=False)
class Scene:
    """A compiled room.

    Attributes:
        model: MuJoCo model; `NEAR_M` and `FAR_M` are its clipping planes.
        class_of_geom: (ngeom,) `Label` values.
        instance_of_geom: (ngeom,) index into `names`.
    """

    model: mujoco.MjModel
    room: Room
    class_of_geom: NDArray[np.uint8]
    instance_of_geom: NDArray[np.int32]

    @property
    def names(self) -> list[str]:
        """What each instance is."""
        return self.room.names


def compile_scene(room: Room, *, offscreen: tuple[int, int], shadow_map_px: int) -> Scene:
    """Compile a room for off-screen images of at most `offscreen` (width, height) pixels.

    Raises:
        SimulationError: MuJoCo refuses the model.
    """
    spec = mujoco.MjSpec()
    _set_visual(spec, room, offscreen, shadow_map_px)
    for i, material in enumerate(room.book.materials):
        _add_material(spec, f"m{i}", material)
    for i, (part, _) in enumerate(room.parts):
        _add_part(spec, f"p{i}", part, room.book.materials[part.material])
    for i, light in enumerate(room.lights):
        _add_light(spec, light, casts_shadow=i == 0 and shadow_map_px > 0)
    spec.worldbody.add_camera(name="eye", fovy=60)
    try:
        model = spec.compile()
    except ValueError as error:
        raise SimulationError(f"the room does not compile: {error}") from error
    classes = np.array([part.label for part, _ in room.parts], np.uint8)
    return Scene(model, room, classes, np.array([i for _, i in room.parts], np.int32))


def _set_visual(spec: mujoco.MjSpec, room: Room, offscreen: tuple[int, int], shadow_map_px: int) -> None:
    visual = spec.visual
    visual.global_.offwidth, visual.global_.offheight = offscreen
    visual.quality.offsamples = 0
    visual.quality.shadowsize = max(shadow_map_px, 1)
    spec.stat.extent, spec.stat.center = 1, [0, 0, 1]
    visual.map.znear, visual.map.zfar = NEAR_M, FAR_M
    visual.headlight.ambient, visual.headlight.diffuse = [room.ambient] * 3, [room.headlight] * 3
    visual.headlight.specular = [0.05] * 3


def _add_material(spec: mujoco.MjSpec, name: str, material: Material) -> None:
    rgba = [*material.rgb, 1.0]
    added = spec.add_material(
        name=name,
        rgba=rgba,
        specular=material.specular,
        shininess=material.shininess,
        emission=material.emission,
    )
    if material.image is not None:
        height, width = material.image.shape[:2]
        kind = mujoco.mjtTexture.mjTEXTURE_2D
        texture = spec.add_texture(name=name, type=kind, width=width, height=height, nchannel=3)
        texture.data = material.image.tobytes()
        added.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name


def _add_part(spec: mujoco.MjSpec, name: str, part: Part, material: Material) -> None:
    look = {"quat": _quat_wxyz(part.yaw_rad, part.tilt_rad), "material": f"m{part.material}", "contype": 0, "conaffinity": 0}
    if part.shape is Shape.BOX:
        mesh = box_mesh(part, material.repeat, is_grained=material.is_grained)
        added = spec.add_mesh(
            name=name,
            uservert=mesh.vertices.ravel().tolist(),
            usernormal=mesh.normals.ravel().tolist(),
            usertexcoord=mesh.texcoords.ravel().tolist(),
            userface=mesh.triangles.ravel().tolist(),
        )
        added.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
        spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, pos=part.center, **look)
        return
    kind = getattr(mujoco.mjtGeom, f"mjGEOM_{part.shape.value}")
    half = part.half if part.shape is Shape.ELLIPSOID else (part.half[0], part.half[2], 0.0)
    spec.worldbody.add_geom(type=kind, pos=part.center, size=half, **look)


def _quat_wxyz(yaw: float, tilt: float) -> tuple[float, float, float, float]:
    cy, sy, ct, st = math.cos(yaw / 2), math.sin(yaw / 2), math.cos(tilt / 2), math.sin(tilt / 2)
    return cy * ct, cy * st, sy * st, sy * ct


def _add_light(spec: mujoco.MjSpec, light: Light, *, casts_shadow: bool) -> None:
    kinds = mujoco.mjtLightType
    spec.worldbody.add_light(
        type=kinds.mjLIGHT_SPOT if light.is_spot else kinds.mjLIGHT_POINT,
        pos=light.position,
        dir=light.direction,
        castshadow=casts_shadow,
        diffuse=light.rgb,
        specular=[0.25] * 3,
        cutoff=80,
        exponent=0.6,
        attenuation=[1, light.falloff, 0],
    )
