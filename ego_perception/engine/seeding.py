"""Random numbers that depend on the seed, the step and the process only, so that a resumed run repeats an uninterrupted one."""

from __future__ import annotations

import hashlib

import torch


def derived_seed(*parts: int | str) -> int:
    """Mix numbers and names into one 63-bit seed."""
    digest = hashlib.sha256("/".join(str(p) for p in parts).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator_for(*parts: int | str) -> torch.Generator:
    """Make a CPU generator seeded by `parts`, such as (seed, "augment", step, rank)."""
    return torch.Generator().manual_seed(derived_seed(*parts))
