"""HDF5 files, opened and checked so that a wrong one gives one line, and written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import OutputError, SourceError

BYTES = h5py.vlen_dtype(np.dtype(np.uint8))
TEXT = h5py.string_dtype()


@contextmanager
def reading(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading.

    Raises:
        SourceError: missing, not HDF5, or damaged where it is read.
    """
    if not path.is_file():
        raise SourceError(f"{path} does not exist")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise SourceError(f"{path} is no HDF5 file, or is cut short; pack it again") from error
    try:
        with file:
            yield file
    except (OSError, RuntimeError) as error:
        raise SourceError(f"{path} is damaged ({str(error).splitlines()[0]}); pack it again") from error


@contextmanager
def writing(path: Path) -> Iterator[h5py.File]:
    """Make a file under another name and rename it once it is whole; nothing of it is left after an error.

    Raises:
        OutputError: it cannot be written.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with h5py.File(partial, "w") as file:
                yield file
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def column(
    file: h5py.File, names: str | Sequence[str], kind: str, *, rows: int | None = None, width: int | None = None
) -> h5py.Dataset:
    """Find a table's column.

    Args:
        names: of the column, or several spellings of it.
        kind: what it holds: "number" (integers or flags), "bytes" (of varying length) or "text".
        rows: number of rows it must have.
        width: of each row; None where a row is a single value.

    Raises:
        SourceError: missing, or of another kind or shape.
    """
    spellings = (names,) if isinstance(names, str) else tuple(names)
    found = next((file[name] for name in spellings if isinstance(_hard(file, name), h5py.Dataset)), None)
    if found is None:
        held = ", ".join(sorted(file)) or "nothing"
        raise SourceError(f"{file.filename} has no column '{spellings[0]}' (it holds {held}); give a file of the right layout")
    if not _is_kind(found, kind):
        raise SourceError(f"{file.filename}: '{spellings[0]}' holds {found.dtype}, not {kind}; give a file of the right layout")
    shape = (found.shape[0] if rows is None and found.ndim else rows,) + (() if width is None else (width,))
    if found.shape != shape:
        raise SourceError(f"{file.filename}: '{spellings[0]}' has shape {found.shape}, not {shape}; pack it again")
    return found


def add_column(file: h5py.File, name: str, rows: Iterable[bytes | str], count: int, dtype: Any) -> None:
    """Write a column of `count` byte strings or texts, one at a time."""
    dataset = file.create_dataset(name, (count,), dtype=dtype)
    for index, row in enumerate(rows):
        dataset[index] = np.frombuffer(row, np.uint8) if isinstance(row, bytes) else row


def as_flags(dataset: h5py.Dataset) -> NDArray[np.bool_]:
    """A column of flags as true Booleans: they are stored as 0 and 1, and `~` of an integer is no negation."""
    return np.asarray(dataset[()] != 0)


def _hard(file: h5py.File, name: str) -> Any:
    """An entry of this file itself: links to other files, and data kept in them, are not followed."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return None
    entry = file[name]
    return None if isinstance(entry, h5py.Dataset) and (entry.external or entry.is_virtual) else entry


def _is_kind(dataset: h5py.Dataset, kind: str) -> bool:
    if kind == "text":
        return h5py.check_string_dtype(dataset.dtype) is not None
    if kind == "bytes":
        base = h5py.check_vlen_dtype(dataset.dtype)
        return base is not None and np.dtype(base) == np.uint8
    return dataset.dtype.kind in "biu"
