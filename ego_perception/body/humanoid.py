"""The body as a MuJoCo humanoid: 24 bodies in SMPL's tree, 69 hinges with servos, 6 motors for a residual root wrench.

Capsules and boxes stand for the flesh; no file is read. Layout and names are those of kin-poly (Luo et al., NeurIPS 2021), so
`qpos` has 76 and `qvel` 75 numbers, see `humanoid_state`. MuJoCo is imported when a model is built.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.humanoid_state import (
    HINGE_AXES,
    HINGE_NAMES,
    NUM_QPOS,
    NUM_QVEL,
    HumanoidError,
    qpos_from_state,
    qvel_between,
    state_from_qpos,
)
from ego_perception.body.skeleton import HUMANOID_FROM_SMPL, HUMANOID_NAMES, NUM_JOINTS, PARENTS
from ego_perception.environment import set_defaults

if TYPE_CHECKING:
    import mujoco

__all__ = [
    "HINGE_AXES", "HINGE_NAMES", "NUM_QPOS", "NUM_QVEL", "HumanoidError", "build_humanoid", "qpos_from_state", "qvel_between",
    "standard_rest_joints", "state_from_qpos",
]  # fmt: skip

Array = NDArray[np.float64]
Vec3 = tuple[float, float, float]

REFERENCE_HEIGHT_M: Final = 1.75
WRENCH_LIMIT: Final = 100.0
"""Largest residual force (N) and torque (N m) on the pelvis."""
WRENCH_NAMES: Final = ("root_fx", "root_fy", "root_fz", "root_tx", "root_ty", "root_tz")
_FRICTION: Final = (1.0, 0.05, 0.01)
_ARMATURE: Final = 0.02
_FLOOR_LAYERS: Final = 7

_OFFSETS: Final[dict[str, Vec3]] = {
    "Hip": (0.085, -0.085, 0.0), "Knee": (0.0, -0.40, 0.0), "Ankle": (0.0, -0.40, 0.0), "Toe": (0.0, -0.055, 0.12),
    "Torso": (0.0, 0.11, -0.02), "Spine": (0.0, 0.13, 0.0), "Chest": (0.0, 0.055, 0.015), "Neck": (0.0, 0.21, -0.03),
    "Head": (0.0, 0.08, 0.04), "Thorax": (0.075, 0.12, -0.02), "Shoulder": (0.10, 0.03, -0.01), "Elbow": (0.265, 0.0, 0.0),
    "Wrist": (0.25, 0.0, 0.0), "Hand": (0.085, 0.0, 0.0),
}  # fmt: skip
"""Offset from the parent at `REFERENCE_HEIGHT_M`, left side, metres."""


@dataclass(frozen=True)
class Segment:
    """What is the same for a body on both sides.

    Attributes:
        mass: share of the body mass, before normalising.
        kp, kd: servo gains, N m/rad and N m s/rad; `torque` its limit, N m.
    """

    mass: float
    kp: float = 0.0
    kd: float = 0.0
    torque: float = 0.0


_SEGMENTS: Final[dict[str, Segment]] = {
    "Pelvis": Segment(11.2),
    "Hip": Segment(14.1, 500, 50, 200),
    "Knee": Segment(4.4, 500, 50, 150),
    "Ankle": Segment(1.0, 400, 40, 100),
    "Toe": Segment(0.4, 200, 20, 100),
    "Torso": Segment(8.0, 1000, 100, 200),
    "Spine": Segment(8.0, 1000, 100, 200),
    "Chest": Segment(14.0, 1000, 100, 200),
    "Neck": Segment(1.5, 100, 10, 50),
    "Head": Segment(5.5, 100, 10, 50),
    "Thorax": Segment(1.2, 400, 40, 100),
    "Shoulder": Segment(2.6, 400, 40, 100),
    "Elbow": Segment(1.6, 300, 30, 60),
    "Wrist": Segment(0.4, 100, 10, 50),
    "Hand": Segment(0.2, 100, 10, 50),
}
"""Masses after published segment tables, symmetric; gains as the published controller's."""

_CAPSULES: Final[dict[str, tuple[Vec3, Vec3, float]]] = {
    "Pelvis": ((-0.07, -0.02, 0.0), (0.07, -0.02, 0.0), 0.095),
    "Torso": ((-0.07, 0.04, 0.0), (0.07, 0.04, 0.0), 0.09),
    "Spine": ((-0.07, 0.02, 0.0), (0.07, 0.02, 0.0), 0.09),
    "Chest": ((-0.09, 0.09, 0.0), (0.09, 0.09, 0.0), 0.10),
    "Head": ((0.0, 0.05, 0.0), (0.0, 0.11, 0.0), 0.085),
    "Hand": ((0.0, 0.0, 0.0), (0.06, 0.0, 0.0), 0.022),
}
"""Ends and radius at `REFERENCE_HEIGHT_M` of the capsules that do not run to a child, left side, metres."""

