"""Training data: many short clips of many rooms, rendered by several processes, resumable after a kill at any point.

Splits are disjoint ranges of seeds, so that no room, texture or person of one split appears in another. The clips of a dataset
are the first ones of its range whose room is possible; a seed whose room is not is skipped and listed.
"""

from __future__ import annotations

import functools
import hashlib
import io
import logging
import multiprocessing
import operator
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import cv2

from ego_perception import __version__
from ego_perception.data import Frame
from ego_perception.data.clips import ClipEntry, ClipStore, clip_path, write_clip, write_whole
from ego_perception.data.scene_truth import SceneTruth
from ego_perception.errors import ConfigError, OutputError, SimulationError
from ego_perception.parameters import param, specs, to_dict
from ego_perception.simulation.config import PRESETS

_log = logging.getLogger(__name__)

SPLITS: Final[dict[str, range]] = {"train": range(10_000), "val": range(10_000, 10_500), "test": range(10_500, 11_000)}
PRODUCTS: Final = ("clean", "background", "flow", "bodies", "vertices", "extra_views")
_MOST_SKIPPED: Final = 20
"""So many impossible rooms in a row mean an impossible configuration."""
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class DatasetConfig:
    """What determines the clips of a dataset; how many there are is not part of it, so that a dataset can grow.

    Raises:
        ConfigError: on construction, for a value outside its range.
    """

    split: str = param("train", "Range of seeds: train 0-9999, val 10000-10499, test 10500-10999.", choices=tuple(SPLITS))
    views: str = param(
        "walk",
        "walk: consecutive frames of a clip. hands: those that show most of the wearer's hands, with clean "
        "frames that keep the rest of the body. glimpses: the same, but scattered over the walk. random: unrelated views.",
        choices=("walk", "hands", "glimpses", "random"),
    )
    width: int = param(320, "Image width.", unit="px", ge=16, le=4096)
    height: int = param(240, "Image height.", unit="px", ge=16, le=4096)
    frames_per_clip: int = param(20, "Frames in one clip.", ge=1, le=10_000)
    fps: float = param(15.0, "Frames per second of a walk.", unit="Hz", ge=0.1, le=240.0)
    preset: str = param("mix", "Looks of the rooms; mix draws hard for two in three, else default.", choices=("mix", *PRESETS))
    photo: str = param(
        "off", "Lens and sensor: off, or mix, which draws noise, drift, blur and lens per clip.", choices=("off", "mix")
    )
    fov_y_deg: tuple[float, ...] = param(
        (45.0, 80.0), "Least and largest vertical field of view.", unit="deg", ge=20.0, le=110.0
    )
    products: tuple[str, ...] = param(
        ("clean", "background", "flow", "bodies"), "Truth beyond depth and ids.", choices=PRODUCTS
    )
    colour: str = param(
        "jpeg", "How colour is stored: jpeg (quality 95, 4:4:4) or png (exact, three times the size).", choices=("jpeg", "png")
    )
    seed_offset: int = param(0, "Seeds of the split that are left out at its beginning.", ge=0, le=9_999)

    def __post_init__(self) -> None:
        for spec in specs(type(self)):
            spec.check(operator.attrgetter(spec.name)(self))
        if len(self.fov_y_deg) != 2 or self.fov_y_deg[0] > self.fov_y_deg[1]:
            raise ConfigError(f"fov_y_deg is {list(self.fov_y_deg)}; give the least and the largest field of view")
        if len(self.seeds) == 0:
            raise ConfigError(f"seed_offset is {self.seed_offset}, but '{self.split}' has {len(SPLITS[self.split])} seeds")

    @property
    def seeds(self) -> range:
        """The seeds to take clips from, in order."""
        return SPLITS[self.split][self.seed_offset :]


@dataclass(frozen=True, eq=False)
class RenderedClip:
    """Frames of one seed, with what belongs to all of them; `about` goes into the clip's description."""

    frames: list[Frame]
    scene: SceneTruth | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


class ClipRenderer(Protocol):
    """Makes clips; it is sent to other processes, so it must be picklable."""

    def check(self) -> None:
        """Find out whether anything can be rendered here.

        Raises:
            SimulationError: no GL back-end.
        """

    def render(self, seed: int, config: DatasetConfig) -> RenderedClip:
        """Render one clip.

        Raises:
            SimulationError: the seed's room is impossible.
        """


@dataclass(frozen=True)
class Progress:
    """How far a dataset is; clips of earlier runs count as done, but not for the speed."""

    done: int
    total: int
    frames_per_s: float
    seconds_left: float


