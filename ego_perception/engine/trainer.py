"""The loop: batch, losses, step, average, log, checkpoint. Ctrl-C saves and ends; resume goes on to the bit."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from ego_perception.engine.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ego_perception.engine.config import Precision, TrainerConfig
from ego_perception.engine.distributed import Workplace
from ego_perception.engine.schedule import WeightAverage, learning_rate, make_optimizer
from ego_perception.errors import ConfigError, EgoPerceptionError
from ego_perception.weights.info import WeightsInfo
from ego_perception.weights.store import load_into, load_weights

_log = logging.getLogger(__name__)

CHECKPOINT_NAME: Final = "checkpoint.pt"


class TrainTask(Protocol):
    """What a task gives the loop. Samples depend on (seed, step, rank) alone."""

    def build_model(self) -> nn.Module:
        """Make the model with its starting weights, from the task's seed."""
        ...

    def losses(self, model: nn.Module, step: int, workplace: Workplace) -> dict[str, Tensor]:
        """Draw this process's share of a batch and return named losses; "total" is minimised.

        `step` is the number of the batch: with accumulation there are several to a step of the optimiser.
        """
        ...

    def evaluate(self, model: nn.Module, step: int, out: Path) -> Mapping[str, float]:
        """Score the averaged weights (main process only, at every checkpoint) and write them where others can load them."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """State that is not a function of the step, such as the list of files seen."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        ...


@runtime_checkable
class StartAdapter(Protocol):
    """A task that can also begin with weights of another layout than its model's."""

    def starting_tensors(self, tensors: Mapping[str, Tensor], info: WeightsInfo, path: Path) -> Mapping[str, Tensor]:
        """Turn the content of a weight file into the model's layout.

        Raises:
            WeightsError: weights that this model cannot begin with.
        """
        ...


