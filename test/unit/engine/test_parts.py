"""Schedule, averaging, seeds and checkpoints."""

from __future__ import annotations

import itertools
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ego_perception.engine import Checkpoint, TrainerConfig, load_checkpoint, save_checkpoint
from ego_perception.engine.schedule import WeightAverage, learning_rate, make_optimizer
from ego_perception.engine.seeding import derived_seed, generator_for
from ego_perception.errors import OutputError, WeightsError

CONFIG = TrainerConfig(steps=1001, learning_rate=0.1, warmup_steps=100, final_rate=0.01)


def test_learning_rate_known_values() -> None:
    assert learning_rate(0, CONFIG) == pytest.approx(0.001)
    assert learning_rate(49, CONFIG) == pytest.approx(0.05, rel=0.01)
    assert learning_rate(500, CONFIG) == pytest.approx(0.1 * (0.01 + 0.99 * 0.5))
    assert learning_rate(1000, CONFIG) == pytest.approx(0.001)
    assert learning_rate(5000, CONFIG) == pytest.approx(0.001)


def test_learning_rate_falls_after_warm_up() -> None:
    rates = [learning_rate(step, CONFIG) for step in range(100, 1001)]
    assert all(a >= b for a, b in itertools.pairwise(rates))


def test_learning_rate_without_warm_up_starts_at_the_peak() -> None:
    assert learning_rate(0, replace(CONFIG, warmup_steps=0)) == pytest.approx(0.1)


def test_only_matrices_decay() -> None:
    model = torch.nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.fill_(1.0)
        model.bias.fill_(1.0)
    optimizer = make_optimizer(model, replace(CONFIG, learning_rate=0.5, weight_decay=0.1))
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    assert torch.allclose(model.weight, torch.full((2, 3), 0.95))
    assert torch.equal(model.bias, torch.ones(2))


def test_vectors_decay_where_asked_to_and_frozen_parameters_are_left_out() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4).requires_grad_(requires_grad=False))
    decayed, others = make_optimizer(model, replace(CONFIG, decay_vectors=True)).param_groups
    assert [p.ndim for p in decayed["params"]] == [2, 1] and not others["params"]
    assert len(make_optimizer(model, CONFIG).param_groups[1]["params"]) == 1


def test_the_rate_may_depend_on_the_images_of_a_step() -> None:
    """Constant 1e-6 per image: the published fine-tune of the diffusion model, 4 x 48 images."""
    config = replace(CONFIG, rate_per_image=1e-6, batch_size=48, accumulation=4, warmup_steps=0, final_rate=1.0)
    assert [learning_rate(step, config) for step in (0, 500, 1000)] == pytest.approx([1.92e-4] * 3)
    assert make_optimizer(torch.nn.Linear(2, 2), config).param_groups[0]["lr"] == pytest.approx(1.92e-4)
    assert learning_rate(0, replace(CONFIG, warmup_steps=0)) == pytest.approx(CONFIG.learning_rate)


def test_average_warms_up_as_said() -> None:
    average = WeightAverage({"w": torch.zeros(1)}, 0.9999, warmup=10)
    weights = []
    for step in range(3):
        average.update({"w": torch.ones(1)}, step)
        weights.append(float(average.state["w"]))
    # What is left of the start: 1/10, then 1/10 x 2/11, then that x 3/12.
    assert weights == pytest.approx([1 - 1 / 10, 1 - 2 / 110, 1 - 6 / 1320])


def test_average_known_value_and_counters() -> None:
    average = WeightAverage({"w": torch.zeros(1), "n": torch.tensor(0)}, decay=0.5)
    average.update({"w": torch.ones(1), "n": torch.tensor(3)}, step=10_000)
    average.update({"w": torch.ones(1), "n": torch.tensor(4)}, step=10_001)
    assert float(average.state["w"]) == pytest.approx(0.75)
    assert int(average.state["n"]) == 4


def test_average_forgets_the_random_start() -> None:
    average = WeightAverage({"w": torch.full((1,), 100.0)}, decay=0.999)
    for step in range(300):
        average.update({"w": torch.ones(1)}, step)
    assert float(average.state["w"]) == pytest.approx(1.0, abs=1e-3)


def test_seeds_depend_on_every_part() -> None:
    seeds = {derived_seed(*parts) for parts in [(0, "a", 1), (0, "a", 2), (1, "a", 1), (0, "b", 1), (0, "a", 1, 0)]}
    assert len(seeds) == 5
    assert derived_seed(0, "a", 1) == derived_seed(0, "a", 1)
    assert torch.equal(torch.rand(3, generator=generator_for(4, 5)), torch.rand(3, generator=generator_for(4, 5)))


@pytest.fixture
def checkpoint() -> Checkpoint:
    weights = {"w": torch.randn(3, 2)}
    return Checkpoint(7, {"a.b": 1, "c": "x"}, weights, dict(weights), {"state": {0: {"m": torch.ones(2)}}}, {"names": ["r"]})


def test_checkpoint_round_trip(tmp_path: Path, checkpoint: Checkpoint) -> None:
    path = tmp_path / "new" / "checkpoint.pt"
    save_checkpoint(path, checkpoint)
    loaded = load_checkpoint(path)
    assert torch.equal(loaded.model["w"], checkpoint.model["w"])
    assert torch.equal(loaded.optimizer["state"][0]["m"], torch.ones(2))
    assert (loaded.step, loaded.config, loaded.task) == (7, checkpoint.config, checkpoint.task)
    assert [p.name for p in path.parent.iterdir()] == ["checkpoint.pt"]


def test_a_failed_write_keeps_the_old_checkpoint(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, checkpoint)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        save_checkpoint(path, replace(checkpoint, step=8))
    assert load_checkpoint(path).step == 7


class Bomb:
    """Unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_bad_checkpoints(tmp_path: Path, checkpoint: Checkpoint) -> None:
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(WeightsError, match="no checkpoint at"):
        load_checkpoint(path)
    save_checkpoint(path, checkpoint)
    whole = path.read_bytes()
    for content in (b"", b"text", whole[:100], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="cannot be read"):
            load_checkpoint(path)
    torch.save({"format": 99}, path)
    with pytest.raises(WeightsError, match="not a training checkpoint"):
        load_checkpoint(path)
    torch.save({"format": 1, "step": 3}, path)
    with pytest.raises(WeightsError, match="lacks parts"):
        load_checkpoint(path)


def test_checkpoints_that_would_run_code_are_refused(tmp_path: Path) -> None:
    for number, write in enumerate((torch.save, lambda value, path: path.write_bytes(pickle.dumps(value)))):
        path = tmp_path / f"{number}.pt"
        write({"format": 1, "step": Bomb(tmp_path / "exploded")}, path)
        with pytest.raises(WeightsError):
            load_checkpoint(path)
    assert not (tmp_path / "exploded").exists()