def write_dataset(
    out: Path,
    config: DatasetConfig,
    num_frames: int,
    *,
    jobs: int = 1,
    renderer: ClipRenderer | None = None,
    command: str = "",
    on_progress: Callable[[Progress], None] | None = None,
) -> int:
    """Bring a dataset to at least `num_frames` frames, in whole clips; what is there already is kept.

    Args:
        jobs: processes; each has a GL context of its own.
        renderer: makes the clips; EgoSim by default.
        command: noted in `dataset.json`.
        on_progress: called after each clip, in frames.

    Returns:
        Frames in the dataset now.

    Raises:
        ConfigError: more frames than the split's seeds give, or a folder with another dataset.
        OutputError: full disk, no permission, another process at work there; what was finished stays.
        SimulationError: no GL back-end, or too many impossible rooms in a row.
    """
    largest = len(config.seeds) * config.frames_per_clip
    if not 0 < num_frames <= largest or jobs < 1:
        raise ConfigError(
            f"cannot make {num_frames} frames with {jobs} jobs: the {len(config.seeds)} seeds of '{config.split}' give 1 to "
            f"{largest} frames in clips of {config.frames_per_clip}, and jobs start at 1"
        )
    if renderer is None:
        from ego_perception.simulation.dataset_clips import SimClips

        renderer = SimClips()
    num_clips = -(-num_frames // config.frames_per_clip)
    notes = {"code_version": __version__, "command": command}
    with ClipStore(out, to_dict(config), notes) as store:
        _Run(store, config, num_clips, renderer, on_progress).go(jobs)
        return _num_frames(store)


def _num_frames(store: ClipStore) -> int:
    return sum(entry.frames for entry in store.entries.values())


class _Run:
    """One run of the program over a store: hands out seeds in order until enough of them have given a clip."""

    def __init__(
        self,
        store: ClipStore,
        config: DatasetConfig,
        num_clips: int,
        renderer: ClipRenderer,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._store, self._config, self._num_clips = store, config, num_clips
        self._make = functools.partial(_make_clip, out=store.folder, config=config, renderer=renderer)
        self._on_progress = on_progress
        self._start_s = time.monotonic()
        self._made = 0
        self._skipped_in_a_row = 0

    def go(self, jobs: int) -> None:
        """Render what is missing."""
        if jobs == 1:
            for seed in self._todo(set()):
                self._take(self._make(seed))
        elif next(self._todo(set()), None) is not None:
            with _pool(jobs) as pool:
                self._go_parallel(pool, jobs)
        if len(self._store.entries) < self._num_clips:
            raise SimulationError(
                f"'{self._config.split}' has no more seeds: {len(self._store.skipped)} rooms are impossible and "
                f"{_num_frames(self._store)} frames are all there is"
            )

    def _go_parallel(self, pool: Executor, jobs: int) -> None:
        running: dict[Future[ClipEntry], int] = {}
        try:
            while True:
                for seed in self._todo(set(running.values())):
                    if len(running) >= jobs:
                        break
                    running[pool.submit(self._make, seed)] = seed
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=running.__getitem__):
                    del running[future]
                    self._take(future.result())
        except BrokenProcessPool as error:
            raise OutputError(
                "a rendering process was killed, perhaps for want of memory; run the same command again, with fewer --jobs"
            ) from error

    def _todo(self, running: set[int]) -> Iterator[int]:
        """Seeds to render next: all before one that is handed out are finished, in work or impossible."""
        promised = 0
        for seed in self._config.seeds:
            if promised == self._num_clips:
                return
            if seed in self._store.skipped:
                continue
            promised += 1
            if seed not in self._store.entries and seed not in running:
                yield seed
                promised -= seed in self._store.skipped

    def _take(self, entry: ClipEntry) -> None:
        self._store.add(entry)
        if entry.skipped:
            self._skipped_in_a_row += 1
            _log.warning("seed %d is skipped: %s", entry.seed, entry.skipped)
            if self._skipped_in_a_row >= _MOST_SKIPPED:
                raise SimulationError(f"{_MOST_SKIPPED} rooms in a row are impossible; the last: {entry.skipped}")
            return
        self._skipped_in_a_row = 0
        self._made += entry.frames
        if self._on_progress is not None:
            self._on_progress(self._progress())

    def _progress(self) -> Progress:
        total = self._num_clips * self._config.frames_per_clip
        done = _num_frames(self._store)
        rate = self._made / max(time.monotonic() - self._start_s, 1e-9)
        return Progress(min(done, total), total, rate, max(0, total - done) / rate)


def _make_clip(seed: int, *, out: Path, config: DatasetConfig, renderer: ClipRenderer) -> ClipEntry:
    """Render one clip and put it in its place."""
    renderer.check()
    try:
        clip = renderer.render(seed, config)
    except SimulationError as error:
        return ClipEntry(seed, skipped=str(error))
    buffer = io.BytesIO()
    about = {"seed": seed, "fps": config.fps, "views": config.views, **clip.about}
    write_clip(buffer, clip.frames, about, clip.scene, ".jpg" if config.colour == "jpeg" else ".png")
    data = buffer.getvalue()
    write_whole(clip_path(out, seed), data)
    return ClipEntry(seed, len(clip.frames), len(data), hashlib.sha256(data).hexdigest())


@contextmanager
def _pool(jobs: int) -> Iterator[Executor]:
    """Processes with one thread each, which end with this one, however it ends."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _start_worker)
    try:
        yield pool
    finally:
        # What is in work is finished, also after Ctrl-C; its line in the index is made by the next run.
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _start_worker() -> None:
    """Prepare a process of the pool: Ctrl-C is the parent's business, and without a parent there is nobody to work for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, name="end with parent", daemon=True).start()
