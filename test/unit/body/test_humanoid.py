"""The MuJoCo humanoid: layout, masses, and agreement with the body's own kinematics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ego_perception.body.humanoid import (
    HINGE_NAMES,
    WRENCH_NAMES,
    HumanoidError,
    build_humanoid,
    qpos_from_state,
    qvel_between,
    standard_rest_joints,
    state_from_qpos,
)
from ego_perception.body.humanoid_state import hinge_angles, rotation_from_hinges
from ego_perception.body.skeleton import HUMANOID_FROM_SMPL, HUMANOID_NAMES, PARENTS, upright_rotation
from ego_perception.body.state import BodyState, forward_kinematics
from ego_perception.environment import set_defaults

set_defaults()  # before the first import of MuJoCo, which chooses its GL back-end then
mujoco = pytest.importorskip("mujoco", reason="the humanoid is a MuJoCo model")


def random_rest(rng: np.random.Generator) -> np.ndarray:
    return standard_rest_joints(1.6) + rng.normal(0, 0.02, (24, 3))


def random_state(rng: np.random.Generator, sigma: float = 0.8) -> BodyState:
    rotations = Rotation.from_rotvec(rng.normal(0, sigma, (24, 3))).as_matrix()
    rotations[0] = Rotation.random(rng=rng).as_matrix()
    return BodyState(rotations, rng.normal(0, 1, 3))


def assert_same_kinematics(rest: np.ndarray, state: BodyState) -> None:
    model = build_humanoid(rest).compile()
    data = mujoco.MjData(model)
    data.qpos[:] = qpos_from_state(rest, state)
    mujoco.mj_kinematics(model, data)
    want = forward_kinematics(rest, state.rotations, state.transl)
    order = list(HUMANOID_FROM_SMPL)
    np.testing.assert_allclose(data.xpos[1:], want.positions[order], atol=1e-9)
    np.testing.assert_allclose(data.xmat[1:].reshape(-1, 3, 3), want.rotations[order], atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_mujoco_kinematics_equal_the_bodys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert_same_kinematics(random_rest(rng), random_state(rng, sigma=0.3 + 0.3 * seed))


@pytest.mark.parametrize("sign", [-1, 1])
def test_kinematics_hold_at_the_gimbal(sign: int) -> None:
    rng = np.random.default_rng(3)
    rest, state = random_rest(rng), random_state(rng)
    angles = rng.uniform(-3, 3, (24, 3))
    angles[:, 1] = sign * np.pi / 2 + rng.choice([0.0, 1e-12, 1e-9, 1e-7, -1e-5], 24)
    rotations = rotation_from_hinges(angles)
    rotations[0] = state.rotations[0]
    assert_same_kinematics(rest, BodyState(rotations, state.transl))


def test_layout_is_the_published_one() -> None:
    model = build_humanoid().compile()
    assert (model.nq, model.nv, model.nu, model.nbody) == (76, 75, 75, 25)
    assert [model.body(i + 1).name for i in range(24)] == list(HUMANOID_NAMES)
    for i, name in enumerate(HINGE_NAMES):
        assert model.joint(name).qposadr[0] == 7 + i
        assert model.jnt_axis[model.joint(name).id].tolist() == [float(name.endswith(axis)) for axis in "xyz"]
        assert model.actuator(i).name == name
    assert HINGE_NAMES[3 * 12 : 3 * 13] == ("Head_z", "Head_y", "Head_x")  # Head is body 13
    assert [model.actuator(69 + i).name for i in range(6)] == list(WRENCH_NAMES)
    for body, joint in enumerate(HUMANOID_FROM_SMPL):
        parent = model.body_parentid[body + 1] - 1
        assert parent == -1 if joint == 0 else HUMANOID_FROM_SMPL[parent] == PARENTS[joint]


def test_servos_have_the_specified_gains_and_limits() -> None:
    model = build_humanoid().compile()
    for name, kp, kd, torque in (("L_Hip_x", 500, 50, 200), ("R_Wrist_z", 100, 10, 50), ("Chest_y", 1000, 100, 200)):
        servo = model.actuator(name)
        assert (servo.gainprm[0], servo.biasprm[1], servo.biasprm[2]) == (kp, -kp, -kd)
        assert servo.forcerange.tolist() == [-torque, torque]
    assert model.actuator("root_fz").forcerange.tolist() == [-100, 100]
    assert np.allclose(model.jnt_range[1:], [-np.pi, np.pi])
    assert np.allclose(model.dof_armature[6:], 0.02)


@pytest.mark.parametrize(("height", "mass"), [(1.45, 45.0), (1.75, 72.0), (2.0, 110.0)])
def test_mass_and_height_are_those_asked_for(height: float, mass: float) -> None:
    model = build_humanoid(standard_rest_joints(height), mass_kg=mass).compile()
    assert model.body_mass.sum() == pytest.approx(mass)
    assert model.body("L_Hip").mass == pytest.approx(model.body("R_Hip").mass)
    assert model.body("L_Hip").mass[0] / mass == pytest.approx(14.1 / 99.6, rel=0.02)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    head = model.geom("Head").id
    top = data.geom_xpos[head][2] + model.geom_size[head].sum() * 1.0
    assert 0.93 * height < top < 1.05 * height


@pytest.mark.parametrize("sole_drop", [None, 0.09])
def test_both_soles_stand_on_the_floor(sole_drop: float | None) -> None:
    model = build_humanoid(sole_drop_m=sole_drop).compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    for name in ("L_Ankle", "R_Ankle", "L_Toe", "R_Toe"):
        geom = model.geom(name).id
        assert data.geom_xpos[geom][2] - model.geom_size[geom][1] == pytest.approx(0, abs=1e-9)


def test_only_the_floor_and_things_touch_the_humanoid() -> None:
    model = build_humanoid().compile()
    body = model.geom_bodyid > 0
    assert (model.geom_contype[body] == 0).all() and (model.geom_conaffinity[body] == 1).all()
    assert model.geom("floor").contype[0] == 7


def test_servos_hold_it_up_for_a_second_and_the_wrench_lifts() -> None:
    model = build_humanoid().compile()
    data = mujoco.MjData(model)
    start = data.qpos[2]
    for _ in range(450):
        mujoco.mj_step(model, data)
    assert abs(data.qpos[2] - start) < 0.03
    assert np.abs(data.qpos[7:]).max() < 0.2
    weight = model.body_mass.sum() * 9.81
    force = np.zeros(3)
    data.ctrl[71] = 1000.0
    mujoco.mj_forward(model, data)
    force[:] = data.qfrc_actuator[:3]
    assert force.tolist() == [0.0, 0.0, 100.0] and weight > 100


def test_qpos_and_state_are_inverse() -> None:
    rng = np.random.default_rng(5)
    rest, state = random_rest(rng), random_state(rng)
    qpos = qpos_from_state(rest, state)
    back = state_from_qpos(rest, qpos, betas=np.ones(10))
    np.testing.assert_allclose(back.rotations, state.rotations, atol=1e-12)
    np.testing.assert_allclose(back.transl, state.transl, atol=1e-12)
    assert back.betas.tolist() == [1.0] * 10
    np.testing.assert_allclose(qpos_from_state(rest, back), qpos, atol=1e-12)


def test_someone_upright_has_the_specified_root() -> None:
    rest = standard_rest_joints()
    rotations = np.tile(np.eye(3), (24, 1, 1))
    rotations[0] = upright_rotation(-np.pi / 2)
    qpos = qpos_from_state(rest, BodyState(rotations, np.array([1.0, 2.0, 0.9])))
    np.testing.assert_allclose(qpos[:7], [1, 2, 0.9, np.sqrt(0.5), np.sqrt(0.5), 0, 0], atol=1e-12)
    np.testing.assert_allclose(qpos[7:], 0, atol=1e-12)


def test_an_elbow_bends_through_the_gimbal_without_a_jump() -> None:
    rest = standard_rest_joints()
    rng = np.random.default_rng(0)
    rows, previous = [], None
    for angle in np.linspace(0, -2.4, 200):
        rotations = np.tile(np.eye(3), (24, 1, 1))
        rotations[18] = Rotation.from_rotvec([0, angle, 0]).as_matrix()
        rotations[16] = Rotation.from_rotvec([0, 0, 2.5 * angle]).as_matrix()
        previous = qpos_from_state(rest, BodyState(rotations, np.zeros(3)), previous)
        rows.append(previous)
        alone = qpos_from_state(rest, BodyState(rotations, rng.normal(size=3)))
        np.testing.assert_allclose(alone[7:], previous[7:], atol=1e-9)
    elbow = 7 + HINGE_NAMES.index("L_Elbow_y")
    np.testing.assert_allclose(np.array(rows)[:, elbow], np.linspace(0, -2.4, 200), atol=1e-9)


def test_previous_angles_choose_the_branch() -> None:
    goal = np.array([[2.9, 1.9, -2.9]])
    angles = hinge_angles(rotation_from_hinges(goal), goal)
    np.testing.assert_allclose(angles, goal, atol=1e-12)
    smaller = hinge_angles(rotation_from_hinges(goal))
    assert np.linalg.norm(smaller) < np.linalg.norm(goal)


def test_velocity_equals_mujocos() -> None:
    rng = np.random.default_rng(9)
    rest, state = random_rest(rng), random_state(rng, 0.3)
    model = build_humanoid(rest).compile()
    qpos0 = qpos_from_state(rest, state)
    qpos1 = qpos0.copy()
    mujoco.mj_integratePos(model, qpos1, rng.normal(0, 1, 75), 0.05)
    want = np.zeros(75)
    mujoco.mj_differentiatePos(model, want, 0.05, qpos0, qpos1)
    np.testing.assert_allclose(qvel_between(qpos0, qpos1, 0.05), want, atol=1e-9)


def test_velocity_does_not_care_which_triple_of_angles_writes_a_joint() -> None:
    rest = standard_rest_joints()
    qpos0 = qpos_from_state(rest, random_state(np.random.default_rng(2), 0.2))
    qpos1 = qpos0.copy()
    qpos1[7:10] = [qpos0[7] + np.pi, np.pi - qpos0[8], qpos0[9] - np.pi]
    qpos1[10] += 2 * np.pi
    np.testing.assert_allclose(qvel_between(qpos0, qpos1, 0.1), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: standard_rest_joints(0.5), "height is 0.5"),
        (lambda: build_humanoid(np.zeros((23, 3))), "rest joints"),
        (lambda: build_humanoid(np.full((24, 3), np.nan)), "finite"),
        (lambda: build_humanoid(mass_kg=-1), "mass is -1"),
        (lambda: build_humanoid(timestep_s=0), "time step 0"),
        (lambda: qvel_between(np.zeros(76), np.zeros(76), 0.0), "dt is 0"),
        (lambda: state_from_qpos(np.zeros((24, 3)), np.zeros(75)), "76 finite numbers"),
        (lambda: state_from_qpos(np.zeros((24, 3)), np.full(76, np.inf)), "76 finite numbers"),
    ],
)
def test_bad_input_is_named(call, what: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(HumanoidError, match=what):
        call()
