"""What the training tasks share: starting weights, the order of samples, the weight file, and the state to resume from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.training_runs import CPU, check_resumed_run_is_bit_equal, parameters_of, run_and_record, trainer_of
from torch import Tensor, nn

from ego_perception.engine import TrainerConfig
from ego_perception.engine.distributed import Workplace
from ego_perception.engine.network_task import NetworkTask, spread_batches
from ego_perception.engine.seeding import generator_for
from ego_perception.parameters import group
from ego_perception.weights import read_info
from ego_perception.weights.runtime import NetworkKind
from ego_perception.weights.sizes import read_sizes


@dataclass(frozen=True)
class Sizes:
    width: int = 3


@dataclass(frozen=True)
class Config:
    trainer: TrainerConfig = group(TrainerConfig)


LINE = NetworkKind(
    "line",
    4,
    inputs=("x",),
    outputs=("y",),
    read_sizes=lambda values, path: read_sizes(Sizes, values, path),
    build=lambda sizes: nn.Linear(sizes.width, 1),
)


class Points:
    """Five points per part; the third part appears at the first rescan."""

    def __init__(self, names: list[str] | None) -> None:
        self.names = ["a", "b"] if names is None else names

    def __len__(self) -> int:
        return 5 * len(self.names)

    def rescan(self) -> None:
        self.names = [*self.names, *(["c"] if "c" not in self.names else [])]


class LineTask(NetworkTask[Config, Points, nn.Linear]):
    items, clips = "points", "parts"

    def __init__(self, config: Config) -> None:
        self.drawn: list[list[int]] = []
        super().__init__(LINE, Sizes(), config)

    def open_dataset(self, names: list[Any] | None) -> Points:
        return Points(names)

    def losses(self, model: nn.Module, step: int, workplace: Workplace) -> dict[str, Tensor]:
        numbers = self.draw(workplace)
        self.drawn.append(numbers.tolist())
        noise = torch.randn(len(numbers), 3, generator=generator_for(self.seed, "noise", step, workplace.rank))
        return {"total": (model(noise + numbers[:, None]) - noise.sum(1, keepdim=True)).square().mean()}

    def finish(self, model: nn.Linear) -> dict[str, float]:
        return {"bias": float(model.bias.detach())}


def make(out: Path, **changes: object) -> Any:
    config = parameters_of(Config, **changes)
    return trainer_of(LineTask(config), config, out)


def test_the_file_tells_kind_sizes_training_and_scores(tmp_path: Path) -> None:
    trainer = make(tmp_path)
    run_and_record(trainer)
    info = read_info(tmp_path / "model.safetensors", "line", 4)
    assert info.config == {"width": 3}
    assert {name: info.training[name] for name in ("steps", "points", "parts")} == {"steps": 6, "points": 12, "parts": 3}
    assert info.training["parameters"]["trainer.batch_size"] == 2
    module = LINE.module(tmp_path / "model.safetensors")
    assert info.metrics["bias"] == pytest.approx(float(module.bias.detach()), abs=1e-4)
    torch.testing.assert_close(module.weight, trainer.averaged_model().weight, rtol=1e-3, atol=1e-6)


def test_weights_start_from_the_seed_alone() -> None:
    torch.manual_seed(9)
    before = torch.get_rng_state()
    first, again, other = (LineTask(parameters_of(Config, **{"trainer.seed": seed})).build_model() for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.weight, again.weight) and not torch.equal(first.weight, other.weight)


def test_processes_share_what_one_would_draw() -> None:
    whole, *halves = (LineTask(parameters_of(Config)) for _ in range(3))
    for _ in range(9):
        parts = [task.draw(Workplace(rank, 2, CPU.device)) for rank, task in enumerate(halves)]
        assert torch.stack(parts, 1).flatten().tolist() == whole.draw(CPU).tolist()


def test_resumed_run_is_bit_equal_also_across_epochs(tmp_path: Path) -> None:
    check_resumed_run_is_bit_equal(lambda out: make(out, **{"trainer.batch_size": 7}), tmp_path)


def test_the_state_is_what_older_checkpoints_hold() -> None:
    task = LineTask(parameters_of(Config))
    task.load_state_dict({"names": ["b", "a"], "epoch": 2, "position": 4})
    assert task.state_dict() == {"names": ["b", "a"], "epoch": 2, "position": 4}
    saved = task.state_dict()
    task.dataset.rescan()
    assert saved["names"] == ["b", "a"], "a saved state does not change with the data set"


def test_held_out_samples_are_spread_over_all() -> None:
    assert [part.tolist() for part in spread_batches(100, 5, 2)] == [[0, 25], [50, 74], [99]]
    assert [part.tolist() for part in spread_batches(3, 600, 2)] == [[0, 1], [2]]
