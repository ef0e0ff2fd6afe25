"""What training a network of a weight file shares between tasks: order of samples, starting weights, files, state to resume."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from ego_perception.engine.config import TrainerConfig
from ego_perception.engine.distributed import Workplace
from ego_perception.engine.sampling import EpochSampler, GrowingDataset
from ego_perception.engine.seeding import derived_seed
from ego_perception.parameters import to_dict
from ego_perception.weights.info import WeightsInfo
from ego_perception.weights.runtime import NetworkKind
from ego_perception.weights.store import save_weights

WEIGHTS_NAME: Final = "model.safetensors"


class TrainParameters(Protocol):
    """Parameters of a training run: those of the loop, beside the task's own."""

    @property
    def trainer(self) -> TrainerConfig: ...


class NamedDataset(GrowingDataset, Protocol):
    """Items of named clips or files, in the order in which these were found."""

    @property
    def names(self) -> list[Any]: ...


ConfigT = TypeVar("ConfigT", bound=TrainParameters)
DatasetT = TypeVar("DatasetT", bound=NamedDataset)
ModelT = TypeVar("ModelT", bound=nn.Module)


class NetworkTask(ABC, Generic[ConfigT, DatasetT, ModelT]):
    """A `TrainTask` whose weights end in `model.safetensors`; a task adds its samples, losses and scores.

    Args:
        kind: what is trained.
        network: its sizes, a dataclass.
        config: of the run.
    """

    items: ClassVar[str] = "images"  # what a sample is called in the weight file's record of training
    clips: ClassVar[str] = "clips"  # what the data set's parts are called there

    def __init__(self, kind: NetworkKind[Any, ModelT], network: Any, config: ConfigT) -> None:
        self.kind, self.network, self.config = kind, network, config
        self.seed = config.trainer.seed
        self._take(self.open_dataset(None))

    def _take(self, dataset: DatasetT) -> None:
        self.dataset, self.sampler = dataset, EpochSampler(dataset, self.seed)

    @abstractmethod
    def open_dataset(self, names: list[Any] | None) -> DatasetT:
        """Open what is learnt from: the named parts in this order, or all there are."""

    @abstractmethod
    def losses(self, model: nn.Module, step: int, workplace: Workplace) -> dict[str, Tensor]:
        """See `TrainTask`."""

    @abstractmethod
    def finish(self, model: ModelT) -> Mapping[str, float]:
        """Do what remains after training, such as calibration, and score on held-out samples."""

    def build_model(self) -> ModelT:
        """Make the network with starting weights of the seed; the global random state is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self.seed, "weights"))
            return self.kind.build(self.network)

    def draw(self, workplace: Workplace) -> Tensor:
        """Numbers of this process's share of the next batch."""
        return self.sampler.next(self.config.trainer.batch_size)[workplace.rank :: workplace.world]

    def evaluate(self, model: Any, step: int, out: Path) -> Mapping[str, float]:
        """Score, and write `model.safetensors`."""
        scores, loop = self.finish(model), self.config.trainer
        info = WeightsInfo(
            kind=self.kind.name,
            version=self.kind.version,
            config=dataclasses.asdict(self.network),
            training={
                "parameters": to_dict(self.config),
                "steps": step,
                self.items: step * loop.batch_size * loop.accumulation,
                self.clips: len(self.dataset.names),
            },
            metrics={name: round(value, 4) for name, value in scores.items()},
        )
        save_weights(out / WEIGHTS_NAME, model.state_dict(), info, half=True)
        return scores

    def state_dict(self) -> dict[str, Any]:
        """The parts of the data set in the order they were found, and the position in the epoch."""
        return {"names": list(self.dataset.names), "epoch": self.sampler.epoch, "position": self.sampler.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the same parts in the same order, and go to the position."""
        self._take(self.open_dataset(list(state["names"])))
        self.sampler.restore(state["epoch"], state["position"])


def spread_batches(count: int, limit: int, size: int) -> tuple[Tensor, ...]:
    """Up to `limit` of `count` numbers, spread evenly, in batches of `size`: which held-out samples are scored."""
    return torch.linspace(0, count - 1, min(limit, count)).round().long().split(size)
