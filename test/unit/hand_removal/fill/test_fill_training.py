"""Losses, variation and the training task of the fill network."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from fixtures.clip_folder import write_clips
from fixtures.hand_clips import hand_frames
from fixtures.training_runs import CPU, check_resumed_run_is_bit_equal
from torch import nn

from ego_perception.engine import Trainer
from ego_perception.hand_removal.fill.augment import last_output, recolour, shrunk, vary
from ego_perception.hand_removal.fill.data import SCENE_PLANES, SIDE, Batch
from ego_perception.hand_removal.fill.losses import fill_losses, ssim_map
from ego_perception.hand_removal.fill.model import FillNetwork, FillOutput
from ego_perception.hand_removal.fill.sizes import KIND, PLANES, VERSION, FillConfig
from ego_perception.hand_removal.fill.training import FillTrainConfig, FillTrainTask, score
from ego_perception.parameters import from_mapping, to_dict
from ego_perception.weights import read_info

SMALL = FillConfig(widths=(8, 8, 16, 16), blocks=(1, 1, 1))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch_of(side: int = 64, count: int = 2, seed: int = 0) -> Batch:
    """Random pictures with a square hole, its left half remembered, its right half never seen."""
    picture = torch.rand(count, 3, side, side, generator=generator(seed)) * 2 - 1
    scene = torch.zeros(count, SCENE_PLANES, side, side)
    box = torch.zeros(side, side, dtype=torch.bool)
    box[side // 4 : side // 2, side // 4 : 3 * side // 4] = True
    unseen = box.clone()
    unseen[:, : side // 2] = False
    scene[:, :3] = picture * ~box
    scene[:, 3:6] = picture * ~unseen
    scene[:, 6], scene[:, 7], scene[:, 8] = (~unseen).float(), box.float(), unseen.float()
    return Batch(scene, scene.clone(), torch.zeros(count, 2, side, side), picture)


def planes_of(batch: Batch) -> torch.Tensor:
    return torch.cat([batch.scene, torch.zeros_like(batch.scene[:, :4])], dim=1)


def test_an_untrained_network_leaves_the_picture_alone() -> None:
    planes = planes_of(batch_of())
    output = FillNetwork(SMALL)(planes)
    assert torch.equal(output.filled, planes[:, 3:6]) and torch.equal(output.painted, planes[:, 3:6])
    assert not output.gate[planes[:, 6:7] == 0].any()


def test_the_network_keeps_to_its_budget() -> None:
    network = FillNetwork()
    assert sum(p.numel() for p in network.parameters()) <= 1_000_000
    assert network(torch.zeros(1, PLANES, 96, 128)).filled.shape == (1, 3, 96, 128)


def test_the_truth_has_no_loss_but_the_gate_s() -> None:
    batch = batch_of()
    truth = FillOutput(batch.target, batch.target, torch.ones_like(batch.target[:, :1]))
    losses = fill_losses(truth, planes_of(batch), batch.target)
    assert all(float(losses[name]) < 1e-4 for name in ("pixels", "painted", "structure", "detail", "calm"))
    worse = FillOutput(batch.target + 0.1, batch.target + 0.1, truth.gate)
    assert all(
        float(fill_losses(worse, planes_of(batch), batch.target)[name]) > float(losses[name]) + 0.005
        for name in ("pixels", "painted", "structure", "total")
    )


def test_only_the_hole_counts() -> None:
    batch = batch_of()
    outside = batch.target + 0.5 * (batch.scene[:, 7:8] == 0)
    gate = torch.ones_like(batch.target[:, :1])
    losses = fill_losses(FillOutput(outside, outside, gate), planes_of(batch), batch.target)
    assert float(losses["pixels"]) == float(losses["painted"]) == 0 and float(losses["structure"]) < 1e-5


def test_the_gate_learns_where_memory_lies() -> None:
    batch = batch_of()
    planes = planes_of(batch)
    planes[:, 3:6, :, :24] *= -1  # the left of what is remembered is wrong
    gate = torch.full_like(batch.target[:, :1], 0.5).requires_grad_()
    loss = fill_losses(FillOutput(batch.target, batch.target, gate), planes, batch.target)["gate"]
    slope = torch.autograd.grad(loss, gate)[0]
    assert float(slope[:, :, 16:32, 16:24].mean()) > 0 > float(slope[:, :, 16:32, 24:32].mean())
    assert not slope[:, :, :, 32:].any()  # nothing is remembered there


def test_a_change_of_what_nobody_saw_is_unrest() -> None:
    batch = batch_of()
    planes = planes_of(batch)
    planes[:, 10:13], planes[:, 13] = batch.target + 0.2, 1
    output = FillOutput(batch.target, batch.target, torch.ones_like(batch.target[:, :1]))
    assert float(fill_losses(output, planes, batch.target)["calm"]) == pytest.approx(0.2, abs=1e-4)
    planes[:, 13] = 0
    assert float(fill_losses(output, planes, batch.target)["calm"]) == 0


def test_similarity_is_1_for_equal_images_and_low_for_noise() -> None:
    a, b = (torch.rand(1, 1, 32, 32, generator=generator(seed)) * 2 - 1 for seed in (0, 1))
    assert torch.allclose(ssim_map(a, a), torch.ones_like(a), atol=1e-4)
    assert float(ssim_map(a, b).mean()) < 0.1


def test_variation_treats_input_and_truth_alike() -> None:
    batch = batch_of(SIDE)
    sides = set()
    for seed in range(12):
        scene, before, flow, target = vary(batch, generator(seed))
        side = target.shape[-1]
        sides.add(side)
        assert scene.shape == before.shape == (2, SCENE_PLANES, side, side) and flow.shape == (2, 2, side, side)
        known = (scene[:, 7:8] == 0).expand(-1, 3, -1, -1)
        if side == SIDE:
            assert torch.allclose(scene[:, :3][known], target[known], atol=1e-5)
            assert torch.allclose(scene[:, 3:6][known], target[known], atol=1e-5)
        assert not (scene[:, :3] * (scene[:, 7:8] > 0.99)).any() and float(target.abs().max()) <= 1
    assert len(sides) > 1


def test_mirrored_flow_points_the_other_way() -> None:
    batch = batch_of(SIDE)
    batch.flow[:, 0], batch.flow[:, 1] = 8, 4
    signs = set()
    for seed in range(12):
        flow, scale = (varied := vary(batch, generator(seed))).flow, varied.flow.shape[-1] / SIDE
        assert float(flow[:, 1].mean()) == pytest.approx(4 * scale)
        signs.add(round(float(flow[:, 0].mean()) / (8 * scale)))
    assert signs == {-1, 1}


def test_shrinking_averages_visible_pixels_only() -> None:
    batch = batch_of(SIDE)
    batch.scene[:, :3] = 0.5 * (batch.scene[:, 7:8] == 0)
    small = shrunk(batch, 96)
    visible = (small.scene[:, 7:8] < 0.5).expand(-1, 3, -1, -1)
    assert torch.allclose(small.scene[:, :3][visible], torch.tensor(0.5), atol=1e-5)
    assert shrunk(batch, SIDE) is batch


def test_all_pictures_are_repainted_in_the_same_way() -> None:
    picture = torch.rand(2, 3, 8, 8, generator=generator()) * 2 - 1
    a, b = recolour((picture, picture.clone()), generator(3))
    assert torch.equal(a, b) and not torch.allclose(a, picture) and float(a.abs().max()) <= 1


class Starting(nn.Module):
    """A network that changes nothing."""

    def forward(self, planes: torch.Tensor) -> FillOutput:
        return FillOutput(planes[:, 3:6], planes[:, 3:6], torch.ones_like(planes[:, :1]))


def test_the_last_output_is_carried_by_the_flow() -> None:
    batch = batch_of()
    still = last_output(Starting(), batch)
    assert torch.allclose(still[:, :3], batch.before[:, 3:6], atol=1e-5) and bool((still[:, 3] == 1).all())
    batch.flow[:, 0] = 5
    moved = last_output(Starting(), batch)
    assert torch.allclose(moved[:, :3, :, :-5], batch.before[:, 3:6, :, 5:], atol=1e-4)
    assert not moved[:, :, :, -5:].any()
    batch.flow[:] = 500
    assert not last_output(Starting(), batch).any()


def test_scores_of_an_untrained_network_are_those_of_its_start() -> None:
    scores = score(FillNetwork(SMALL), [batch_of()])
    assert scores["psnr_unobserved"] == pytest.approx(scores["psnr_continued"], abs=1e-3)
    expected = 10 * math.log10(4 / (1 / 3))  # grey instead of colours spread evenly over -1..1
    assert scores["psnr_continued"] == pytest.approx(expected, abs=0.3)
    assert scores["psnr_observed"] == scores["psnr_memory"] > 80


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fill")
    for split, seed in (("train", 1), ("val", 2)):
        write_clips(folder / split, {seed: hand_frames(6, seed)})
    return folder


def trainer_of(data: Path, out: Path, **changes: object) -> Trainer:
    values = {"trainer.steps": 4, "trainer.batch_size": 2, "trainer.warmup_steps": 1, "trainer.checkpoint_interval_s": 1e6}
    config = from_mapping(FillTrainConfig, {**values, "validation_windows": 2, "stride": 3, **changes})
    return Trainer(FillTrainTask(SMALL, config, data), config.trainer, to_dict(config), out, CPU)


def test_resumed_run_is_bit_equal(data: Path, tmp_path: Path) -> None:
    check_resumed_run_is_bit_equal(lambda out: trainer_of(data, out), tmp_path)


def test_the_weight_file_tells_how_it_was_made(data: Path, tmp_path: Path) -> None:
    trainer_of(data, tmp_path).run()
    info = read_info(tmp_path / "model.safetensors", KIND, VERSION)
    assert info.training["windows"] == 8 and info.training["steps"] == 4
    assert {"psnr_observed", "psnr_unobserved", "psnr_memory", "psnr_continued"} <= set(info.metrics)
