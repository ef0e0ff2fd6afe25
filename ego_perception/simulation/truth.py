"""Exact truth about people, things and motion in a rendered view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ego_perception.body.model import BodyModel
from ego_perception.body.skinning import pose_vertices
from ego_perception.data import BodyTruth, ObjectTruth
from ego_perception.geometry import PinholeCamera
from ego_perception.simulation.actor import Actor
from ego_perception.simulation.flow import optical_flow
from ego_perception.simulation.motions import rigid_motions, skin_motions
from ego_perception.simulation.renderer import Rendering
from ego_perception.simulation.scene import Scene
from ego_perception.simulation.stage import WEARER, Player, Stage
from ego_perception.simulation.visibility import joint_visibility, vertex_visibility
from ego_perception.simulation.world import WorldState

Floats = NDArray[np.float32]


class TruthMaker:
    """Knows which pixel number is whose.

    Args:
        actors: those of the scene, in its order.
        model: the body that everybody is a shape of.
    """

    def __init__(self, stage: Stage, scene: Scene, actors: Sequence[Actor], model: BodyModel) -> None:
        self._stage, self._scene, self._model = stage, scene, model
        self._first_instance: dict[str, int] = {}
        number = len(scene.instance_names) - sum(len(actor.pieces) for actor in actors)
        for actor in actors:
            self._first_instance[actor.name] = number
            number += len(actor.pieces)

    def objects(self, t: float) -> tuple[ObjectTruth, ...]:
        """Every movable thing of the room at `t` seconds."""
        world, room = self._stage.world_at(t), self._scene.room
        return tuple(
            ObjectTruth(
                m.id, m.label, self._scene.instance_of(m.instance), _pose(world, m.instance, m.T_world_object), np.array(m.size)
            )
            for m in room.movables
        )

    def bodies(self, view: Rendering, camera: PinholeCamera, t: float, *, vertices: bool) -> tuple[BodyTruth, ...]:
        """Everybody but the wearer at `t` seconds, whether in view or not."""
        return tuple(self._body(player, view, camera, t, vertices) for player in self._stage.others)

    def flow(self, view: Rendering, camera: PinholeCamera, t: float, t_next: float) -> tuple[Floats, Floats]:
        """Optical flow (H, W, 2) and scene flow (H, W, 3) from `t` to `t_next`."""
        now, after = self._stage.world_at(t), self._stage.world_at(t_next)
        shown = set(np.flatnonzero(np.bincount(view.instances.ravel())).tolist())
        rigid, skins = rigid_motions(self._scene, now, after), skin_motions(self._scene, now, after, shown)
        poses = self._stage.camera_pose(t), self._stage.camera_pose(t_next)
        return optical_flow(view.depth, camera, *poses, view.instances, rigid, skins)

    def _body(self, player: Player, view: Rendering, camera: PinholeCamera, t: float, with_vertices: bool) -> BodyTruth:
        assert player.name != WEARER
        state, T_world_cam = player.motion.at(t), self._stage.camera_pose(t)
        joints = player.frames(state).positions
        own = self._first_instance[player.name]
        rotations = Rotation.from_matrix(state.rotations).as_rotvec()
        vertices = pose_vertices(self._model, state) if with_vertices else None
        return BodyTruth(
            id=player.name,
            betas=state.betas,
            global_orient=rotations[0],
            body_pose=rotations[1:],
            transl=state.transl,
            joints=joints,
            joint_visible=joint_visibility(joints, camera, T_world_cam, view.depth, view.instances, own),
            vertices=None if vertices is None else vertices.astype(np.float32),
            vertex_visible=None
            if vertices is None
            else vertex_visibility(vertices, self._model.faces, camera, T_world_cam, view.depth),
            body_sha256=self._model.sha256,
        )


def _pose(world: WorldState, instance: int, resting: NDArray[np.float64]) -> NDArray[np.float64]:
    return world.objects.get(instance, resting)
