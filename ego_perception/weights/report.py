"""What an import did with every tensor of a checkpoint."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from ego_perception.errors import OutputError, WeightsError

_MAX_LISTED: Final = 5


@dataclass
class ImportReport:
    """Key by key.

    Attributes:
        kind: of weights.
        source, sha256: the checkpoint.
        is_published: whether its checksum is that of the published file; None where that is not known.
        output: the weight file written; empty while there is none.
        taken: name in the checkpoint to name of ours.
        skipped: name in the checkpoint to the reason.
        missing: names that the checkpoint should have, with what their lack means.
        unexpected: names that no checkpoint of this kind has.
        wrong: names with another shape, type or content than they should have, with the difference.
    """

    kind: str
    source: str
    sha256: str
    is_published: bool | None = None
    output: str = ""
    taken: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse a checkpoint that does not fit.

        Raises:
            WeightsError: the first five faults by name, and how many there are.
        """
        faults = [f"'{name}' is missing ({why})" for name, why in self.missing.items()]
        faults += [f"'{name}' {why}" for name, why in self.wrong.items()]
        faults += [f"'{name}' is unexpected" for name in self.unexpected]
        if faults:
            more = f" and {len(faults) - _MAX_LISTED} more" if len(faults) > _MAX_LISTED else ""
            raise WeightsError(f"{self.source} is no {self.kind} checkpoint: {'; '.join(faults[:_MAX_LISTED])}{more}")

    def lines(self) -> list[str]:
        """The report in a few lines: counts, and skipped tensors by reason."""
        published = {True: "the published file", False: "NOT the published file", None: "published checksum not known"}
        lines = [f"{self.source}: {self.kind}, SHA-256 {self.sha256[:12]}… ({published[self.is_published]})"]
        lines.append(f"taken {len(self.taken)} tensors")
        lines += [f"skipped {count}: {reason}" for reason, count in Counter(self.skipped.values()).items()]
        lines.append(f"missing {len(self.missing)}, unexpected {len(self.unexpected)}, wrong {len(self.wrong)}")
        return lines

    def save(self, path: Path) -> None:
        """Write every key to a JSON file.

        Raises:
            OutputError: the file cannot be written.
        """
        try:
            path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
