"""Defaults of environment variables for the `ego` command and the nodes, and of the C library's memory for the nodes.

What the user has set stays as it is. Variables have to be set before NumPy, MuJoCo and rclpy are imported, because those read
them once.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ego_perception.resources import share_dir

_MAX_THREADS: Final = 4
_KEPT_FREE: Final = 256 << 20
_MAPPED_ALONE: Final = 32 << 20
"""The most that every glibc takes."""
_MALLOC_OPTIONS: Final = (
    ("MALLOC_ARENA_MAX", -8, 1),
    ("MALLOC_MMAP_THRESHOLD_", -3, _MAPPED_ALONE),
    ("MALLOC_TRIM_THRESHOLD_", -1, _KEPT_FREE),
)
"""Variable that says the same, parameter of mallopt(3), value."""


def defaults(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that this package wants where the user has set none.

    Middleware variables are left alone where a ROS distribution is sourced: there they are the user's choice for the robot.
    Discovery (`ROS_AUTOMATIC_DISCOVERY_RANGE`, `ROS_DOMAIN_ID`) is never touched: ROS's own default, the subnet, lets a robot
    see these nodes.
    """
    values = {
        # Small matrices dominate; a pool of threads for each costs more than it gives.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": str(min(_MAX_THREADS, len(os.sched_getaffinity(0)))),
        "MUJOCO_GL": "egl" if _has_render_node() else "osmesa",
    }
    if "ROS_DISTRO" not in environ:
        values["RMW_IMPLEMENTATION"] = "rmw_fastrtps_cpp"
        values["AMENT_PREFIX_PATH"] = sys.prefix
        # The default shared-memory segment is smaller than one image, which loses best-effort images.
        values["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(share_dir() / "config" / "fastdds.xml")
    return {name: value for name, value in values.items() if name not in environ}


def set_defaults() -> None:
    """Set what `defaults` gives in this process and, by inheritance, in its children."""
    os.environ.update(defaults(os.environ))


def keep_freed_memory() -> bool:
    """Let glibc keep the memory of freed images for the next ones, for all threads alike; True where that was done.

    By default it returns large blocks to the system at once, and every image then pays anew for fresh pages: 2800 page faults
    and a sixth of the processor time per image of hand removal. To be called before threads start.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    chosen = [mallopt(option, value) for name, option, value in _MALLOC_OPTIONS if name not in os.environ]
    return all(chosen)


def _has_render_node() -> bool:
    return any(os.access(node, os.R_OK | os.W_OK) for node in Path("/dev/dri").glob("render*"))
