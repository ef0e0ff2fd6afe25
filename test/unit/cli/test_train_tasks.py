"""What `ego train` can train: every entry builds its task from its own parameters, on what it renders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fixtures.training_runs import hand_data

from ego_perception.cli.train import _parameters
from ego_perception.cli.train_tasks import TASKS
from ego_perception.engine import TrainerConfig
from ego_perception.engine.network_task import NetworkTask
from ego_perception.parameters import from_mapping, to_dict

ROOT = Path(__file__).parents[3]
KINDS = {"reconstruction": "reconstruction-depth", "hand-segmentation": "hand-segmentation", "hand-fill": "hand-removal-fill"}


@pytest.mark.parametrize("name", list(KINDS))
def test_a_task_is_built_with_its_parameters(name: str, tmp_path: Path) -> None:
    job = TASKS[name]
    parameters = from_mapping(job.config(), {"trainer.batch_size": 2, "trainer.seed": 3, "trainer.steps": 5})
    task = job.build(parameters, hand_data(tmp_path))
    assert isinstance(task, NetworkTask) and task.kind.name == KINDS[name]
    assert (task.seed, task.config.trainer.steps) == (3, 5)
    assert task.dataset.names and task.validation


@pytest.mark.parametrize("name", list(KINDS))
def test_what_is_rendered_is_what_is_learnt_from(name: str) -> None:
    job = TASKS[name]
    for split in ("train", "val"):
        clips = job.clips(split)
        assert clips.split == split and clips.frames_per_clip == job.frames_per_room
    if name == "reconstruction":
        assert (clips.views, clips.products, clips.photo) == ("random", (), "off")
    else:
        assert (clips.views, clips.products) == ("glimpses" if name == "hand-segmentation" else "hands", ("clean",))


def test_every_task_has_a_loop_and_what_ships_is_valid() -> None:
    for job in TASKS.values():
        parameters = job.config()()
        assert isinstance(parameters.trainer, TrainerConfig) and "trainer.steps" in to_dict(parameters)
    files = {path.stem: path for path in (ROOT / "config" / "train").glob("*.yaml")}
    assert set(KINDS) <= set(files)
    for name, path in files.items():
        job = next(job for task, job in TASKS.items() if name.startswith(task))
        assert _parameters(job, path, steps=7, seed=None).trainer.steps == 7
        assert yaml.safe_load(path.read_text())


def test_the_list_costs_neither_torch_nor_the_simulator() -> None:
    code = (
        "import sys, ego_perception.cli.train_tasks\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'mujoco', 'ego_perception.simulation.sim')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
