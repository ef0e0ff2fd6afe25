"""Body-model files: finds, reads and checks `.npz` and `.pkl` in SMPL's format, and writes both.

Nothing in a file is executed: arrays of Python objects go through the same restricted reader as pickles.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.lib import format as npy

from ego_perception.body.landmarks import NUM_FACES, NUM_VERTICES
from ego_perception.body.model import NUM_BETAS, Array, BodyError, BodyModel
from ego_perception.body.skeleton import NUM_JOINTS, PARENTS
from ego_perception.body.smpl_pickle import PickleRefusedError, as_array, read_pickle
from ego_perception.errors import OutputError

GENDERS: Final = ("neutral", "male", "female")
_PATTERNS: Final = ("SMPL_{upper}.npz", "SMPL_{upper}.pkl", "basic[mM]odel_{short}_lbs_10_207_0_v1.*.pkl")
_SHORT: Final = {"neutral": "neutral", "male": "m", "female": "f"}
_REQUIRED: Final[tuple[str, ...]] = ("v_template", "f", "shapedirs", "J_regressor", "weights", "kintree_table")
_USED: Final[tuple[str, ...]] = (*_REQUIRED, "posedirs")
_MAX_BYTES: Final = 1 << 30
_OTHER_BODIES: Final = {52: "SMPL-H", 55: "SMPL-X", 16: "MANO"}


def find_body_file(path: Path, gender: str) -> Path:
    """Resolve a folder of official files to one file; a file stays itself.

    Raises:
        BodyError: nothing there, or an unknown gender.
    """
    if gender not in GENDERS:
        raise BodyError(f"gender is '{gender}'; choose one of {', '.join(GENDERS)}")
    if path.is_file():
        return path
    if not path.is_dir():
        raise BodyError(f"body model {path} is missing; check the path, or leave it out for the shipped body")
    for pattern in _PATTERNS:
        found = sorted(path.glob(pattern.format(upper=gender.upper(), short=_SHORT[gender])))
        if found:
            return found[-1]
    raise BodyError(f"{path} has no SMPL_{gender.upper()}.npz or .pkl; put the official file there or name it directly")


def read_body_file(path: Path) -> BodyModel:
    """Read and check one file.

    Raises:
        BodyError: as `load_body`.
    """
    if path.suffix not in (".npz", ".pkl"):
        raise BodyError(f"body model {path} ends in '{path.suffix}'; only .npz and .pkl in SMPL's format are read")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BodyError(f"body model {path} cannot be read: {error.strerror or error}") from error
    entries = _entries(path, content)
    missing = [key for key in _REQUIRED if key not in entries]
    if missing:
        raise BodyError(f"{path} is not an SMPL body: it has no {', '.join(missing)}; give an SMPL .npz or .pkl file")
    try:
        arrays = {key: as_array(entries[key]) for key in _USED if key in entries}
        return _model(path, hashlib.sha256(content).hexdigest(), arrays)
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        raise BodyError(f"{path} is not a usable SMPL body: {_first_line(error)}") from error


def _entries(path: Path, content: bytes) -> dict[str, Any]:
    try:
        return _npz_entries(content) if path.suffix == ".npz" else _pickle_entries(content)
    except PickleRefusedError as error:
        raise BodyError(f"{path} asks for {error}, which no SMPL file needs; it was refused, do not trust it") from error
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError,
            SyntaxError, MemoryError, OverflowError) as error:  # fmt: skip
        raise BodyError(f"{path} is damaged or not a {path.suffix} file ({_first_line(error)}); copy it again") from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _pickle_entries(content: bytes) -> dict[str, Any]:
    entries = read_pickle(io.BytesIO(content))
    if not isinstance(entries, dict):
        raise ValueError(f"it holds one {type(entries).__name__}, not a dictionary")
    return entries


def _npz_entries(content: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(info.file_size for info in archive.infolist()) > _MAX_BYTES:
            raise ValueError("it unpacks to more than 1 GiB")
        names = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
        wanted = {key: name for key, name in names.items() if key in _USED}
        entries: dict[str, Any] = dict.fromkeys(names)
        for key, name in wanted.items():
            entries[key] = _npy_entry(io.BytesIO(archive.read(name)))
    return entries


def _npy_entry(file: BinaryIO) -> Any:
    """One array; an array of objects (a pickled sparse matrix) is handed to the restricted reader."""
    version = npy.read_magic(file)
    header = npy.read_array_header_1_0(file) if version == (1, 0) else npy.read_array_header_2_0(file)
    if header[2].hasobject:
        return read_pickle(file)
    file.seek(0)
    return npy.read_array(file, allow_pickle=False)


def _model(path: Path, digest: str, arrays: dict[str, np.ndarray]) -> BodyModel:
    _check_kind(arrays)
    for key, value in arrays.items():
        if value.dtype.kind not in "fiub" or not np.isfinite(value).all():
            raise ValueError(f"'{key}' holds values that are not finite numbers")
    if arrays["shapedirs"].ndim != 3 or arrays["shapedirs"].shape[2] < NUM_BETAS:
        raise ValueError(f"'shapedirs' is {arrays['shapedirs'].shape}, not ({NUM_VERTICES}, 3, {NUM_BETAS} or more)")
    arrays["shapedirs"] = arrays["shapedirs"][:, :, :NUM_BETAS]
    shapes = {
        "v_template": (NUM_VERTICES, 3), "f": (NUM_FACES, 3), "shapedirs": (NUM_VERTICES, 3, NUM_BETAS),
        "J_regressor": (NUM_JOINTS, NUM_VERTICES), "weights": (NUM_VERTICES, NUM_JOINTS), "kintree_table": (2, NUM_JOINTS),
        "posedirs": (NUM_VERTICES, 3, 9 * (NUM_JOINTS - 1)),
    }  # fmt: skip
    for key, value in arrays.items():
        if value.shape != shapes[key]:
            raise ValueError(f"'{key}' is {value.shape}, not {shapes[key]}")
    model = _assemble(path, digest, arrays)
    _check_values(model)
    return model


def _check_kind(arrays: dict[str, np.ndarray]) -> None:
    joints = arrays["weights"].shape[-1] if arrays["weights"].ndim == 2 else 0
    if joints in _OTHER_BODIES:
        raise ValueError(f"it is a {_OTHER_BODIES[joints]} model with {joints} joints; give an SMPL file, with {NUM_JOINTS}")


def _assemble(path: Path, digest: str, arrays: dict[str, np.ndarray]) -> BodyModel:
    posedirs = arrays.get("posedirs")
    parents = arrays["kintree_table"][0].astype(np.int64)
    parents[0] = -1  # official files store it as an unsigned 2^32 - 1
    return BodyModel(
        v_template=_frozen(arrays["v_template"]),
        faces=_frozen_faces(arrays["f"]),
        shapedirs=_frozen(arrays["shapedirs"]),
        posedirs=None if posedirs is None or not posedirs.any() else _frozen(posedirs),
        joint_regressor=_frozen(arrays["J_regressor"]),
        weights=_frozen(arrays["weights"]),
        parents=parents,
        name=path.stem,
        sha256=digest,
    )


def _frozen(value: np.ndarray) -> Array:
    array: Array = np.ascontiguousarray(value, dtype=np.float64)
    array.setflags(write=False)
    return array


def _frozen_faces(value: np.ndarray) -> np.ndarray:
    faces = np.ascontiguousarray(value, dtype=np.int64)
    faces.setflags(write=False)
    return faces


def _check_values(model: BodyModel) -> None:
    if tuple(int(parent) for parent in model.parents) != PARENTS:
        raise ValueError(f"its joints hang together as {model.parents.tolist()}, which is not SMPL's tree")
    if model.faces.min() < 0 or model.faces.max() >= NUM_VERTICES:
        raise ValueError("its faces name vertices that do not exist")
    if model.weights.min() < -1e-3 or np.abs(model.weights.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError("its skinning weights do not sum to 1")
    if np.abs(model.joint_regressor.sum(axis=1) - 1).max() > 1e-2:
        raise ValueError("its joint regressor does not reproduce the joints: rows do not sum to 1")
    size = np.ptp(model.v_template, axis=0).max()
    if not 0.5 < size < 5.0:
        raise ValueError(f"it is {size:.3g} across; a body in metres is 0.5 to 5")


def write_body(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays under SMPL's own names; the same arrays always give the same bytes.

    Args:
        path: `.npz`, or `.pkl` as other software reads it (38 MB, with zero pose correctives when there are none).

    Raises:
        OutputError: the file cannot be written.
        BodyError: neither `.npz` nor `.pkl`.
    """
    if path.suffix not in (".npz", ".pkl"):
        raise BodyError(f"output {path} ends in '{path.suffix}'; use .npz or .pkl")
    buffer = io.BytesIO()
    if path.suffix == ".npz":
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    else:
        pickle.dump(_pickle_layout(arrays), buffer, protocol=2)
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(buffer.getvalue())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"body model {path} cannot be written: {error.strerror or error}") from error


def _pickle_layout(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What `smplx.SMPL` expects: float64, unsigned tables, pose correctives present."""
    out = {key: value.astype(np.float64) for key, value in arrays.items() if key not in ("f", "kintree_table")}
    out.setdefault("posedirs", np.zeros((NUM_VERTICES, 3, 9 * (NUM_JOINTS - 1))))
    table = arrays["kintree_table"].astype(np.int64) % (1 << 32)
    return out | {"f": arrays["f"].astype(np.uint32), "kintree_table": table.astype(np.uint32)}
