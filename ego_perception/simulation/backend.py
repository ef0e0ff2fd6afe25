"""The one place that imports MuJoCo: importing it loads the GL library that MUJOCO_GL names, which may not be there."""

from __future__ import annotations

import os

from ego_perception.errors import SimulationError

try:
    import mujoco
except (ImportError, AttributeError, OSError, RuntimeError) as error:  # it depends on which library is missing
    raise SimulationError(
        f"the GL back-end MUJOCO_GL={os.environ.get('MUJOCO_GL', '')} cannot be loaded ({error}); install libosmesa6 and set "
        "MUJOCO_GL=osmesa, or MUJOCO_GL=egl on a machine with a GPU driver"
    ) from error

__all__ = ["mujoco"]
