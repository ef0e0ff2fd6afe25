"""`ego train`: parameters from file and command line, the plan, and the errors a user can make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from fixtures.clip_folder import write_clips
from fixtures.training_runs import hand_data
from typer.testing import CliRunner

from ego_perception.cli.train import app
from ego_perception.data import Frame, FrameTruth
from ego_perception.errors import ConfigError, SourceError, WeightsError
from ego_perception.geometry import PinholeCamera
from ego_perception.weights.store import load_weights

ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> str:
    """Run the verb and return what it printed; expected errors are raised."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path: Path) -> None:
    plan = yaml.safe_load(run("reconstruction", "--out", str(tmp_path / "run"), "--rooms", "7", "--dry-run"))
    assert plan["task"] == "reconstruction"
    assert plan["data"] == f"7 rooms rendered into {tmp_path / 'run' / 'data'}"
    assert plan["trainer.seed"] == 0
    assert list(tmp_path.iterdir()) == []


def test_command_line_wins_over_the_file_which_wins_over_defaults(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("trainer: {steps: 5, batch_size: 3}\ncoarse_share: 0.25\n")
    plan = yaml.safe_load(
        run("reconstruction", "--config", str(tmp_path / "c.yaml"), "--steps", "9", "--seed", "4", "--dry-run")
    )
    assert (plan["trainer.steps"], plan["trainer.batch_size"], plan["trainer.seed"], plan["coarse_share"]) == (9, 3, 4, 0.25)


def test_shipped_configuration_is_valid() -> None:
    plan = yaml.safe_load(run("reconstruction", "--config", str(ROOT / "config/train/reconstruction.yaml"), "--dry-run"))
    assert plan["trainer.steps"] > 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainer: {stps: 5}", "unknown parameter 'trainer.stps'; did you mean 'trainer.steps'"),
        ("trainer: {steps: 0}", "trainer.steps is 0; allowed is 1 to inf"),
        ("- a", "holds list, not parameters"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_bad_configuration(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        run("reconstruction", "--config", str(tmp_path / "c.yaml"), "--dry-run")


def test_unknown_task_and_missing_data(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="task is 'dancing'; choose one of reconstruction"):
        run("dancing")
    with pytest.raises(SourceError, match="is no dataset"):
        run("reconstruction", "--data", str(tmp_path), "--out", str(tmp_path / "run"))


def test_resume_needs_a_checkpoint(tmp_path: Path) -> None:
    for split in ("train", "val"):
        truth = FrameTruth(depth=np.ones((48, 64), np.float32))
        frame = Frame(1, np.zeros((48, 64, 3), np.uint8), camera=PinholeCamera.from_fov(64, 48, 1.0), truth=truth)
        write_clips(tmp_path / split, {0: [frame, frame]})
    with pytest.raises(WeightsError, match="no checkpoint at"):
        run("reconstruction", "--data", str(tmp_path), "--out", str(tmp_path / "run"), "--resume")


def test_start_begins_with_the_weights_of_a_file(tmp_path: Path) -> None:
    data = hand_data(tmp_path / "data")
    (tmp_path / "c.yaml").write_text("trainer: {batch_size: 2, warmup_steps: 0, ema_decay: 0.0}\nvalidation_images: 2\n")
    common = ["hand-segmentation", "--data", str(data), "--config", str(tmp_path / "c.yaml"), "--steps", "1"]
    run(*common, "--out", str(tmp_path / "first"))
    first = tmp_path / "first" / "model.safetensors"
    (tmp_path / "c.yaml").write_text("trainer: {batch_size: 2, learning_rate: 0.0, ema_decay: 0.0}\nvalidation_images: 2\n")
    run(*common, "--seed", "5", "--out", str(tmp_path / "second"), "--start", str(first))
    weights = [load_weights(tmp_path / name / "model.safetensors")[0] for name in ("first", "second")]
    for name, value in weights[0].items():
        if "running" not in name and "num_batches" not in name:  # statistics of the images go on
            np.testing.assert_array_equal(value, weights[1][name], err_msg=name)
    with pytest.raises(ConfigError, match="--start begins a run and --resume goes on with one"):
        run(*common, "--start", str(first), "--resume")
    with pytest.raises(WeightsError, match="does not fit the network"):
        run("hand-fill", "--data", str(data), "--out", str(tmp_path / "third"), "--steps", "1", "--start", str(first))


@pytest.mark.slow
def test_renders_trains_and_resumes_from_nothing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    (tmp_path / "c.yaml").write_text("trainer: {batch_size: 4, warmup_steps: 1}\nvalidation_images: 8\n")
    common = ["reconstruction", "--out", str(out), "--rooms", "1", "--config", str(tmp_path / "c.yaml")]
    run(*common, "--steps", "2")
    assert (out / "model.safetensors").is_file()
    with pytest.raises(ConfigError, match=r"trainer\.steps was 2, is 3"):
        run(*common, "--steps", "3", "--resume")
    run(*common, "--steps", "3", "--resume", "--override")
