"""The fine-tune: it learns, begins with the single-frame model, resumes to the bit, and leaves weights that inference reads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from fixtures.clip_folder import write_clips
from fixtures.hand_clips import hand_frames
from fixtures.vidm_models import TINY, random_vidm
from torch import Tensor, nn

from ego_perception.engine import Trainer, load_checkpoint
from ego_perception.engine.distributed import Workplace
from ego_perception.errors import ConfigError, SourceError, WeightsError
from ego_perception.hand_removal.vidm.diffusion import noised
from ego_perception.hand_removal.vidm.inpainter import VidmInpainter
from ego_perception.hand_removal.vidm.model import Vidm, load_vidm
from ego_perception.hand_removal.vidm.sizes import KIND, LDM_KIND, PUBLISHED, VERSION, VidmSizes
from ego_perception.hand_removal.vidm.training.model import TrainedVidm, noise_loss, noised_at
from ego_perception.hand_removal.vidm.training.samples import Batch, Sample, stack
from ego_perception.hand_removal.vidm.training.task import SIZES, VidmTrainConfig, VidmTrainTask, published_trainer
from ego_perception.parameters import flatten, from_mapping, to_dict
from ego_perception.weights import WeightsInfo, read_info
from ego_perception.weights.store import save_weights

ROOT = Path(__file__).parents[4]
CPU = Workplace(0, 1, torch.device("cpu"))
SMALL = VidmTrainConfig(
    trainer=replace(published_trainer(), steps=3, batch_size=2, accumulation=2, rate_per_image=2e-4, log_interval=1),
    size="tiny",
    image_size=32,
    clip_spacing=2,
    validation_windows=3,
    loader_threads=1,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_clips(folder / "train", {1: hand_frames(8), 2: hand_frames(8, seed=5)}, views="hands")
    write_clips(folder / "val", {101: hand_frames(7, seed=8), 102: hand_frames(7, seed=9)}, views="hands")
    return folder


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """An uninterrupted run."""
    trainer = run(VidmTrainTask(SMALL, data), tmp_path_factory.mktemp("whole"))
    assert trainer.run()
    return trainer


def batch_of(count: int = 2, side: int = 32) -> Batch:
    rng = np.random.default_rng(4)
    samples = []
    for _ in range(count):
        frames = rng.integers(0, 256, (4, side, side, 3), np.uint8)
        holes = np.zeros((4, side, side), np.bool_)
        holes[:, 8:20, 5:17] = True
        samples.append(Sample(frames, holes, frames[-1], np.ones((side // 4, side // 4), np.bool_)))
    return stack(samples)


def trained(**options: bool) -> TrainedVidm:
    """With weights none of which is zero."""
    model = TrainedVidm(TINY, **options)
    model.load_state_dict(random_vidm(TINY).state_dict())
    return model


def run(task: VidmTrainTask, out: Path) -> Trainer:
    return Trainer(task, task.config.trainer, to_dict(task.config), out, CPU)


def test_it_is_tensor_for_tensor_the_model_of_inference() -> None:
    assert list(TrainedVidm(TINY).state_dict()) == list(Vidm(TINY).state_dict())


def test_the_unet_sees_in_training_what_it_sees_in_use() -> None:
    model, batch = trained().eval(), batch_of(1)
    inpainter = VidmInpainter(random_vidm(TINY))
    bytes_of = ((batch.frames[0] + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    encoded = [inpainter.encode(f, h) for f, h in zip(bytes_of, (batch.holes[0, :, 0] > 0).numpy(), strict=True)]
    condition = torch.stack([e.condition for e in encoded], dim=1)
    noise, times = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([700])
    x = noised(model.first_stage.encode(batch.target), 700, noise)
    with torch.no_grad():
        expected = model.unet(torch.cat([x[:, None].expand(-1, 4, -1, -1, -1), condition], dim=2), times)
        assert torch.allclose(model(batch, times, noise), expected, atol=1e-5)


def test_noising_and_loss() -> None:
    latents, noise = torch.full((2, 3, 4, 4), 2.0), torch.full((2, 3, 4, 4), -1.0)
    mixed = noised_at(latents, torch.tensor([0, 999]), noise)
    for k, time in enumerate((0, 999)):
        assert torch.allclose(mixed[k], noised(latents[k], time, noise[k]), atol=1e-6)
    counts = torch.ones(2, 1, 4, 4)
    assert float(noise_loss(noise + 0.5, noise, counts)) == pytest.approx(0.5)
    counts[:, :, :2] = 0  # half of the cells: the mean is over all of them
    assert float(noise_loss(noise + 0.5, noise, counts)) == pytest.approx(0.25)
    wrong_there = noise.clone()
    wrong_there[:, :, :2] = 1e3
    assert float(noise_loss(wrong_there, noise, counts)) == 0.0


def test_the_first_stage_is_frozen() -> None:
    model = trained().train()
    assert model.unet.training and not model.first_stage.training and not model.first_stage.vq.training
    model(batch_of(), torch.tensor([10, 500]), torch.randn(2, 3, 8, 8)).abs().mean().backward()
    assert all(p.grad is None for p in model.first_stage.parameters())
    assert all(p.grad is not None for p in model.unet.parameters())


def _loss_and_memory(model: TrainedVidm) -> tuple[Tensor, int]:
    """The loss, and the bytes that are kept for its gradient."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    noise = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = noise_loss(model(batch_of(), torch.tensor([10, 500]), noise), noise, torch.ones(2, 1, 8, 8))
    loss.backward()
    return loss.detach(), sum(kept.values())


