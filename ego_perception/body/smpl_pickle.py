"""Reads SMPL's pickles without running anything in them.

Official files hold chumpy arrays (a package that no longer installs) and scipy sparse matrices. Every class or function that
a pickle names is replaced by a record of its arguments and state, and only names that SMPL files use are accepted at all; the
arrays are then rebuilt here from the recorded bytes. So neither numpy nor scipy code is called by a pickle.
"""

from __future__ import annotations

import pickle
from typing import Any, BinaryIO, Final

import numpy as np

_MULTIARRAY: Final = ("numpy.core.multiarray", "numpy._core.multiarray")
_ALLOWED: Final = (
    {(module, "_reconstruct") for module in _MULTIARRAY}
    | {(module, "_frombuffer") for module in ("numpy.core.numeric", "numpy._core.numeric")}
    | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
    | {(module, "_reconstructor") for module in ("copy_reg", "copyreg")}
    | {(module, "object") for module in ("__builtin__", "builtins")}
)
_SPARSE: Final = ("csc_matrix", "csr_matrix", "coo_matrix", "csc_array", "csr_array", "coo_array")
_DTYPES: Final = ("f4", "f8", "i4", "i8", "u4", "u8", "u1", "u2", "i1", "i2", "b1")


class PickleRefusedError(Exception):
    """A pickle that names something no SMPL file holds; the text says what."""


class Record:
    """Something a pickle wanted to build: what, from which arguments, with which state."""

    what = ""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _RecordUnpickler(pickle._Unpickler):  # type: ignore[misc, name-defined, unused-ignore]
    """The pure-Python reader: its memo is a dictionary, so a damaged index cannot make it allocate gigabytes."""

    def find_class(self, module: str, name: str) -> type[Record]:
        """Give a recorder for an accepted name.

        Raises:
            PickleRefusedError: for any other.
        """
        sparse = module.startswith("scipy.sparse") and name in _SPARSE
        chumpy = module == "chumpy" or module.startswith("chumpy.")
        if not (sparse or chumpy or (module, name) in _ALLOWED):
            raise PickleRefusedError(f"{module}.{name}"[:80])
        return type("Record", (Record,), {"what": "chumpy" if chumpy else name})


def read_pickle(file: BinaryIO) -> Any:
    """Read one pickle; arrays come as `Record`, to be turned into numbers by `as_array`.

    Raises:
        PickleRefusedError: it names something else than arrays.
        ValueError: truncated or damaged.
    """
    try:
        return _RecordUnpickler(file, encoding="latin1").load()
    except PickleRefusedError:
        raise
    except Exception as error:  # a damaged pickle fails in any way the stack machine can: type, index, key, attribute
        raise ValueError(f"pickle cannot be read: {error or type(error).__name__}") from error


def as_array(value: Any, depth: int = 0) -> np.ndarray:
    """Rebuild an array from what `read_pickle` or an `.npz` gave.

    Raises:
        ValueError: not an array, or one whose parts contradict each other.
    """
    if isinstance(value, np.ndarray):
        return value
    if depth > 8:
        raise ValueError("arrays are nested too deeply")
    if isinstance(value, Record):
        if value.what == "_reconstructor" and value.args and isinstance(value.args[0], type):
            return _from_state(value.args[0].what, value.state, depth)  # type: ignore[attr-defined, unused-ignore]
        if value.what == "_frombuffer":
            return _from_buffer(*value.args)
        if value.what == "_reconstruct":
            return _dense(value.state, depth)
        return _from_state(value.what, value.state, depth)
    if isinstance(value, (list, tuple)):
        return np.asarray(value, dtype=np.float64)
    raise ValueError(f"a {type(value).__name__} stands where an array should")


def _from_state(what: str, state: Any, depth: int) -> np.ndarray:
    if not isinstance(state, dict):
        raise ValueError(f"a {what} without content stands where an array should")
    if what == "chumpy":
        return _chumpy(state, depth)
    if what in _SPARSE:
        return _sparse(what[:3], state, depth)
    raise ValueError(f"a {what} stands where an array should")


def _dense(state: Any, depth: int) -> np.ndarray:
    """An array from numpy's own state: (version, shape, dtype, is Fortran order, bytes)."""
    if not isinstance(state, tuple) or len(state) != 5:
        raise ValueError("an array has no content")
    _, shape, dtype, fortran, data = state
    if isinstance(data, list) and len(data) == 1:  # an object array of one entry: a sparse matrix saved by numpy
        return as_array(data[0], depth + 1)
    return _from_buffer(data, dtype, shape, "F" if fortran else "C")


def _from_buffer(data: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError("an array has no shape")
    kind = np.dtype(_dtype_name(dtype))
    raw = _raw_bytes(data)
    if len(raw) != kind.itemsize * int(np.prod(shape, dtype=object)):
        raise ValueError(f"an array of shape {shape} has {len(raw)} bytes")
    return np.frombuffer(raw, dtype=kind).reshape(shape, order="F" if order == "F" else "C")


def _dtype_name(dtype: Any) -> str:
    if not isinstance(dtype, Record) or dtype.what != "dtype" or not dtype.args or dtype.args[0] not in _DTYPES:
        raise ValueError("an array holds something else than numbers")
    big_endian = isinstance(dtype.state, tuple) and len(dtype.state) > 1 and dtype.state[1] == ">"
    return (">" if big_endian else "<") + str(dtype.args[0])


def _raw_bytes(data: Any) -> bytes:
    if isinstance(data, Record) and data.what == "encode" and data.args:
        data = data.args[0]  # how Python 3 writes bytes into a pickle that Python 2 can read: text and "latin1"
    if isinstance(data, str):
        return data.encode("latin1")
    if isinstance(data, (bytes, bytearray)):
        return bytes(data)
    raise ValueError("an array has no bytes")


def _chumpy(state: dict[str, Any], depth: int) -> np.ndarray:
    """A plain chumpy array keeps its numbers as `x`; a selection keeps its source, indices and shape."""
    if "x" in state:
        return as_array(state["x"], depth + 1)
    if {"a", "idxs"} <= state.keys():
        chosen = as_array(state["a"], depth + 1).ravel()[as_array(state["idxs"], depth + 1).astype(np.int64).ravel()]
        return chosen.reshape(state["preferred_shape"]) if "preferred_shape" in state else chosen
    raise ValueError("a chumpy array without numbers")


def _sparse(layout: str, state: dict[str, Any], depth: int) -> np.ndarray:
    shape = state.get("_shape", state.get("shape"))
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[0] * shape[1] > 1 << 24:
        raise ValueError("a sparse matrix has no usable shape")
    data = as_array(state.get("data"), depth + 1)
    if layout == "coo":
        pair = state["coords"] if "coords" in state else (state.get("row"), state.get("col"))
        rows, columns = (as_array(part, depth + 1).astype(np.int64) for part in pair)
    else:
        minor = as_array(state.get("indices"), depth + 1).astype(np.int64)
        starts = as_array(state.get("indptr"), depth + 1).astype(np.int64)
        counts: np.ndarray = starts[1:] - starts[:-1]
        major = np.repeat(np.arange(len(counts)), counts)
        rows, columns = (minor, major) if layout == "csc" else (major, minor)
    if not len(rows) == len(columns) == len(data):
        raise ValueError("a sparse matrix is damaged")
    if len(data) and (min(rows.min(), columns.min()) < 0 or rows.max() >= shape[0] or columns.max() >= shape[1]):
        raise ValueError("a sparse matrix has entries outside its shape")
    dense = np.zeros(shape)
    np.add.at(dense, (rows, columns), data)
    return dense
