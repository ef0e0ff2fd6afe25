"""How a recording says that a part of it cannot be read."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path


@dataclass
class BagDamage(UserWarning):
    """A recording that was read as far as it goes.

    Attributes:
        path: the file.
        where: the byte, row or topic at which reading stopped or skipped.
        reason: what was wrong there.
    """

    path: Path
    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path} is damaged at {self.where}: {self.reason}; what came before was read"


class DamageLog:
    """Collects damages and warns of each."""

    def __init__(self) -> None:
        self.entries: list[BagDamage] = []

    def report(self, path: Path, where: str, reason: str) -> None:
        """Keep one damage and issue it as a warning; the same one is reported once."""
        damage = BagDamage(path, where, reason)
        if str(damage) not in {str(known) for known in self.entries}:
            self.entries.append(damage)
            warnings.warn(damage, stacklevel=3)
