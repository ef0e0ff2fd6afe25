"""Data sets of clips: contents, splits, and resuming after every kind of interruption with nothing lost."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.toy_clips import TOY, ToyClips

from ego_perception.data.clips import ClipDataset, ClipEntry, ClipStore, clip_path, store
from ego_perception.errors import ConfigError, OutputError, SimulationError, SourceError
from ego_perception.simulation.dataset import SPLITS, DatasetConfig, Progress, write_dataset

FIRST = SPLITS["val"][0]
TESTS = Path(__file__).resolve().parents[2]


def write(out: Path, frames: int = 12, config: DatasetConfig = TOY, **options: Any) -> int:
    renderer = options.pop("renderer", ToyClips())
    return write_dataset(out, config, frames, renderer=renderer, **options)


def digest(folder: Path) -> dict[str, str]:
    """Checksums of the clips."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((folder / "clips").iterdir())}


def index_of(folder: Path) -> dict[int, dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
    assert len({line["seed"] for line in lines}) == len(lines), "one line per seed"
    return {line["seed"]: line for line in lines}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips, never interrupted."""
    out = tmp_path_factory.mktemp("whole")
    assert write(out) == 12
    return out


def assert_whole(folder: Path, whole: Path) -> None:
    """The folder holds exactly what an uninterrupted run gives."""
    assert digest(folder) == digest(whole)
    assert index_of(folder) == index_of(whole)
    assert [fault for _, fault in ClipDataset(folder).verify()] == [""] * 4
    assert not [p.name for p in folder.rglob("*.partial")]


class TestContents:
    def test_the_folder_says_what_it_is(self, whole: Path) -> None:
        about = json.loads((whole / "dataset.json").read_text())
        assert (about["format"], about["version"], about["config"]["frames_per_clip"]) == ("ego_clips", 1, 3)
        assert {"code_version", "command"} <= about.keys()
        for seed, line in index_of(whole).items():
            path = clip_path(whole, seed)
            assert (line["frames"], line["bytes"]) == (3, path.stat().st_size)
            assert line["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()

    def test_frames_and_clips_are_read_by_number(self, whole: Path) -> None:
        dataset = ClipDataset(whole)
        assert (len(dataset), dataset.num_clips) == (12, 4)
        assert [clip.seed for clip in dataset.clips()] == [FIRST, FIRST + 1, FIRST + 2, FIRST + 3]
        toy = ToyClips().render(FIRST + 2, TOY).frames[1]
        for frame in (dataset[7], dataset.clip(2)[1], list(dataset.clip(2))[1]):
            assert frame.index == 1 and frame.truth is not None and toy.truth is not None
            assert frame.truth.depth is not None and toy.truth.depth is not None
            np.testing.assert_allclose(frame.truth.depth, toy.truth.depth, atol=1.3e-4)
        assert dataset.clip(1).about["toy"] is True and dataset.clip(1).scene is None
        for bad in (-1, 12):
            with pytest.raises(IndexError):
                dataset[bad]
        with pytest.raises(IndexError):
            dataset.clip(4)

    def test_many_clips_keep_few_files_open(self, tmp_path: Path) -> None:
        write(tmp_path, 90, replace(TOY, frames_per_clip=1))
        dataset = ClipDataset(tmp_path)
        before = _num_open_files()
        assert sum(1 for _ in (dataset[i] for i in range(90))) == 90
        assert _num_open_files() - before <= 16
        dataset.close()
        assert _num_open_files() <= before
        assert dataset[3].index == 0

    def test_only_wanted_parts_are_decoded_and_unknown_ones_refused(self, whole: Path) -> None:
        truth = ClipDataset(whole, parts=["T_world_cam"])[0].truth
        assert truth is not None and truth.depth is None and truth.T_world_cam is not None
        with pytest.raises(ConfigError, match="no truth is called 'deepth'"):
            ClipDataset(whole, parts=["deepth"])

    def test_it_travels_to_other_processes(self, whole: Path) -> None:
        """By pickle, as spawned loader workers get it, and by fork, which shares file positions."""
        dataset = ClipDataset(whole)
        expected = [int(dataset[i].image.sum()) for i in range(12)]
        again = pickle.loads(pickle.dumps(dataset))
        assert [int(again[i].image.sum()) for i in range(12)] == expected
        torch = pytest.importorskip("torch", reason="reads with torch's DataLoader")
        loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2, collate_fn=_total)
        assert list(loader) == expected

    def test_a_growing_dataset_shows_what_is_new_on_reload(self, tmp_path: Path) -> None:
        write(tmp_path, 3)
        dataset = ClipDataset(tmp_path)
        assert write(tmp_path, 6) == 6
        assert len(dataset) == 3
        dataset.reload()
        assert len(dataset) == 6


def _num_open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _total(frame: Any) -> int:
    return int(frame.image.sum())


class TestSplits:
    def test_they_do_not_overlap_and_have_the_stated_sizes(self) -> None:
        assert [len(SPLITS[name]) for name in ("train", "val", "test")] == [10_000, 500, 500]
        seeds = [seed for split in SPLITS.values() for seed in split]
        assert len(seeds) == len(set(seeds))

    @pytest.mark.parametrize(("split", "offset", "first"), [("train", 0, 0), ("val", 0, 10_000), ("test", 7, 10_507)])
    def test_a_split_starts_at_its_first_seed(self, tmp_path: Path, split: str, offset: int, first: int) -> None:
        write(tmp_path, 5, replace(TOY, split=split, seed_offset=offset))
        assert sorted(index_of(tmp_path)) == [first, first + 1]

    @pytest.mark.parametrize(("frames", "jobs", "words"), [(1501, 1, "1 to 1500 frames"), (0, 1, "0 frames"), (3, 0, "0 jobs")])
    def test_more_than_there_is_says_the_most(self, tmp_path: Path, frames: int, jobs: int, words: str) -> None:
        with pytest.raises(ConfigError, match=words):
            write(tmp_path / "x", frames, jobs=jobs)
        assert not (tmp_path / "x").exists()

    @pytest.mark.parametrize(
        "changes",
        [{"split": "trian"}, {"width": -4}, {"frames_per_clip": 0}, {"fps": 0.0}, {"preset": "x"}, {"products": ("shoes",)},
         {"fov_y_deg": (80.0, 45.0)}, {"fov_y_deg": (60.0,)}, {"seed_offset": 500}, {"colour": "gif"}, {"views": "all"}],
    )  # fmt: skip
    def test_impossible_configurations_are_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ConfigError):
            replace(TOY, **changes)


class TestImpossibleRooms:
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_they_are_listed_and_the_next_seeds_take_their_place(self, tmp_path: Path, jobs: int) -> None:
        renderer = ToyClips(impossible=(FIRST, FIRST + 2, FIRST + 3))
        assert write(tmp_path, 9, renderer=renderer, jobs=jobs) == 9
        lines = index_of(tmp_path)
        assert sorted(seed for seed, line in lines.items() if "sha256" in line) == [FIRST + 1, FIRST + 4, FIRST + 5]
        assert lines[FIRST + 2]["skipped"] == f"seed {FIRST + 2} has no free floor"
        assert ClipDataset(tmp_path).num_clips == 3

    def test_a_split_that_runs_dry_says_what_there_is(self, tmp_path: Path) -> None:
        config = replace(TOY, seed_offset=496)
        for jobs in (1, 2):
            with pytest.raises(SimulationError, match="no more seeds: 1 rooms are impossible and 9 frames"):
                write(tmp_path, 12, config, renderer=ToyClips(impossible=(10_497,)), jobs=jobs)

    def test_twenty_in_a_row_mean_an_impossible_configuration(self, tmp_path: Path) -> None:
        with pytest.raises(SimulationError, match="20 rooms in a row are impossible; the last: seed 10019 has no free floor"):
            write(tmp_path, 90, renderer=ToyClips(impossible=tuple(SPLITS["val"])))

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_no_gl_back_end_ends_at_once_and_condemns_no_seed(self, tmp_path: Path, jobs: int) -> None:
        with pytest.raises(SimulationError, match="no GL"):
            write(tmp_path, renderer=ToyClips(broken="no GL"), jobs=jobs)
        assert index_of(tmp_path) == {}


class TestResuming:
    @pytest.mark.parametrize("jobs", [2, pytest.param(3, marks=pytest.mark.slow)])
    def test_processes_give_the_same_bytes(self, tmp_path: Path, whole: Path, jobs: int) -> None:
        steps: list[Progress] = []
        write(tmp_path, jobs=jobs, on_progress=steps.append)
        assert digest(tmp_path) == digest(whole)
        assert [s.done for s in steps] == [3, 6, 9, 12] and steps[-1].seconds_left == 0 and steps[0].total == 12

    def test_a_finished_dataset_renders_nothing(self, tmp_path: Path, whole: Path) -> None:
        shutil.copytree(whole, tmp_path / "d")
        assert write(tmp_path / "d", renderer=ToyClips(broken="nothing to do")) == 12
        assert write(tmp_path / "d", renderer=ToyClips(broken="nothing to do"), jobs=2) == 12
        assert write(tmp_path / "d", 4, renderer=ToyClips(broken="nothing to do")) == 12

    def test_it_grows(self, tmp_path: Path, whole: Path) -> None:
        assert [write(tmp_path, n) for n in (1, 7, 12)] == [3, 9, 12]
        assert_whole(tmp_path, whole)

    def test_another_configuration_is_refused_with_what_differs(self, tmp_path: Path) -> None:
        write(tmp_path, 3)
        with pytest.raises(ConfigError, match=r"frames_per_clip 3, not 4, width 16, not 32; use the same options") as caught:
            write(tmp_path, 3, replace(TOY, width=32, frames_per_clip=4))
        assert "\n" not in str(caught.value) and "height" not in str(caught.value)

    def test_a_folder_with_something_else_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("x")
        with pytest.raises(ConfigError, match=r"holds 'thesis.tex'; choose an empty folder"):
            write(tmp_path)

    @pytest.mark.parametrize("text", ["", "{", '{"format": "other", "version": 1, "config": {}}', '{"format": "ego_clips"}'])
    def test_a_damaged_description_is_refused(self, tmp_path: Path, text: str) -> None:
        write(tmp_path, 3)
        (tmp_path / "dataset.json").write_text(text)
        with pytest.raises(ConfigError, match="choose another folder"):
            write(tmp_path, 3)
        with pytest.raises(SourceError, match=r"dataset.json"):
            ClipDataset(tmp_path)

    def test_another_version_of_the_format_is_named(self, tmp_path: Path, whole: Path) -> None:
        about = json.loads((whole / "dataset.json").read_text())
        (tmp_path / "dataset.json").write_text(json.dumps({**about, "version": 2}))
        with pytest.raises(SourceError, match="has format version 2; this program reads version 1"):
            ClipDataset(tmp_path)

    def test_two_writers_at_once_are_refused(self, tmp_path: Path) -> None:
        with ClipStore(tmp_path, {}), pytest.raises(OutputError, match="another process is writing"):
            ClipStore(tmp_path, {})
        ClipStore(tmp_path, {}).close()

    @pytest.mark.parametrize("cut", [1, 5, 40, 140, 10_000])
    def test_a_torn_or_missing_index_is_made_again(self, tmp_path: Path, whole: Path, cut: int) -> None:
        folder = shutil.copytree(whole, tmp_path / "d")
        index = folder / "index.jsonl"
        data = index.read_bytes()
        index.write_bytes(data[: max(0, len(data) - cut)])
        if cut > len(data):
            index.unlink()
        assert write(folder, renderer=ToyClips(broken="nothing to do")) == 12
        assert_whole(folder, whole)

    def test_lost_cut_and_strange_clips_are_rendered_again(self, tmp_path: Path, whole: Path) -> None:
        folder = shutil.copytree(whole, tmp_path / "d")
        clip_path(folder, FIRST).unlink()
        cut = clip_path(folder, FIRST + 2)
        cut.write_bytes(cut.read_bytes()[:3000])
        (folder / "clips" / f"{FIRST + 1}.tar.77.partial").write_bytes(b"half")
        assert write(folder) == 12
        assert_whole(folder, whole)


class TestInterrupted:
    """One failure at each step of writing; then the same command again."""

    @pytest.mark.parametrize("step", ["open", "write", "fsync", "rename", "folder", "index", "index half"])
    @pytest.mark.parametrize("how", ["full disk", "ctrl-c"])
    @pytest.mark.parametrize("at", [0, 2])
    def test_at_every_step(
        self, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, step: str, how: str, at: int
    ) -> None:
        error = OSError(errno.ENOSPC, "No space left on device") if how == "full disk" else KeyboardInterrupt()
        name = "index.jsonl" if step.startswith("index") else clip_path(tmp_path, FIRST + at).name
        with monkeypatch.context() as patch:
            _fail_at(patch, step, name, error, lines=at)
            with pytest.raises(OutputError if how == "full disk" else KeyboardInterrupt) as caught:
                write(tmp_path)
        if how == "full disk":
            assert "No space left" in str(caught.value) and "run the same command again" in str(caught.value)
            assert "\n" not in str(caught.value)
        finished = at + (step in ("folder", "index", "index half"))
        assert len(list((tmp_path / "clips").glob("*.tar"))) == finished
        seeds = _Counting()
        assert write(tmp_path, renderer=seeds) == 12
        assert seeds.rendered == list(range(FIRST + finished, FIRST + 4)), "nothing finished is rendered again"
        assert_whole(tmp_path, whole)

    def test_a_full_disk_in_a_process_of_the_pool(self, tmp_path: Path, whole: Path) -> None:
        """The clips' folder is a file system of its own that takes no more."""
        with pytest.raises(OutputError, match="run the same command again"):
            write(tmp_path, jobs=2, renderer=_OutOfSpace())
        assert write(tmp_path, jobs=2) == 12
        assert_whole(tmp_path, whole)

    def test_a_process_that_vanishes_is_told(self, tmp_path: Path, whole: Path) -> None:
        with pytest.raises(OutputError, match="a rendering process was killed"):
            write(tmp_path, jobs=2, renderer=ToyClips(dies_at=FIRST + 2, delay_s=0.05))
        assert write(tmp_path, jobs=2) == 12
        assert_whole(tmp_path, whole)

    @pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
    def test_a_process_killed_at_a_random_moment(self, tmp_path: Path, whole: Path, jobs: int, how: signal.Signals) -> None:
        """Real processes, killed until the data set is done; no clip that was there is ever lost."""
        chance = random.Random(jobs * 100 + how)
        command = [sys.executable, str(TESTS / "fixtures" / "toy_clips.py"), str(tmp_path / "d"), "12", str(jobs), "0.05"]
        path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
        finished: set[str] = set()
        for attempt in range(12):
            process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL)
            _wait((tmp_path / "d" / "index.jsonl").exists, process)
            time.sleep(chance.uniform(0.0, 0.25))
            if attempt < 11:
                process.send_signal(how)
            code = process.wait(60)
            now = {p.name for p in (tmp_path / "d" / "clips").glob("*.tar")}
            assert finished <= now
            finished = now
            if code == 0:
                break
        _wait(lambda: _is_free(tmp_path / "d"))
        assert write(tmp_path / "d", renderer=ToyClips(broken="nothing to do")) == 12
        assert_whole(tmp_path / "d", whole)


