"""The order in which a data set is seen."""

from __future__ import annotations

import logging
from typing import Protocol

import torch
from torch import Tensor

from ego_perception.engine.seeding import generator_for
from ego_perception.errors import SourceError

_log = logging.getLogger(__name__)


class GrowingDataset(Protocol):
    """Items by number; `rescan` appends what was written since, and changes no number."""

    def __len__(self) -> int: ...

    def rescan(self) -> None: ...


class EpochSampler:
    """Every item once per epoch, in an order that depends on seed, epoch and number of items only.

    The position is explicit, so that a resumed run draws the same items; new ones join at the start of an epoch.
    """

    def __init__(self, dataset: GrowingDataset, seed: int) -> None:
        self.dataset, self.seed = dataset, seed
        self.epoch, self.position = -1, 0
        self._order = torch.empty(0, dtype=torch.long)

    def next(self, count: int) -> Tensor:
        """The next `count` indices; a remainder too small for a batch is left out."""
        if self.position + count > len(self._order):
            self.dataset.rescan()
            self.epoch, self.position = self.epoch + 1, 0
            self._shuffle()
            _log.info("epoch %d: %d items", self.epoch, len(self.dataset))
        if count > len(self._order):
            raise SourceError(f"the data set holds {len(self._order)} items, fewer than a batch of {count}")
        self.position += count
        return self._order[self.position - count : self.position]

    def _shuffle(self) -> None:
        self._order = torch.randperm(len(self.dataset), generator=generator_for(self.seed, "order", self.epoch))

    def restore(self, epoch: int, position: int) -> None:
        """Go back to a position within an epoch of the dataset as it is now."""
        self.epoch, self.position = epoch, position
        if epoch >= 0:
            self._shuffle()
