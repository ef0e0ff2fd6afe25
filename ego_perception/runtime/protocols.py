"""What the runtime knows of the parts it connects; it never imports a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar, runtime_checkable

from ego_perception.data import Frame

EstimateT_co = TypeVar("EstimateT_co", covariant=True)


@runtime_checkable
class Source(Protocol):
    """A finite or endless sequence of frames in the order of their stamps.

    `name` is for messages; `is_live` says that frames come in real time and may be dropped.
    Iterating raises `SourceError` or `BagError` where the input cannot be read; a single bad frame raises nothing but is
    yielded as a `FrameError` instance in place of a frame, so that one broken image does not end a recording.
    """

    name: str
    is_live: bool

    def __iter__(self) -> Iterator[Frame | Exception]: ...

    def close(self) -> None: ...


@runtime_checkable
class Estimator(Protocol[EstimateT_co]):
    """The streaming form of a task: one frame in, at most one estimate out, causal."""

    def reset(self) -> None:
        """Forget everything learnt from the stream; weights stay loaded."""
        ...

    def push(self, frame: Frame) -> EstimateT_co | None:
        """Take the next frame; return its estimate, or None where this frame gives none."""
        ...

    def flush(self) -> Iterable[EstimateT_co]:
        """Return what is still held back at the end of the stream."""
        ...


class Stage(Protocol):
    """One step of a pipeline. `name` labels its latency. Returning None ends the item's way, silently."""

    name: str

    def process(self, item: Any) -> Any | None: ...

    def reset(self) -> None: ...

    def flush(self) -> Iterable[Any]: ...


@runtime_checkable
class Sink(Protocol):
    """An end of a pipeline. `write` is called from the worker thread; `close` always, once, also after an error."""

    name: str

    def write(self, item: Any) -> None: ...

    def close(self) -> None: ...