class Trainer:
    """Trains one task in one folder.

    Args:
        task: the model, its samples and losses.
        config: parameters of the loop.
        parameters: the whole run's resolved parameters under dotted names, kept in checkpoints and compared on resume.
        out: folder for `checkpoint.pt`, TensorBoard events and whatever the task writes.
        workplace: device and peers.
    """

    def __init__(
        self, task: TrainTask, config: TrainerConfig, parameters: Mapping[str, Any], out: Path, workplace: Workplace
    ) -> None:
        self.task, self.config, self.out, self.workplace = task, config, out, workplace
        self.parameters = dict(parameters)
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        self.model = _placed(task.build_model(), workplace.device)
        self.optimizer = make_optimizer(self.model, config)
        self.average = self._new_average()
        self.step = 0
        self._interrupted = False

    def start_from(self, path: Path) -> None:
        """Begin with the weights of a file in place of the task's own.

        Raises:
            WeightsError: missing, damaged, or of another layout.
        """
        tensors, info = load_weights(path)
        begin = self.task.starting_tensors(tensors, info, path) if isinstance(self.task, StartAdapter) else tensors
        load_into(self.model, begin, path)
        self.average = self._new_average()
        _log.info("begins with %s", path)

    def _new_average(self) -> WeightAverage:
        return WeightAverage(self.model.state_dict(), self.config.ema_decay, self.config.ema_warmup)

    def resume(self, *, override: bool = False) -> None:
        """Go on from the folder's checkpoint.

        Args:
            override: take this run's parameters where they differ from the checkpoint's.

        Raises:
            WeightsError: no readable checkpoint.
            ConfigError: the parameters differ and `override` is not set. Those that the program which wrote the checkpoint
                did not have yet are no difference.
        """
        checkpoint = load_checkpoint(self.out / CHECKPOINT_NAME)
        conflicts = [
            f"{name} was {checkpoint.config[name]!r}, is {value!r}"
            for name, value in self.parameters.items()
            if checkpoint.config.get(name, value) != value
        ]
        if conflicts and not override:
            raise ConfigError(f"{'; '.join(conflicts)}: use the old values, or add --override to go on with the new ones")
        for conflict in conflicts:
            _log.warning("resumed with a change: %s", conflict)
        self.model.load_state_dict(checkpoint.model)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        for name, value in checkpoint.average.items():
            self.average.state[name].copy_(value)
        self.task.load_state_dict(checkpoint.task)
        self.step = checkpoint.step
        _log.info("resumed at step %d of %d", self.step, self.config.steps)

    def run(self) -> bool:
        """Train to the last step; True when it was reached, False after Ctrl-C (a checkpoint is written either way).

        Raises:
            EgoPerceptionError: the loss is not finite; the last checkpoint is kept.
        """
        logger = SummaryWriter(str(self.out)) if self.workplace.is_main else None
        model = self.workplace.wrap(self.model)
        saved_at = logged_at = time.monotonic()
        logged_step, is_stopped = self.step, False
        with self._save_on_interrupt():
            while self.step < self.config.steps and not is_stopped:
                losses = self._train_step(model)
                now = time.monotonic()
                if self.step % self.config.log_interval == 0 or self.step == self.config.steps:
                    count = (self.step - logged_step) * self.config.batch_size * self.config.accumulation
                    rate = count / max(now - logged_at, 1e-9)
                    self._report(losses, rate, logger)
                    logged_at, logged_step = now, self.step
                is_due = now - saved_at >= self.config.checkpoint_interval_s and self.step < self.config.steps
                is_stopped, is_due = self.workplace.any_of(self._interrupted, is_due)
                if is_due and not is_stopped:
                    self._save(logger)
                    saved_at = logged_at = time.monotonic()
                    logged_step = self.step
        self._save(logger)
        if logger:
            logger.close()
        return self.step >= self.config.steps

    def _train_step(self, model: nn.Module) -> dict[str, Tensor]:
        rate = learning_rate(self.step, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        model.train()
        self.optimizer.zero_grad(set_to_none=True)
        batches = [self._add_gradient(model, part) for part in range(self.config.accumulation)]
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.average.update(self.model.state_dict(), self.step)
        self.step += 1
        return {name: torch.stack([losses[name] for losses in batches]).mean() for name in batches[0]}

    def _add_gradient(self, model: nn.Module, part: int) -> dict[str, Tensor]:
        """Add one batch's share to the gradient of this step; returns its losses."""
        count = self.config.accumulation
        with self.workplace.exchanging(model, is_last=part == count - 1):
            with torch.autocast(self.workplace.device.type, torch.bfloat16, enabled=self._uses_bfloat16()):
                losses = self.task.losses(model, self.step * count + part, self.workplace)
            value = float(losses["total"].detach())
            if not math.isfinite(value):
                raise EgoPerceptionError(f"the loss at step {self.step} is {value}; resume with a lower learning rate")
            (losses["total"] / count).backward()
        return {name: loss.detach() for name, loss in losses.items()}

    def _uses_bfloat16(self) -> bool:
        precision = Precision(self.config.precision)
        return precision is Precision.BFLOAT16 or (precision is Precision.AUTO and self.workplace.device.type == "cuda")

    def _report(self, losses: Mapping[str, Tensor], samples_per_s: float, logger: SummaryWriter | None) -> None:
        if logger is None:
            return
        values = {name: float(value) for name, value in losses.items()}
        for name, value in values.items():
            logger.add_scalar(f"train/{name}", value, self.step)
        logger.add_scalar("train/samples_per_s", samples_per_s, self.step)
        words = " ".join(f"{name} {value:.3f}" for name, value in values.items())
        _log.info("step %d/%d  %s  %.1f samples/s", self.step, self.config.steps, words, samples_per_s)

    def _save(self, logger: SummaryWriter | None) -> None:
        """Write the checkpoint, then score the averaged weights."""
        if logger is not None:
            state = Checkpoint(
                self.step,
                self.parameters,
                self.model.state_dict(),
                self.average.state,
                self.optimizer.state_dict(),
                self.task.state_dict(),
            )
            save_checkpoint(self.out / CHECKPOINT_NAME, state)
            scores = self.task.evaluate(self.averaged_model(), self.step, self.out)
            for name, value in scores.items():
                logger.add_scalar(f"validation/{name}", value, self.step)
            _log.info("step %d  validation  %s", self.step, " ".join(f"{k} {v:.4f}" for k, v in scores.items()))
        self.workplace.barrier()

    def averaged_model(self) -> nn.Module:
        """A copy of the model with the averaged weights, in evaluation mode."""
        model = _placed(self.task.build_model(), self.workplace.device)
        model.load_state_dict(self.average.state)
        return model.eval()

    @contextmanager
    def _save_on_interrupt(self) -> Iterator[None]:
        """Let Ctrl-C end the loop after the current step; a second one ends at once."""

        def note(signum: int, frame: FrameType | None) -> None:
            del signum, frame
            self._interrupted = True
            signal.signal(signal.SIGINT, previous)

        previous = signal.getsignal(signal.SIGINT)
        try:
            signal.signal(signal.SIGINT, note)
        except ValueError:  # not the main thread: whoever runs us there owns the signals
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)


def _placed(model: nn.Module, device: torch.device) -> nn.Module:
    """Move a model to its device, channels last: the fast layout of convolutions on CPU and GPU alike."""
    layout: Any = {"memory_format": torch.channels_last}
    placed: nn.Module = model.to(device=device, **layout)
    return placed
