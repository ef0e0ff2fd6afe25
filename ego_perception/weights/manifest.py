"""The list of weights that ship with the package, `models/manifest.yaml`, and the check of files against it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import yaml

from ego_perception.errors import OutputError, WeightsError
from ego_perception.resources import models_dir

MANIFEST_NAME: Final = "manifest.yaml"
MAX_BYTES: Final = 4 * 1024 * 1024
_PIECE: Final = 1 << 20  # bytes


@dataclass(frozen=True)
class ManifestEntry:
    """One weight file that ships.

    Attributes:
        name: what users call it.
        version: layout version of the network.
        file: name inside the models folder.
        bytes, sha256: of the file.
        licence: SPDX identifier.
        input: what the network takes and gives, in one sentence.
        command, seed, data, commit: how it was made.
        metrics: figures it reached, by name.
    """

    name: str
    version: int
    file: str
    bytes: int
    sha256: str
    licence: str
    input: str
    command: str
    seed: int
    data: str
    commit: str
    metrics: dict[str, float] = field(default_factory=dict)


def read_manifest(folder: Path | None = None) -> list[ManifestEntry]:
    """Read and check the manifest.

    Raises:
        WeightsError: missing, unreadable, or with entries that lack fields or point outside the folder.
    """
    path = (folder or models_dir()) / MANIFEST_NAME
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise WeightsError(f"{path} cannot be read ({str(error).splitlines()[0]}); restore it from the repository") from error
    rows = content.get("weights") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise WeightsError(f"{path} has no list 'weights'; restore it from the repository")
    return [_entry(row, path) for row in rows]


def write_manifest(entries: list[ManifestEntry], folder: Path) -> None:
    """Write the manifest, entries in order of name.

    Raises:
        OutputError: the file cannot be written.
    """
    rows = [asdict(entry) for entry in sorted(entries, key=lambda e: e.name)]
    text = "# Weights that ship with the package; checked by `ego weights verify`. Fields: ego_perception/weights/manifest.py\n"
    text += yaml.safe_dump({"weights": rows}, sort_keys=False, width=120, allow_unicode=True)
    try:
        (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder / MANIFEST_NAME} cannot be written: {error.strerror or error}") from error


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes, read piece by piece: official files may be larger than memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def verify_weights(entry: ManifestEntry, folder: Path) -> Path:
    """Check one file against its entry and return its path.

    Raises:
        WeightsError: missing, truncated, over the size limit, or with another checksum.
    """
    path = folder / entry.file
    if not path.is_file():
        raise WeightsError(f"weights {path} are missing; restore them from the repository")
    size = path.stat().st_size
    if size != entry.bytes:
        word = "truncated" if size < entry.bytes else "too long"
        raise WeightsError(f"{path} is {word}: {size} bytes instead of {entry.bytes}; restore it from the repository")
    digest = sha256_of(path)
    if digest != entry.sha256:
        raise WeightsError(f"{path} has SHA-256 {digest[:12]}… instead of {entry.sha256[:12]}…; restore it from the repository")
    return path


def shipped_weights(name: str, folder: Path | None = None) -> Path:
    """Find a shipped weight file by name, verified.

    Raises:
        WeightsError: unknown name, or as `verify_weights`.
    """
    place = folder or models_dir()
    entries = read_manifest(place)
    for entry in entries:
        if entry.name == name:
            return verify_weights(entry, place)
    raise WeightsError(f"no weights named '{name}'; there are: {', '.join(e.name for e in entries) or 'none'}")


def _entry(row: Any, path: Path) -> ManifestEntry:
    names = {f.name for f in fields(ManifestEntry)}
    if not isinstance(row, dict) or set(row) - names or (names - {"metrics"}) - set(row):
        given = sorted(row) if isinstance(row, dict) else row
        raise WeightsError(f"{path}: an entry has the fields {given}, not {sorted(names)}")
    entry = ManifestEntry(**row)
    if Path(entry.file).name != entry.file or not re.fullmatch(r"[0-9a-f]{64}", str(entry.sha256)):
        raise WeightsError(f"{path}: entry '{entry.name}' has file '{entry.file}' and sha256 '{entry.sha256}'; restore it")
    return entry
