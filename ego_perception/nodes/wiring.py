"""How nodes are put together: what the reconstruction is told where hand removal runs beside it."""

from __future__ import annotations

from typing import Any, Final

BESIDE_HAND_REMOVAL: Final[dict[str, Any]] = {
    "input.ignore_mask": True,
    "input.ignore_mask_wait_s": 0.05,
    "input.ignore_mask_age_s": 0.3,
}
"""Parameters of the reconstruction: it leaves the hands out, by the mask of an earlier image where the newest is late."""
MASK_REMAPS: Final = {"ignore_mask": "hand_removal/hand_mask/image"}
"""Topics of the reconstruction by name, as other names."""
