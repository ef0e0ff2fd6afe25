"""The loop: it learns, resumes to the bit, refuses changed parameters, stops on Ctrl-C, and works as several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ego_perception.engine import Trainer, TrainerConfig, load_checkpoint, save_checkpoint
from ego_perception.engine.distributed import Workplace, join_workplace
from ego_perception.engine.seeding import generator_for
from ego_perception.errors import ConfigError, EgoPerceptionError, WeightsError
from ego_perception.parameters import to_dict
from ego_perception.weights import WeightsInfo
from ego_perception.weights.store import save_weights

CONFIG = TrainerConfig(steps=12, batch_size=8, learning_rate=0.02, warmup_steps=2, log_interval=4, checkpoint_interval_s=1e6)
CPU = Workplace(0, 1, torch.device("cpu"))


class LineTask:
    """Fit y = 3 x - 1 with a small network that has a normalisation layer."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.stop_at: int | None = None
        self.spoil_at: int | None = None
        self.evaluated: list[int] = []

    def build_model(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            return nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))

    def losses(self, model: nn.Module, step: int, workplace: Workplace) -> dict[str, Tensor]:
        self.seen.append(step)
        if step == self.stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        x = torch.rand(8, 1, generator=generator_for(0, step))[workplace.rank :: workplace.world]
        error = (model(x) - (3 * x - 1)).square().mean()
        return {"total": error / 0 if step == self.spoil_at else error}

    def evaluate(self, model: nn.Module, step: int, out: Path) -> Mapping[str, float]:
        assert not model.training
        self.evaluated.append(step)
        return {"at_half": float(model(torch.tensor([[0.5]])).detach())}

    def state_dict(self) -> dict[str, Any]:
        return {"seen": len(self.seen)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen = [-1] * state["seen"]


def trainer(out: Path, config: TrainerConfig = CONFIG, task: LineTask | None = None) -> Trainer:
    return Trainer(task or LineTask(), config, to_dict(config), out, CPU)


def test_it_learns(tmp_path: Path) -> None:
    run = trainer(tmp_path, replace(CONFIG, steps=300, ema_decay=0.9))
    assert run.run()
    assert float(run.averaged_model()(torch.tensor([[0.5]])).detach()) == pytest.approx(0.5, abs=0.1)


def test_resumed_run_is_bit_equal_to_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    assert whole.run()
    task = LineTask()
    task.stop_at = 4
    first = trainer(tmp_path / "parts", task=task)
    assert not first.run()
    assert first.step == 5
    second = trainer(tmp_path / "parts")
    second.resume()
    assert second.run()
    assert second.task.seen[-7:] == list(range(5, 12))  # type: ignore[attr-defined]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name
    for name, value in whole.average.state.items():
        assert torch.equal(value, second.average.state[name]), name


def test_resume_shows_conflicts_and_obeys_override(tmp_path: Path) -> None:
    trainer(tmp_path).run()
    changed = replace(CONFIG, steps=14, learning_rate=0.01)
    with pytest.raises(ConfigError, match=r"steps was 12, is 14; learning_rate was 0.02, is 0.01.*--override"):
        trainer(tmp_path, changed).resume()
    run = trainer(tmp_path, changed)
    run.resume(override=True)
    assert run.run()
    assert load_checkpoint(tmp_path / "checkpoint.pt").step == 14


def test_resume_without_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no checkpoint"):
        trainer(tmp_path).resume()


def test_interrupt_saves_and_restores_the_handler(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    task = LineTask()
    task.stop_at = 3
    run = trainer(tmp_path, task=task)
    assert not run.run()
    assert load_checkpoint(tmp_path / "checkpoint.pt").step == 4
    assert task.evaluated == [4]
    assert signal.getsignal(signal.SIGINT) is before


def test_loss_that_is_not_finite_ends_the_run_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    task = LineTask()
    task.spoil_at = 3
    with pytest.raises(EgoPerceptionError, match="loss at step 3 is inf"):
        trainer(tmp_path, replace(CONFIG, checkpoint_interval_s=0.0), task).run()
    assert load_checkpoint(tmp_path / "checkpoint.pt").step == 3


def test_checkpoint_interval(tmp_path: Path) -> None:
    task = LineTask()
    trainer(tmp_path, replace(CONFIG, steps=3, checkpoint_interval_s=0.0), task).run()
    assert task.evaluated == [1, 2, 3]


def test_tensorboard_holds_losses_and_scores(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer(tmp_path).run()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert {"train/total", "train/samples_per_s", "validation/at_half"} <= set(events.Tags()["scalars"])
    assert [e.step for e in events.Scalars("train/total")] == [4, 8, 12]


def test_accumulated_batches_give_the_mean_gradient(tmp_path: Path) -> None:
    """One step over two batches is one step along the mean of their gradients, and each batch is drawn once."""
    config = replace(CONFIG, steps=1, accumulation=2, clip_norm=0.0)
    run = trainer(tmp_path, config)
    before = [p.detach().clone() for p in run.model.parameters()]
    assert run.run()
    assert run.task.seen == [0, 1]  # type: ignore[attr-defined]
    task = LineTask()
    model = task.build_model().train()
    total = torch.stack([task.losses(model, batch, CPU)["total"] for batch in (0, 1)]).mean()
    for p, start, gradient in zip(
        run.model.parameters(), before, torch.autograd.grad(total, list(model.parameters())), strict=True
    ):
        assert torch.allclose(p.grad, gradient, atol=1e-6)  # type: ignore[arg-type]
        assert not torch.equal(p, start) or not gradient.any()


def test_no_limit_leaves_the_gradient_alone(tmp_path: Path) -> None:
    norms = []
    for limit in (0.0, 1e-3):
        run = trainer(tmp_path / str(limit), replace(CONFIG, steps=1, clip_norm=limit))
        run.run()
        norms.append(float(torch.stack([p.grad.norm() for p in run.model.parameters() if p.grad is not None]).norm()))
    assert norms[0] > 0.01 and norms[1] == pytest.approx(1e-3, rel=0.01)


def test_parameters_that_an_old_checkpoint_does_not_know_are_no_conflict(tmp_path: Path) -> None:
    trainer(tmp_path).run()
    checkpoint = load_checkpoint(tmp_path / "checkpoint.pt")
    del checkpoint.config["accumulation"]
    save_checkpoint(tmp_path / "checkpoint.pt", checkpoint)
    run = trainer(tmp_path)
    run.resume()
    assert run.step == 12


def test_a_task_may_begin_with_weights_of_another_layout(tmp_path: Path) -> None:
    class Widening(LineTask):
        def starting_tensors(self, tensors: Mapping[str, Tensor], info: WeightsInfo, path: Path) -> Mapping[str, Tensor]:
            assert info.kind == "narrow" and path.name == "narrow.safetensors"
            return {**self.build_model().state_dict(), **tensors}

    save_weights(tmp_path / "narrow.safetensors", {"0.bias": torch.full((8,), 7.0)}, WeightsInfo("narrow", 1))
    run = trainer(tmp_path, task=Widening())
    run.start_from(tmp_path / "narrow.safetensors")
    assert (run.model.state_dict()["0.bias"] == 7).all() and (run.average.state["0.bias"] == 7).all()
    with pytest.raises(WeightsError, match="does not fit the network"):
        trainer(tmp_path).start_from(tmp_path / "narrow.safetensors")


def test_single_process_workplace() -> None:
    with join_workplace("cpu") as place:
        assert (place.rank, place.world, place.is_main) == (0, 1, True)
        assert place.any_of(True, False) == (True, False)
        model = nn.Linear(1, 1)
        assert place.wrap(model) is model


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_processes_agree_with_one(tmp_path: Path) -> None:
    """Without normalisation the mean of two half-batch gradients is the gradient of the whole batch."""
    script = tmp_path / "two.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, torch
            from pathlib import Path
            sys.path.insert(0, sys.argv[2])
            from test_trainer import CONFIG, LineTask, Trainer, join_workplace, nn, to_dict
            class Plain(LineTask):
                def build_model(self):
                    torch.manual_seed(5)
                    return nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))
            with join_workplace("cpu") as place:
                Trainer(Plain(), CONFIG, to_dict(CONFIG), Path(sys.argv[1]), place).run()
            """
        )
    )
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    tail = [str(script), str(tmp_path / "one"), str(Path(__file__).parent)]
    subprocess.run([sys.executable, *tail], check=True, env=environment, timeout=500)
    tail[1] = str(tmp_path / "two")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([sys.executable, *launcher, *tail], check=True, env=environment, timeout=600)
    one, two = (load_checkpoint(tmp_path / name / "checkpoint.pt").model for name in ("one", "two"))
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=1e-5), name
