"""Skinning in numpy and torch against a slow reference, known answers and laws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from ego_perception.body.files import write_body
from ego_perception.body.landmarks import LANDMARK_INDICES
from ego_perception.body.lbs import BodyTensors, body_tensors, body_vertices, rotation_matrices
from ego_perception.body.model import BodyModel, load_body
from ego_perception.body.skeleton import PARENTS
from ego_perception.body.skinning import pose_joints, pose_vertices
from ego_perception.body.state import BodyState

EYE = np.tile(np.eye(3), (24, 1, 1))


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_body()


@pytest.fixture(scope="module")
def tensors(body: BodyModel) -> BodyTensors:
    return body_tensors(body, dtype=torch.float64)


def random_state(seed: int) -> BodyState:
    rng = np.random.default_rng(seed)
    rotations = Rotation.from_rotvec(0.4 * rng.normal(size=(24, 3))).as_matrix()
    return BodyState(rotations, rng.normal(size=3), rng.normal(size=10))


def as_torch(state: BodyState) -> tuple[torch.Tensor, ...]:
    arrays = (state.betas[None], state.rotations[None, 1:], state.rotations[None, :1], state.transl[None])
    return tuple(torch.as_tensor(array) for array in arrays)


def slow_reference(body: BodyModel, state: BodyState) -> tuple[np.ndarray, np.ndarray]:
    """Equations of the SMPL paper, one joint and one vertex at a time, with 4x4 matrices."""
    shaped = body.v_template.copy()
    for k, beta in enumerate(state.betas):
        shaped = shaped + beta * body.shapedirs[:, :, k]
    joints = body.joint_regressor @ shaped
    if body.posedirs is not None:
        feature = (state.rotations[1:] - np.eye(3)).reshape(-1)
        for k, amount in enumerate(feature):
            shaped = shaped + amount * body.posedirs[:, :, k]
    world: list[np.ndarray] = []
    for joint, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3] = state.rotations[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    skin = []
    for joint in range(24):
        back = np.eye(4)
        back[:3, 3] = -joints[joint]
        skin.append(world[joint] @ back)
    posed = np.empty_like(shaped)
    for vertex, (point, row) in enumerate(zip(shaped, body.weights, strict=True)):
        matrix = sum(row[joint] * skin[joint] for joint in np.flatnonzero(row))
        posed[vertex] = (matrix @ np.append(point, 1.0))[:3]
    return posed + state.transl, np.array([m[:3, 3] for m in world]) + state.transl


def with_posedirs(body: BodyModel) -> BodyModel:
    directions = 1e-3 * np.random.default_rng(3).normal(size=(len(body.v_template), 3, 207))
    return BodyModel(**{**{k: v for k, v in vars(body).items() if not k.startswith("_")}, "posedirs": directions})


@pytest.mark.parametrize("seed", range(3))
def test_numpy_equals_the_slow_reference(body: BodyModel, seed: int) -> None:
    state = random_state(seed)
    vertices, joints = slow_reference(body, state)
    assert np.abs(pose_vertices(body, state) - vertices).max() < 1e-12
    assert np.abs(pose_joints(body, state).positions - joints).max() < 1e-9


def test_pose_correctives_equal_the_slow_reference(body: BodyModel) -> None:
    corrected, state = with_posedirs(body), random_state(5)
    vertices, _ = slow_reference(corrected, state)
    assert np.abs(pose_vertices(corrected, state) - vertices).max() < 1e-12
    assert np.abs(vertices - pose_vertices(body, state)).max() > 1e-3
    posed = body_vertices(body_tensors(corrected, dtype=torch.float64), *as_torch(state))
    assert np.abs(posed.vertices[0].numpy() - vertices).max() < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_torch_equals_numpy(body: BodyModel, tensors: BodyTensors, seed: int) -> None:
    state = random_state(seed)
    posed = body_vertices(tensors, *as_torch(state))
    assert np.abs(posed.vertices[0].numpy() - pose_vertices(body, state)).max() < 1e-12
    assert np.abs(posed.joints[0].numpy() - pose_joints(body, state).positions).max() < 1e-12
    single = body_vertices(body_tensors(body), *(part.float() for part in as_torch(state)))
    assert np.abs(single.vertices[0].numpy() - pose_vertices(body, state)).max() < 5e-6


def test_batch_equals_loop_and_rotation_vectors_equal_matrices(tensors: BodyTensors) -> None:
    rng = np.random.default_rng(7)
    vectors = torch.as_tensor(0.5 * rng.normal(size=(4, 24, 3)))
    betas, transl = torch.as_tensor(rng.normal(size=(4, 10))), torch.as_tensor(rng.normal(size=(4, 3)))
    whole = body_vertices(tensors, betas, vectors[:, 1:], vectors[:, 0], transl)
    flat = body_vertices(tensors, betas, vectors[:, 1:].reshape(4, 69), vectors[:, :1], transl)
    assert torch.equal(whole.vertices, flat.vertices)
    matrices = rotation_matrices(vectors)
    for n in range(4):
        one = body_vertices(tensors, betas[n : n + 1], matrices[n : n + 1, 1:], matrices[n : n + 1, 0], transl[n : n + 1])
        assert torch.allclose(one.vertices[0], whole.vertices[n], atol=1e-12)
        assert torch.allclose(one.joints[0], whole.joints[n], atol=1e-12)


def test_rest_pose_gives_the_shaped_mesh(body: BodyModel, tensors: BodyTensors) -> None:
    betas = np.random.default_rng(0).normal(size=10)
    state = BodyState(EYE, np.array([1.0, -2.0, 3.0]), betas)
    assert np.abs(pose_vertices(body, state) - body.shaped(betas) - state.transl).max() < 1e-12
    posed = body_vertices(tensors, *as_torch(state), landmarks=True)
    assert posed.joints.shape == (1, 45, 3)
    assert np.allclose(posed.joints[0, :24], body.rest_joints(betas) + state.transl, atol=1e-12)
    assert np.allclose(posed.joints[0, 24:], posed.vertices[0, LANDMARK_INDICES])


def test_root_stays_at_its_rest_joint_plus_translation(body: BodyModel) -> None:
    state = random_state(2)
    expected = body.rest_joints(state.betas)[0] + state.transl
    assert np.allclose(pose_joints(body, state).positions[0], expected, atol=1e-12)


def test_moving_and_turning_the_root_moves_everything(body: BodyModel) -> None:
    state = random_state(4)
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    rotations = state.rotations.copy()
    rotations[0] = turn @ rotations[0]
    turned = BodyState(rotations, state.transl + np.array([0.5, 0, -1]), state.betas)
    pelvis = body.rest_joints(state.betas)[0]
    expected = (pose_vertices(body, state) - pelvis - state.transl) @ turn.T + pelvis + turned.transl
    assert np.allclose(pose_vertices(body, turned), expected, atol=1e-12)


def test_a_bent_elbow_moves_only_the_arm(body: BodyModel) -> None:
    rotations = EYE.copy()
    rotations[18] = Rotation.from_euler("y", -90, degrees=True).as_matrix()
    moved = np.linalg.norm(pose_vertices(body, BodyState(rotations, np.zeros(3))) - body.v_template, axis=1)
    assert moved[body.v_template[:, 0] < 0.15].max() < 1e-9
    assert moved[body.v_template[:, 0] < 0.30].max() < 0.005
    wrist = pose_joints(body, BodyState(rotations, np.zeros(3))).positions[20]
    assert wrist == pytest.approx([0.46, 0.46, 0.20], abs=1e-6), "elbow at (.45, .45, -.05), forearm (.25, .01, -.01) turned"


def test_transforms_are_what_skins(body: BodyModel, tensors: BodyTensors) -> None:
    state = random_state(6)
    posed = body_vertices(tensors, *as_torch(state))
    points = torch.as_tensor(np.concatenate([body.shaped(state.betas), np.ones((len(body.v_template), 1))], axis=1))
    skinned = torch.einsum("vj,jab,vb->va", tensors.weights, posed.transforms[0], points)[:, :3]
    assert torch.allclose(skinned, posed.vertices[0], atol=1e-12)


def test_gradients(tensors: BodyTensors) -> None:
    few = torch.tensor([332, 2746, 6787])
    small = BodyTensors(
        **{**vars(tensors), "v_template": tensors.v_template[few], "shapedirs": tensors.shapedirs[few],
           "weights": tensors.weights[few], "landmarks": torch.tensor([0])}
    )  # fmt: skip
    rng = np.random.default_rng(0)
    inputs = [torch.as_tensor(0.3 * rng.normal(size=size)).requires_grad_() for size in ((1, 10), (1, 69), (1, 3), (1, 3))]

    def run(*args: torch.Tensor) -> torch.Tensor:
        posed = body_vertices(small, *args)
        return torch.cat([posed.vertices, posed.joints], dim=1)

    assert torch.autograd.gradcheck(run, inputs, fast_mode=True, check_undefined_grad=False)


def test_rotation_matrices_near_zero_and_against_scipy() -> None:
    zero = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    rotation_matrices(zero)[0, 1].backward()
    assert zero.grad is not None
    assert zero.grad.tolist() == [0.0, 0.0, -1.0]
    vectors = np.concatenate([np.random.default_rng(0).normal(size=(50, 3)), [[1e-5, 0, 0], [0, np.pi, 0], [0, 0, 7.0]]])
    matrices = rotation_matrices(torch.as_tensor(vectors)).numpy()
    assert np.abs(matrices - Rotation.from_rotvec(vectors).as_matrix()).max() < 1e-12


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu_equals_cpu(body: BodyModel) -> None:
    state = random_state(1)
    on_gpu = body_vertices(body_tensors(body, "cuda"), *(part.float().cuda() for part in as_torch(state)))
    assert np.abs(on_gpu.vertices[0].cpu().numpy() - pose_vertices(body, state)).max() < 1e-5


def test_equals_smplx(body: BodyModel, tmp_path: Path) -> None:
    smplx = pytest.importorskip("smplx", reason="smplx is not installed; it is only a cross-check, its licence is not ours")
    arrays = {
        "v_template": body.v_template, "f": body.faces, "shapedirs": body.shapedirs, "J_regressor": body.joint_regressor,
        "weights": body.weights, "kintree_table": np.array([PARENTS, range(24)]), "posedirs": with_posedirs(body).posedirs,
    }  # fmt: skip
    write_body(tmp_path / "SMPL_NEUTRAL.pkl", arrays)
    theirs = smplx.create(str(tmp_path / "SMPL_NEUTRAL.pkl"), model_type="smpl", batch_size=5, dtype=torch.float64)
    ours = body_tensors(load_body(tmp_path / "SMPL_NEUTRAL.pkl"), dtype=torch.float64)
    rng = np.random.default_rng(0)
    betas, pose = torch.as_tensor(rng.normal(size=(5, 10))), torch.as_tensor(0.5 * rng.normal(size=(5, 69)))
    orient, transl = torch.as_tensor(rng.normal(size=(5, 3))), torch.as_tensor(rng.normal(size=(5, 3)))
    expected = theirs(betas=betas, body_pose=pose, global_orient=orient, transl=transl)
    posed = body_vertices(ours, betas, pose, orient, transl, landmarks=True)
    worst = float((posed.vertices - expected.vertices).abs().max())
    print(f"largest difference to smplx {worst:.2e} m")
    assert worst < 1e-5
    assert float((posed.joints - expected.joints).abs().max()) < 1e-5