def test_checkpointed_attention_gives_the_same_gradients_with_less_memory() -> None:
    plain, saving = trained(checkpoint_attention=False).train(), trained(checkpoint_attention=True).train()
    (loss, kept), (other_loss, other_kept) = _loss_and_memory(plain), _loss_and_memory(saving)
    assert torch.equal(loss, other_loss) and other_kept < 0.9 * kept
    for (name, p), q in zip(plain.named_parameters(), saving.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None), name
        assert p.grad is None or torch.allclose(p.grad, q.grad, atol=1e-7), name  # type: ignore[arg-type]


def test_it_overfits_one_batch() -> None:
    torch.manual_seed(2)
    model, batch, times = TrainedVidm(TINY, checkpoint_attention=False).train(), batch_of(1), torch.tensor([500])
    noise = torch.randn(1, 3, 8, 8)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(18):
        loss = noise_loss(model(batch, times, noise), noise, batch.counts)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(float(noise.abs().mean()), rel=0.1)  # the last layer starts at zero
    assert losses[-1] < 0.4 * losses[0]


def test_a_run_writes_weights_that_inference_reads(whole: Trainer) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    average, raw = load_vidm(whole.out / "model.safetensors"), load_vidm(whole.out / "raw.safetensors")
    for name, value in whole.model.state_dict().items():
        assert torch.equal(raw.state_dict()[name], value), name
        assert torch.equal(average.state_dict()[name], whole.average.state[name]), name
    moved = [n for n, v in raw.state_dict().items() if not torch.equal(v, average.state_dict()[n])]
    assert moved and all(name.startswith("unet.") for name in moved)
    info = read_info(whole.out / "model.safetensors", KIND, VERSION)
    assert info.training["images"] == 3 * 2 * 2 and info.training["weights"] == "moving average"
    assert info.training["videos"] == 2 and info.metrics["loss"] > 0
    assert read_info(whole.out / "raw.safetensors").training["weights"] == "raw"
    events = EventAccumulator(str(whole.out))
    events.Reload()
    assert {"train/total", "validation/loss"} <= set(events.Tags()["scalars"])
    hole = np.zeros((32, 32), np.bool_)
    hole[8:16, 8:16] = True
    inpainter = VidmInpainter(average)
    filled = inpainter.fill(inpainter.encode(np.zeros((32, 32, 3), np.uint8), hole), [])
    assert filled.shape == (32, 32, 3)


def test_a_resumed_run_equals_an_uninterrupted_one(whole: Trainer, data: Path, tmp_path: Path) -> None:
    task = VidmTrainTask(SMALL, data)
    first = run(task, tmp_path)
    losses = task.losses

    def interrupted(model: nn.Module, step: int, workplace: Workplace) -> dict[str, Tensor]:
        if step == 2:  # the first batch of the second step
            os.kill(os.getpid(), signal.SIGINT)
        return losses(model, step, workplace)

    task.losses = interrupted  # type: ignore[method-assign]
    assert not first.run() and first.step == 2
    second = run(VidmTrainTask(SMALL, data), tmp_path)
    second.resume()
    assert second.run()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name
        assert torch.equal(whole.average.state[name], second.average.state[name]), name


def test_a_resumed_run_needs_its_clips(data: Path, tmp_path: Path) -> None:
    state = VidmTrainTask(SMALL, data).state_dict()
    (tmp_path / "val").symlink_to(data / "val")
    write_clips(tmp_path / "train", {1: hand_frames(8)}, views="hands")
    with pytest.raises(SourceError, match="lacks clips/2"):
        VidmTrainTask(SMALL, tmp_path).load_state_dict(state)


