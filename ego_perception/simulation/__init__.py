"""EgoSim: a deterministic furnished room seen by a walking, looking head camera, with exact depth, intrinsics and poses.

MuJoCo chooses its GL back-end when it is first imported, so the choice of `environment` is made here at the latest.
"""

from __future__ import annotations

import importlib
from typing import Any

from ego_perception.environment import set_defaults
from ego_perception.simulation.config import EgoSimConfig

set_defaults()

_LAZY = {"EgoSim": "sim", "SimSource": "source", "write_dataset": "dataset"}

__all__ = ["EgoSim", "EgoSimConfig", "SimSource", "write_dataset"]


def __getattr__(name: str) -> Any:
    """Import what needs MuJoCo only when it is asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
