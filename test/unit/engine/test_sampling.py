"""The order of samples: complete, reproducible, resumable, and open to a data set that grows."""

from __future__ import annotations

import pytest
import torch

from ego_perception.engine.sampling import EpochSampler
from ego_perception.errors import SourceError


class Growing:
    """Ten items, and five more after each epoch."""

    def __init__(self, size: int = 10, growth: int = 0) -> None:
        self.size, self.growth, self.scans = size, growth, 0

    def __len__(self) -> int:
        return self.size

    def rescan(self) -> None:
        self.scans += 1
        if self.scans > 1:
            self.size += self.growth


def test_everything_once_per_epoch_in_another_order_each() -> None:
    sampler = EpochSampler(Growing(), 0)
    epochs = [torch.cat([sampler.next(5), sampler.next(5)]).tolist() for _ in range(2)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 2
    assert epochs[0] != epochs[1]


def test_the_seed_decides() -> None:
    a, b, c = (EpochSampler(Growing(), seed).next(10).tolist() for seed in (3, 3, 4))
    assert a == b != c


def test_new_items_join_at_the_start_of_an_epoch() -> None:
    sampler = EpochSampler(Growing(growth=5), 0)
    sampler.next(10)
    assert sorted(sampler.next(15).tolist()) == list(range(15))


def test_a_resumed_run_draws_the_same() -> None:
    sampler = EpochSampler(Growing(), 0)
    for _ in range(4):
        sampler.next(4)
    resumed = EpochSampler(Growing(), 0)
    resumed.restore(sampler.epoch, sampler.position)
    for _ in range(5):
        assert torch.equal(sampler.next(4), resumed.next(4))


def test_fewer_items_than_a_batch_are_refused() -> None:
    with pytest.raises(SourceError, match="holds 10 items, fewer than a batch of 11"):
        EpochSampler(Growing(), 0).next(11)
