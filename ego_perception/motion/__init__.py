"""Procedural human motion: task scripts become body states with planted feet; knows neither rooms nor rendering."""

from ego_perception.motion.clip import Hold, MotionClip
from ego_perception.motion.physique import Physique, measure_physique
from ego_perception.motion.planner import Planner, plan
from ego_perception.motion.script import Gaze, Grip, Manner, MotionError, Script, Start

__all__ = [
    "Gaze",
    "Grip",
    "Hold",
    "Manner",
    "MotionClip",
    "MotionError",
    "Physique",
    "Planner",
    "Script",
    "Start",
    "measure_physique",
    "plan",
]
