"""One process per device, started by torchrun; a single process needs none of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Workplace:
    """Where this process stands among its peers.

    Attributes:
        rank: its number, 0 writes files and logs.
        world: number of processes.
        device: where its tensors live.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """True in the process that writes."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """Average gradients over processes during backward; a single process gets its model back."""
        if self.world == 1:
            return model
        return DistributedDataParallel(model, device_ids=[self.device.index] if self.device.type == "cuda" else None)

    def exchanging(self, model: nn.Module, *, is_last: bool) -> AbstractContextManager[None]:
        """Around forward and backward: only the last of several batches of one step averages gradients over processes."""
        return nullcontext() if is_last or not isinstance(model, DistributedDataParallel) else model.no_sync()

    def any_of(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, True when it is set in any process; all processes get the same answer."""
        if self.world == 1:
            return flags
        votes = torch.tensor(flags, dtype=torch.uint8, device=self.device)
        distributed.all_reduce(votes, distributed.ReduceOp.MAX)
        return tuple(bool(v) for v in votes.tolist())

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.world > 1:
            distributed.barrier()


@contextmanager
def join_workplace(device: str = "auto") -> Iterator[Workplace]:
    """Read torchrun's environment, join the group, and leave it at the end.

    Args:
        device: "auto" takes the GPU of this process where there is one; else "cpu" or "cuda".
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    use_cuda = torch.cuda.is_available() if device == "auto" else device == "cuda"
    place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if use_cuda else torch.device("cpu")
    if use_cuda:
        torch.cuda.set_device(place)
    if world > 1:
        distributed.init_process_group("nccl" if use_cuda else "gloo")
    try:
        yield Workplace(rank, world, place)
    finally:
        if world > 1:
            distributed.destroy_process_group()
