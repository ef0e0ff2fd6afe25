"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
# Test runs, and the processes of one, must not hear each other; 101 is the highest domain with free ports on Linux.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings; tests that need it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real recordings: {SHARED_DATA} is missing")
    return SHARED_DATA


@pytest.fixture(scope="session")
def kitchen(shared_data: Path) -> Path:
    """150 real frames with depth and poses."""
    return shared_data / "kitchen_rgbd"