def weight_file(path: Path, sizes: VidmSizes, kind: str) -> Path:
    save_weights(path, random_vidm(sizes).state_dict(), WeightsInfo(kind, VERSION, sizes.to_dict()))
    return path


@pytest.mark.parametrize("join", ["target", "random"])
def test_it_begins_with_the_single_frame_model(data: Path, tmp_path: Path, join: str) -> None:
    path = weight_file(tmp_path / "ldm.safetensors", replace(TINY, frames=1), LDM_KIND)
    trainer = run(VidmTrainTask(replace(SMALL, join=join), data), tmp_path)
    trainer.start_from(path)
    state, single = trainer.model.state_dict(), load_vidm(path).state_dict()
    assert all(torch.equal(value, state[name]) for name, value in single.items())
    assert all(torch.equal(value, trainer.average.state[name]) for name, value in state.items())
    new = {name: value for name, value in state.items() if name not in single}
    assert set(new) == {"unet.join.weight", "unet.join.bias"}
    copies_target = torch.equal(new["unet.join.weight"][:, 96:, 0, 0], torch.eye(32)) and not new["unet.join.bias"].any()
    assert copies_target == (join == "target")
    assert bool(new["unet.join.weight"][:, :96].any()) == (join == "random")


def test_other_starts(data: Path, tmp_path: Path) -> None:
    task = VidmTrainTask(SMALL, data)
    path = weight_file(tmp_path / "vidm.safetensors", TINY, KIND)
    trainer, expected = run(task, tmp_path), load_vidm(path).state_dict()
    trainer.start_from(path)
    assert all(torch.equal(value, expected[name]) for name, value in trainer.model.state_dict().items())
    with pytest.raises(WeightsError, match=r"other sizes than 'tiny'"):
        trainer.start_from(weight_file(tmp_path / "other.safetensors", replace(TINY, frames=1, codes=32), LDM_KIND))
    with pytest.raises(WeightsError, match="holds 'hand-fill' weights"):
        trainer.start_from(weight_file(tmp_path / "fill.safetensors", TINY, "hand-fill"))


def test_the_published_size_needs_a_start(data: Path) -> None:
    task = VidmTrainTask(replace(SMALL, size="paper", image_size=64), data)
    with pytest.raises(ConfigError, match="give --start FILE"):
        task.losses(nn.Identity(), 0, CPU)


def test_wrong_settings(data: Path) -> None:
    with pytest.raises(ConfigError, match="image_size is 100; it must be a multiple of 8"):
        VidmTrainTask(replace(SMALL, image_size=100), data)
    with pytest.raises(ConfigError, match="batch_size is 2 for 3 processes"):
        VidmTrainTask(SMALL, data).losses(nn.Identity(), 0, Workplace(0, 3, torch.device("cpu")))


def test_the_defaults_are_the_published_run() -> None:
    config = VidmTrainConfig()
    assert SIZES[config.size] == PUBLISHED and SIZES["tiny"] == TINY
    assert config.trainer.peak_rate == pytest.approx(1.92e-4)  # 4 processes x 48 images x 1e-6
    stored: Any = yaml.safe_load((ROOT / "config" / "train" / "vidm.yaml").read_text(encoding="utf-8"))
    assert from_mapping(VidmTrainConfig, flatten(stored)) == config


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_processes_agree_with_one(data: Path, tmp_path: Path) -> None:
    """`ego train`, started by torchrun, from the single-frame model."""
    start = weight_file(tmp_path / "ldm.safetensors", replace(TINY, frames=1), LDM_KIND)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(to_dict(SMALL)), encoding="utf-8")
    tail = ["ego_perception.cli.main", "train", "vidm", "--data", str(data), "--config", str(tmp_path / "run.yaml")]
    # Without the two dashes the launcher takes --start for one of its own options.
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for name, head in (("one", ["-m"]), ("two", launcher)):
        command = [sys.executable, *head, *tail, "-o", str(tmp_path / name), "--start", str(start), "--device", "cpu"]
        subprocess.run(command, check=True, env=environment, cwd=ROOT, timeout=500)
    one, two = (load_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("one", "two"))
    assert one.step == two.step == 3 and one.task == two.task
    # Adam turns rounding into whole steps where a gradient is nothing but rounding: what agrees is the gradient's mean.
    means, others = (torch.cat([s["exp_avg"].flatten() for s in c.optimizer["state"].values()]) for c in (one, two))
    assert float((means - others).norm() / means.norm()) < 1e-3
    steps = torch.cat([(value - two.model[name]).abs().flatten() for name, value in one.model.items()])
    assert float(steps.mean()) < 1e-5
