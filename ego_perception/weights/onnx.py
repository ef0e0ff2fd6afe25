"""Networks of weight files in ONNX Runtime, for the CPU: exported once per input shape, kept in the user's cache folder.

torch is imported only when a network must be exported. A spoilt cache entry is replaced.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import WeightsError
from ego_perception.weights.manifest import sha256_of

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

_EXPORT_FORMAT: Final = "2"  # part of the cache key: raise when `export_onnx` changes
_OPSET: Final = 17

Array = NDArray[np.float32]


class OnnxNetwork:
    """One network, with one session per shape of its inputs or one for all.

    Args:
        kind: names the cache entries.
        path: weight file; its checksum is part of the cache key.
        build: makes the torch module from the file, in evaluation mode.
        inputs, outputs: names, in the order of the module's arguments and results.
        threads: CPU threads of one run.
        any_size: images come in many sizes: one export serves height and width whatever they are.
    """

    def __init__(
        self,
        kind: str,
        path: Path,
        build: Callable[[], torch.nn.Module],
        inputs: Sequence[str],
        outputs: Sequence[str],
        threads: int = 1,
        *,
        any_size: bool = False,
    ) -> None:
        self.kind, self.path, self.threads = kind, path, threads
        self._build, self._inputs, self._outputs = build, tuple(inputs), tuple(outputs)
        self._any_size = any_size
        self._sessions: dict[tuple[tuple[int, ...], ...], Any] = {}
        self._opening = Lock()

    def run(self, *arrays: Array) -> list[Array]:
        """Run on contiguous float32 arrays, from any thread; the results are in the order of `outputs`."""
        shapes = tuple(array.shape for array in arrays)
        key = () if self._any_size else shapes
        if key not in self._sessions:
            with self._opening:
                if key not in self._sessions:
                    self._sessions[key] = self._open(shapes)
        session = self._sessions[key]
        results: list[Array] = session.run(self._outputs, dict(zip(self._inputs, arrays, strict=True)))
        return results

    def _open(self, shapes: tuple[tuple[int, ...], ...]) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        # Idle threads of a pool must sleep, not spin: the node shares its cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")

        def session(file: Path) -> Any:
            return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

        file = self.cached(*shapes)
        try:
            return session(file)
        except Exception as error:  # onnxruntime's own exceptions share no base but Exception
            _log.warning("%s is spoilt (%s); exporting again", file, str(error).splitlines()[0])
            file.unlink(missing_ok=True)
            return session(self.cached(*shapes))

    def cached(self, *shapes: tuple[int, ...]) -> Path:
        """The ONNX file for these shapes, exported on first use."""
        sizes = "any" if self._any_size else "x".join(map(str, shapes[0][2:]))
        text = "_".join("x".join(map(str, shape[:2] if self._any_size else shape)) for shape in shapes)
        key = hashlib.sha256(f"{_EXPORT_FORMAT} {sha256_of(self.path)} {text}".encode()).hexdigest()[:24]
        file = cache_folder() / f"{self.kind}-{sizes}-{key}.onnx"
        if not file.is_file():
            _log.info("exporting %s for inputs of %s to %s", self.path.name, text, file)
            export_onnx(self._build(), file, shapes, self._inputs, self._outputs, any_size=self._any_size)
        return file


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/ego_perception`, or `~/.cache/ego_perception`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "ego_perception"


def export_onnx(
    model: torch.nn.Module,
    file: Path,
    shapes: Sequence[tuple[int, ...]],
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    any_size: bool = False,
) -> None:
    """Write an ONNX file atomically; with `any_size` the last two axes of inputs and outputs are left open.

    Raises:
        WeightsError: the file cannot be written.
    """
    import torch

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=".part", dir=file.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            torch.onnx.export(
                model,
                tuple(torch.zeros(shape) for shape in shapes),
                str(temporary),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes={name: {2: "height", 3: "width"} for name in (*inputs, *outputs)} if any_size else None,
                opset_version=_OPSET,
                dynamo=False,
            )
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(
            f"{file} cannot be written ({error.strerror or error}); set XDG_CACHE_HOME to a writable folder"
        ) from error
