"""A room as a MuJoCo model: for physics, for casting rays, and to compare pictures with. Nothing in it collides."""

from __future__ import annotations

import math

from ego_perception.errors import SimulationError
from ego_perception.simulation.assembly import Part, Shape
from ego_perception.simulation.backend import mujoco
from ego_perception.simulation.boxmesh import box_mesh
from ego_perception.simulation.materials import Material
from ego_perception.simulation.room import Light, Room
from ego_perception.simulation.scene import FAR_M, NEAR_M


def mujoco_model(room: Room, *, offscreen: tuple[int, int] = (640, 480), shadow_map_px: int = 1024) -> mujoco.MjModel:
    """Compile a room as a MuJoCo model: geom i is `room.parts[i]`, and the camera "eye" draws `offscreen` pixels at most.

    Raises:
        SimulationError: MuJoCo refuses the model.
    """
    return compile_spec(room_spec(room, offscreen=offscreen, shadow_map_px=shadow_map_px))


def room_spec(room: Room, *, offscreen: tuple[int, int], shadow_map_px: int) -> mujoco.MjSpec:
    """Describe a room for MuJoCo, so that more can be added before compiling."""
    spec = mujoco.MjSpec()
    _set_visual(spec, room, offscreen, shadow_map_px)
    for i, material in enumerate(room.book.materials):
        _add_material(spec, f"m{i}", material)
    for i, (part, _) in enumerate(room.parts):
        _add_part(spec, f"p{i}", part, room.book.materials[part.material])
    for i, light in enumerate(room.lights):
        _add_light(spec, light, casts_shadow=i == 0 and shadow_map_px > 0)
    spec.worldbody.add_camera(name="eye", fovy=60)
    return spec


def compile_spec(spec: mujoco.MjSpec) -> mujoco.MjModel:
    """Compile what was described.

    Raises:
        SimulationError: MuJoCo refuses the model.
    """
    try:
        return spec.compile()
    except ValueError as error:
        raise SimulationError(f"the room does not compile: {error}") from error


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
    if part.surface is not None:
        surface = part.surface
        added = spec.add_mesh(
            name=name,
            uservert=surface.vertices.ravel().tolist(),
            usernormal=surface.normals.ravel().tolist(),
            usertexcoord=surface.texcoords(material.repeat).ravel().tolist(),
            userface=surface.triangles.ravel().tolist(),
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
