"""The training task: resumable to the bit, calibrated where it is told to be, and its file is what the prior loads."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.clip_folder import write_clips
from fixtures.training_runs import CPU, check_it_learns, check_resumed_run_is_bit_equal

from ego_perception.data import Frame, FrameTruth
from ego_perception.engine import Trainer
from ego_perception.engine.distributed import Workplace
from ego_perception.errors import ConfigError
from ego_perception.geometry import PinholeCamera
from ego_perception.parameters import from_mapping, to_dict
from ego_perception.reconstruction.data import DepthBatch
from ego_perception.reconstruction.model import DepthNetwork
from ego_perception.reconstruction.network import DEPTH_NETWORK
from ego_perception.reconstruction.sizes import KIND, VERSION, NetworkConfig
from ego_perception.reconstruction.training import DepthTrainConfig, DepthTrainTask, calibrate, score
from ego_perception.weights import read_info

SMALL = NetworkConfig(stem=8, widths=(8, 8, 16, 16), counts=(1, 1, 1, 1), decoder=(16, 16, 8, 8, 8), area=64 * 48)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for split, rooms in (("train", 3), ("val", 2)):
        write_clips(folder / split, {room: [random_view(rng) for _ in range(4)] for room in range(rooms)})
    return folder


def random_view(rng: np.random.Generator) -> Frame:
    camera = PinholeCamera.from_fov(64, 48, float(rng.uniform(0.7, 1.3)))
    depth = rng.uniform(0.5, 4.0, (48, 64)).astype(np.float32)
    return Frame(1, rng.integers(0, 256, (48, 64, 3), np.uint8), camera=camera, truth=FrameTruth(depth=depth))


def config_of(**changes: object) -> DepthTrainConfig:
    values = {"trainer.steps": 6, "trainer.batch_size": 4, "trainer.warmup_steps": 2, "trainer.checkpoint_interval_s": 1e6}
    return from_mapping(DepthTrainConfig, {**values, "coarse_area": 2048, **changes})


def trainer_of(data: Path, out: Path, **changes: object) -> Trainer:
    config = config_of(**changes)
    return Trainer(DepthTrainTask(SMALL, config, data), config.trainer, to_dict(config), out, CPU)


def test_resumed_run_is_bit_equal(data: Path, tmp_path: Path) -> None:
    check_resumed_run_is_bit_equal(lambda out: trainer_of(data, out), tmp_path)


def test_it_learns(data: Path, tmp_path: Path) -> None:
    """On noise too: a typical depth is better than the one that the network starts at."""
    changes = {"trainer.steps": 20, "trainer.learning_rate": 5e-3, "coarse_share": 1.0}
    check_it_learns(lambda: DepthTrainTask(SMALL, config_of(**changes), data), trainer_of(data, tmp_path, **changes), by=0.9)


def test_resume_with_another_share_of_small_images_is_a_conflict(data: Path, tmp_path: Path) -> None:
    trainer_of(data, tmp_path).run()
    with pytest.raises(ConfigError, match=r"coarse_share was 0\.5, is 0\.25"):
        trainer_of(data, tmp_path, coarse_share=0.25).resume()


def test_small_images_first_then_large_ones_in_both_shapes(data: Path) -> None:
    task = DepthTrainTask(SMALL, config_of(**{"trainer.steps": 40}), data)
    sizes = [tuple(task.batch(step, CPU).images.shape[2:]) for step in range(40)]
    assert set(sizes[:20]) == {(40, 56), (32, 64)}
    assert set(sizes[20:]) == {(48, 64), (40, 72)}


def test_processes_share_a_batch(data: Path) -> None:
    whole = DepthTrainTask(SMALL, config_of(), data)
    halves = [DepthTrainTask(SMALL, config_of(), data) for _ in range(2)]
    batches = [task.batch(0, Workplace(rank, 2, CPU.device)) for rank, task in enumerate(halves)]
    assert [len(b.images) for b in batches] == [2, 2]
    assert whole.batch(0, CPU).images.shape[1:] == batches[0].images.shape[1:] == batches[1].images.shape[1:]


def test_model_starts_from_the_seed_alone(data: Path) -> None:
    a, b = (DepthTrainTask(SMALL, config_of(**{"trainer.seed": s}), data) for s in (0, 1))
    torch.manual_seed(9)
    before = torch.get_rng_state()
    first = a.build_model().state_dict()
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(v, first[k]) for k, v in a.build_model().state_dict().items())
    assert not torch.equal(b.build_model().state_dict()["stem.0.weight"], first["stem.0.weight"])


def test_weight_file_loads_and_describes_itself(data: Path, tmp_path: Path) -> None:
    run = trainer_of(data, tmp_path)
    run.run()
    file = tmp_path / "model.safetensors"
    info = read_info(file, KIND, VERSION)
    assert info.training["steps"] == 6 and info.training["images"] == 24 and info.training["rooms"] == 3
    assert info.training["parameters"]["trainer.seed"] == 0
    assert set(info.metrics) == {"abs_rel", "delta1", "abs_rel_scaled", "coverage", "focal"}
    loaded, averaged = DEPTH_NETWORK.module(file), run.averaged_model()
    assert torch.allclose(loaded.stem[0].weight, averaged.stem[0].weight, rtol=1e-3, atol=1e-6)  # type: ignore[union-attr,index]
    assert str(tmp_path) not in str(info)


class Oracle(DepthNetwork):
    """Knows the truth up to a fixed error."""

    def __init__(self, batch: DepthBatch, error: float, scale: float) -> None:
        super().__init__(SMALL)
        self.batch, self.error, self.claimed = batch, error, math.log(scale)

    def forward(self, images: torch.Tensor):  # type: ignore[no-untyped-def]
        output = super().forward(images)
        return output._replace(
            log_depth=self.batch.log_depth + self.error,
            log_depth_scale=torch.full_like(self.batch.log_depth, self.claimed) + self.depth_gain.log(),
            log_focal=self.batch.log_focal + self.error,
            log_focal_scale=torch.full_like(self.batch.log_focal, self.claimed) + self.focal_gain.log(),
        )


def test_score_and_calibration_known_values() -> None:
    batch = DepthBatch(torch.rand(2, 3, 48, 64), torch.rand(2, 24, 32), torch.zeros(2))
    oracle = Oracle(batch, error=0.1, scale=0.05).eval()
    scores = score(oracle, [batch])
    assert scores["abs_rel"] == pytest.approx(math.exp(0.1) - 1, rel=1e-4)
    assert scores["abs_rel_scaled"] == pytest.approx(0.0, abs=1e-5)
    assert (scores["delta1"], scores["coverage"]) == (1.0, 0.0)
    assert scores["focal"] == pytest.approx(0.1, rel=1e-4)
    calibrate(oracle, [batch])
    assert float(oracle.depth_gain) == pytest.approx(2.0, rel=1e-4)
    assert float(oracle.focal_gain) == pytest.approx(2.0, rel=1e-4)
    calibrate(oracle, [batch])
    assert float(oracle.depth_gain) == pytest.approx(2.0, rel=1e-4)


def test_score_of_a_too_small_scale() -> None:
    batch = DepthBatch(torch.rand(2, 3, 48, 64), torch.rand(2, 24, 32), torch.zeros(2))
    scores = score(Oracle(batch, error=-0.3, scale=0.4).eval(), [batch])
    assert scores["delta1"] == 0.0
    assert scores["coverage"] == 1.0
    assert scores["abs_rel"] == pytest.approx(1 - math.exp(-0.3), rel=1e-4)