class _Counting(ToyClips):
    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "rendered", [])

    def render(self, seed: int, config: DatasetConfig) -> Any:
        self.rendered.append(seed)  # type: ignore[attr-defined]
        return super().render(seed, config)


class _OutOfSpace(ToyClips):
    def render(self, seed: int, config: DatasetConfig) -> Any:
        import resource

        if seed == FIRST + 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        return super().render(seed, config)


def _fail_at(patch: pytest.MonkeyPatch, step: str, name: str, error: BaseException, lines: int) -> None:
    """Make one step fail, for the file `name` alone."""
    real_open, real_replace, real_sync, real_fsync = Path.open, Path.replace, store._sync_folder, os.fsync
    seen = {"lines": 0, "renamed": False}

    class Failing(io.FileIO):
        def write(self, data: Any) -> int:
            if step == "write" or (step.startswith("index") and seen["lines"] == lines):
                super().write(bytes(data)[: len(bytes(data)) // 2] if step in ("write", "index half") else b"")
                raise error
            seen["lines"] += 1
            return super().write(data)

    def opened(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        mine = path.name.startswith(name) and ("w" in mode or "a" in mode)
        if mine and step == "open":
            raise error
        if mine and (step == "write" or (step.startswith("index") and "a" in mode)):
            return Failing(path, mode.replace("b", ""))
        return real_open(path, mode, *args, **kwargs)

    def renamed(path: Path, target: Path) -> Path:
        if step == "rename" and target.name == name:
            raise error
        seen["renamed"] = target.name == name
        return real_replace(path, target)

    def fsynced(handle: int) -> None:
        if step == "fsync" and Path(f"/proc/self/fd/{handle}").readlink().name.startswith(name):
            raise error
        real_fsync(handle)

    def synced(folder: Path) -> None:
        if step == "folder" and seen["renamed"]:
            raise error
        real_sync(folder)

    patch.setattr(Path, "open", opened)
    patch.setattr(Path, "replace", renamed)
    patch.setattr(os, "fsync", fsynced)
    patch.setattr(store, "_sync_folder", synced)


def _wait(condition: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    end = time.monotonic() + 60
    while not condition() and (process is None or process.poll() is None):
        assert time.monotonic() < end
        time.sleep(0.005)


def _is_free(folder: Path) -> bool:
    try:
        ClipStore(folder, json.loads((folder / "dataset.json").read_text())["config"]).close()
    except OutputError:
        return False
    return True


class TestVerify:
    def test_a_changed_byte_a_cut_and_a_loss_are_found(self, tmp_path: Path, whole: Path) -> None:
        folder = shutil.copytree(whole, tmp_path / "d")
        changed, cut, lost = (clip_path(folder, FIRST + i) for i in range(3))
        data = bytearray(changed.read_bytes())
        data[len(data) // 2] ^= 1
        changed.write_bytes(bytes(data))
        cut.write_bytes(cut.read_bytes()[:-512])
        lost.unlink()
        faults = {entry.seed - FIRST: fault for entry, fault in ClipDataset(folder).verify()}
        assert "checksum" in faults[0] and "bytes, not" in faults[1] and "No such file" in faults[2] and faults[3] == ""

    def test_clips_without_a_line_are_named(self, tmp_path: Path, whole: Path) -> None:
        folder = shutil.copytree(whole, tmp_path / "d")
        lines = (folder / "index.jsonl").read_text().splitlines(keepends=True)
        (folder / "index.jsonl").write_text("".join(lines[:-1]) + lines[-1][:20])
        dataset = ClipDataset(folder)
        assert dataset.num_clips == 3 and dataset.strangers() == [f"{FIRST + 3}.tar"]

    def test_no_dataset_and_an_empty_one(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"is no dataset: it has no dataset.json"):
            ClipDataset(tmp_path)
        ClipStore(tmp_path, {}).close()
        with pytest.raises(SourceError, match="holds no finished clip"):
            ClipDataset(tmp_path)

    @pytest.mark.parametrize("line", ["x\n", "{}\n", '{"seed": "a"}\n', '{"seed": 1, "frames": 2}\n', "[1]\n", "\xff\n"])
    def test_nonsense_in_the_index_is_passed_over(self, tmp_path: Path, whole: Path, line: str) -> None:
        folder = shutil.copytree(whole, tmp_path / "d")
        with (folder / "index.jsonl").open("a", encoding="latin-1") as file:
            file.write(line)
        assert ClipDataset(folder).num_clips == 4
        assert store.read_index(folder)[1] == ["line 5 of index.jsonl is torn or damaged"]

    def test_a_later_line_wins(self, tmp_path: Path) -> None:
        with ClipStore(tmp_path, {}) as clips:
            clips.add(ClipEntry(5, skipped="no floor"))
            clips.add(ClipEntry(5, 2, 3, "0" * 64))
            assert clips.skipped == {} and clips.entries[5].frames == 2
