"""What moves between two instants of a world, by the number its pixels carry: what `flow.optical_flow` asks for."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from ego_perception.simulation.flow import RigidMotion, SkinMotion
from ego_perception.simulation.scene import Scene
from ego_perception.simulation.world import WorldState


def rigid_motions(scene: Scene, now: WorldState, after: WorldState) -> dict[int, RigidMotion]:
    """Movable things whose pose changes."""
    out = {}
    for movable in scene.room.movables:
        rest = movable.T_world_object
        pose, pose_after = (world.objects.get(movable.instance, rest) for world in (now, after))
        if not np.array_equal(pose, pose_after):
            out[scene.instance_of(movable.instance)] = RigidMotion(pose, pose_after)
    return out


def skin_motions(
    scene: Scene, now: WorldState, after: WorldState, shown: Container[int] | None = None
) -> dict[int, SkinMotion]:
    """Pieces of all people who are there at both instants.

    Args:
        shown: instances in view; who shows none of them is left out, because posing costs time. None takes all.
    """
    out = {}
    for group in scene.groups:
        if group.actor is None or group.actor.name not in now.bodies or group.actor.name not in after.bodies:
            continue
        first, count = group.vertices
        number = scene.vertices["ids"][first : first + count, 1]
        instances = [int(i) for i in np.unique(number) if shown is None or int(i) in shown]
        if not instances:
            continue
        vertices = [group.actor.posed(world.bodies[group.actor.name])[0].astype(np.float64) for world in (now, after)]
        triangles = group.actor.triangles.astype(np.int64)
        for instance in instances:
            piece = triangles[number[triangles[:, 0]] == instance]
            out[instance] = SkinMotion(vertices[0], vertices[1], piece)
    return out