_BONES: Final[dict[str, tuple[str, float, float, float]]] = {
    "Hip": ("Knee", 0.075, 0.90, 0.07), "Knee": ("Ankle", 0.05, 0.90, 0.048), "Neck": ("Head", 0.0, 0.75, 0.05),
    "Thorax": ("Shoulder", 0.0, 0.80, 0.05), "Shoulder": ("Elbow", 0.11, 0.87, 0.042), "Elbow": ("Wrist", 0.08, 0.88, 0.036),
    "Wrist": ("Hand", 0.12, 0.82, 0.028),
}  # fmt: skip
"""Child, where on the way to it the capsule begins and ends, and its radius at `REFERENCE_HEIGHT_M`."""


def standard_rest_joints(height_m: float = REFERENCE_HEIGHT_M) -> Array:
    """Joints (24, 3) of a standard symmetric skeleton at rest, pelvis at the origin, for who has no body model.

    Raises:
        HumanoidError: a height that no adult has.
    """
    if not 1.2 <= height_m <= 2.3:
        raise HumanoidError(f"height is {height_m} m; allowed is 1.2 to 2.3 m")
    joints = np.zeros((NUM_JOINTS, 3))
    for name, joint in list(zip(HUMANOID_NAMES, HUMANOID_FROM_SMPL, strict=True))[1:]:
        offset = np.array(_OFFSETS[_kind(name)]) * height_m / REFERENCE_HEIGHT_M
        offset[0] *= _side(name)
        joints[joint] = joints[PARENTS[joint]] + offset
    return joints


def build_humanoid(
    rest_joints: Array | None = None, *, mass_kg: float = 72.0, sole_drop_m: float | None = None, timestep_s: float = 1 / 450
) -> mujoco.MjSpec:
    """Build the humanoid on a floor at z = 0; `compile()` the result, or add objects first.

    Args:
        rest_joints: (24, 3) joints of the shaped body at rest, SMPL's order, metres; `standard_rest_joints()` if None.
        sole_drop_m: height of the ankle joints above the sole; by default 2 cm more than above the toe joints.

    Raises:
        HumanoidError: joints, mass or time step that cannot be a person, or MuJoCo cannot be loaded.
    """
    rest = standard_rest_joints() if rest_joints is None else np.asarray(rest_joints, np.float64)
    if rest.shape != (NUM_JOINTS, 3) or not np.isfinite(rest).all():
        raise HumanoidError(f"rest joints have shape ({NUM_JOINTS}, 3) and are finite, got shape {rest.shape}")
    if not (mass_kg > 0 and timestep_s > 0):
        raise HumanoidError(f"mass is {mass_kg} kg and the time step {timestep_s} s; both must be positive")
    return _Builder(rest, mass_kg, sole_drop_m, timestep_s).build()


