"""Who and what is where at any time of a clip: bodies, things in hands, the camera, and the truth about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.humanoid import qpos_from_state, qvel_between
from ego_perception.body.model import BodyModel
from ego_perception.body.skeleton import joint_index
from ego_perception.body.state import BodyState, JointFrames, forward_kinematics
from ego_perception.data import WearerTruth
from ego_perception.geometry import make_transform
from ego_perception.motion.clip import Hold, MotionClip
from ego_perception.simulation.activity import Activity
from ego_perception.simulation.room import Room
from ego_perception.simulation.world import WorldState

Array = NDArray[np.float64]

WEARER = "wearer"
_VELOCITY_STEP_S = 1 / 60
_HANDS = (joint_index("left_hand"), joint_index("right_hand"))
_HEAD = joint_index("head")


@dataclass(frozen=True, eq=False)
class Player:
    """One person of the clip: name, motion, and the joints of the shaped body at rest (24, 3)."""

    name: str
    motion: MotionClip
    rest_joints: Array

    def frames(self, state: BodyState) -> JointFrames:
        """World poses of the joints."""
        return forward_kinematics(self.rest_joints, state.rotations, state.transl)


class Stage:
    """The moving part of a clip as a function of time; frames can be asked for in any order."""

    def __init__(self, room: Room, activity: Activity, model: BodyModel) -> None:
        self._room = room
        self._activity = activity
        motions = {WEARER: activity.wearer} | {f"person_{i}": motion for i, motion in enumerate(activity.others)}
        self.players = {name: Player(name, motion, model.rest_joints(motion.betas)) for name, motion in motions.items()}
        self._movables = {movable.id: movable for movable in room.movables}

    @property
    def others(self) -> list[Player]:
        """Everybody but the wearer."""
        return [player for name, player in self.players.items() if name != WEARER]

    def world_at(self, t: float) -> WorldState:
        """Everything that moves, at `t` seconds."""
        bodies = {name: player.motion.at(t) for name, player in self.players.items()}
        poses, held = {}, set()
        for player, hold in self._current_holds(t):
            instance = self._movables[hold.object_id].instance
            poses[instance] = self._object_pose(player, hold, bodies[player.name], t)
            if t < hold.end_s:
                held.add(instance)
        return WorldState(bodies, poses, frozenset(held))

    def camera_pose(self, t: float) -> Array:
        """The (4, 4) camera-to-world pose of the wearer's camera, optical axes."""
        return self._activity.camera(t)

    def wearer_truth(self, t: float) -> WearerTruth:
        """The wearer's own state."""
        wearer = self.players[WEARER]
        state, after = wearer.motion.at(t), wearer.motion.at(t + _VELOCITY_STEP_S)
        frames = wearer.frames(state)
        qpos = qpos_from_state(wearer.rest_joints, state)
        return WearerTruth(
            qpos=qpos,
            qvel=qvel_between(qpos, qpos_from_state(wearer.rest_joints, after), _VELOCITY_STEP_S),
            joints=frames.positions,
            T_world_head=make_transform(frames.rotations[_HEAD], frames.positions[_HEAD]),
            foot_contact=wearer.motion.contact_at(t),
            finger_curl=state.finger_curl,
            held=wearer.motion.held_at(t),
            activity=wearer.motion.activity_at(t),
        )

    def _current_holds(self, t: float) -> Iterable[tuple[Player, Hold]]:
        """For every thing that was ever taken, the hold that began last; a thing may go from hand to hand."""
        begun = [(p, h) for p in self.players.values() for h in p.motion.holds if h.start_s <= t]
        return {hold.object_id: (player, hold) for player, hold in sorted(begun, key=lambda pair: pair[1].start_s)}.values()

    def _object_pose(self, player: Player, hold: Hold, state: BodyState, t: float) -> Array:
        """Pose of what a hand holds, or has put down."""
        if t >= hold.end_s:
            return hold.T_world_end
        frames, hand = player.frames(state), _HANDS[hold.hand]
        return make_transform(frames.rotations[hand], frames.positions[hand]) @ hold.T_hand_object