class _Builder:
    """Holds what every part of one model needs while it is put together."""

    def __init__(self, rest: Array, mass_kg: float, sole_drop_m: float | None, timestep_s: float) -> None:
        self.mj = _load_mujoco()
        self.spec = self.mj.MjSpec()
        self.spec.compiler.degree = False
        self.spec.option.timestep = timestep_s
        self.spec.option.integrator = self.mj.mjtIntegrator.mjINT_IMPLICITFAST
        self.mass_kg = mass_kg
        self.offset = {name: rest[j] - rest[max(PARENTS[j], 0)] for name, j in _bodies()}
        standard = standard_rest_joints()
        self.scale = float(np.ptp(rest[:, 1]) / np.ptp(standard[:, 1]))
        toe_drop = -(self.offset["L_Toe"][1] + self.offset["R_Toe"][1]) / 2
        self.sole_drop = toe_drop + 0.02 * self.scale if sole_drop_m is None else sole_drop_m
        hip_to_ankle = sum(self.offset[f"L_{part}"][1] for part in ("Hip", "Knee", "Ankle"))
        self.standing_height = self.sole_drop - hip_to_ankle

    def build(self) -> mujoco.MjSpec:
        self.spec.worldbody.add_geom(
            name="floor",
            type=self.mj.mjtGeom.mjGEOM_PLANE,
            size=[0, 0, 0.05],
            friction=_FRICTION,
            contype=_FLOOR_LAYERS,
            conaffinity=_FLOOR_LAYERS,
        )
        bodies: dict[str, Any] = {}
        parents = {name: HUMANOID_NAMES[HUMANOID_FROM_SMPL.index(PARENTS[j])] for name, j in _bodies() if j > 0}
        for name, joint in _bodies():
            bodies[name] = self._root() if joint == 0 else self._limb(bodies[parents[name]], name)
            self._flesh(bodies[name], name)
        self._add_servos()
        self._add_wrench()
        return self.spec

    def _root(self) -> Any:
        half = float(np.sqrt(0.5))  # +90 degrees about x: the body's y is up
        body = self.spec.worldbody.add_body(name="Pelvis", pos=[0, 0, self.standing_height], quat=[half, half, 0, 0])
        body.add_freejoint(name="root")
        return body

    def _limb(self, parent: Any, name: str) -> Any:
        body = parent.add_body(name=name, pos=self.offset[name])
        for axis in HINGE_AXES:
            body.add_joint(
                name=f"{name}_{axis}",
                type=self.mj.mjtJoint.mjJNT_HINGE,
                axis=[float(axis == other) for other in "xyz"],
                range=[-np.pi, np.pi],
                limited=True,
                armature=_ARMATURE,
            )
        return body

    def _flesh(self, body: Any, name: str) -> None:
        kind, side = _kind(name), _side(name)
        total = sum(_SEGMENTS[_kind(other)].mass for other in HUMANOID_NAMES)
        look = {
            "name": name,
            "mass": self.mass_kg * _SEGMENTS[kind].mass / total,
            "contype": 0,
            "conaffinity": 1,
            "condim": 3,
            "friction": _FRICTION,
        }
        if kind in ("Ankle", "Toe"):
            pos, half = self._foot_box(name, kind)
            body.add_geom(type=self.mj.mjtGeom.mjGEOM_BOX, pos=pos, size=half, **look)
            return
        if kind in _BONES:
            child, begin, end, radius = _BONES[kind]
            way = self.offset[name.replace(kind, child)]
            ends = np.concatenate([begin * way, end * way])
        else:
            a, b, radius = _CAPSULES[kind]
            ends = self.scale * np.array([side * a[0], *a[1:], side * b[0], *b[1:]])
        body.add_geom(type=self.mj.mjtGeom.mjGEOM_CAPSULE, fromto=ends, size=[radius * self.scale, 0, 0], **look)

    def _foot_box(self, name: str, kind: str) -> tuple[list[float], list[float]]:
        s = self.scale
        if kind == "Ankle":
            half = [0.045 * s, 0.03 * s, 0.095 * s]
            return [0.0, half[1] - self.sole_drop, 0.03 * s], half
        half = [0.045 * s, 0.02 * s, 0.04 * s]
        return [0.0, half[1] - self.sole_drop - self.offset[name][1], 0.04 * s], half

    def _add_servos(self) -> None:
        for name in HUMANOID_NAMES[1:]:
            segment = _SEGMENTS[_kind(name)]
            gain, bias = np.zeros(10), np.zeros(10)
            gain[0], bias[1], bias[2] = segment.kp, -segment.kp, -segment.kd
            for axis in HINGE_AXES:
                self._actuator(
                    f"{name}_{axis}",
                    f"{name}_{axis}",
                    segment.torque,
                    gainprm=gain,
                    biastype=self.mj.mjtBias.mjBIAS_AFFINE,
                    biasprm=bias,
                )

    def _add_wrench(self) -> None:
        unit = np.zeros(10)
        unit[0] = 1.0
        for i, name in enumerate(WRENCH_NAMES):
            self._actuator(name, "root", WRENCH_LIMIT, gainprm=unit, gear=np.eye(6)[i])

    def _actuator(self, name: str, target: str, limit: float, **rest: Any) -> None:
        self.spec.add_actuator(
            name=name,
            target=target,
            trntype=self.mj.mjtTrn.mjTRN_JOINT,
            gaintype=self.mj.mjtGain.mjGAIN_FIXED,
            forcerange=[-limit, limit],
            forcelimited=True,
            **rest,
        )


def _bodies() -> Iterator[tuple[str, int]]:
    """Names with their indices in SMPL's order, parents first."""
    return zip(HUMANOID_NAMES, HUMANOID_FROM_SMPL, strict=True)


def _kind(name: str) -> str:
    return name.rpartition("_")[2]


def _side(name: str) -> float:
    return -1.0 if name.startswith("R_") else 1.0


def _load_mujoco() -> Any:
    set_defaults()  # MuJoCo chooses its GL back-end when it is first imported
    try:
        import mujoco
    except (ImportError, AttributeError, OSError, RuntimeError) as error:  # it depends on which GL library is missing
        raise HumanoidError(
            f"MuJoCo cannot be loaded with MUJOCO_GL={os.environ.get('MUJOCO_GL', '')} ({error}); install mujoco and libosmesa6"
        ) from error
    return mujoco
