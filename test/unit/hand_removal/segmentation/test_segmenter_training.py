"""The training task of the segmenter: it learns, goes on to the bit, and its file is what the segmenter loads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fixtures.training_runs import (
    CPU,
    check_it_learns,
    check_resumed_run_is_bit_equal,
    hand_clip,
    hand_data,
    parameters_of,
    trainer_of,
)

from ego_perception.engine import Trainer
from ego_perception.engine.distributed import Workplace
from ego_perception.hand_removal.segmentation.model import HandSegmenter
from ego_perception.hand_removal.segmentation.network import load_segmenter
from ego_perception.hand_removal.segmentation.sizes import KIND, VERSION, HandClass, SegmenterConfig
from ego_perception.hand_removal.segmentation.training import SegmenterTrainConfig, SegmenterTrainTask, pixel_scores, score
from ego_perception.weights import read_info

SMALL = SegmenterConfig(stem=8, widths=(8, 8, 16, 16), counts=(1, 1, 1, 1), decoder=(16, 16, 8, 8, 8), width=64)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hand_data(tmp_path_factory.mktemp("hands"))


def task_of(data: Path, **changes: object) -> SegmenterTrainTask:
    return SegmenterTrainTask(SMALL, parameters_of(SegmenterTrainConfig, **changes), data)


def make(data: Path, out: Path, **changes: object) -> Trainer:
    task = task_of(data, **changes)
    return trainer_of(task, task.config, out)


def test_it_learns_and_the_file_describes_itself(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    changes = {"trainer.steps": 20, "trainer.learning_rate": 5e-3, "coarse_share": 0.0}
    check_it_learns(lambda: task_of(data, **changes), make(data, tmp_path, **changes), by=0.8)
    info = read_info(tmp_path / "model.safetensors", KIND, VERSION)
    assert (info.training["steps"], info.training["images"], info.training["clips"]) == (20, 40, 2)
    assert set(info.metrics) == {"iou_hand_arm", "iou_hands", "iou_arms", "iou_held", "side"}
    found = load_segmenter(tmp_path / "model.safetensors").predict(hand_clip(3, 1)[0].rgb)
    assert found.shape[0] == len(HandClass)
    assert found.sum(axis=0) == pytest.approx(1.0, abs=1e-5)


def test_resumed_run_is_bit_equal(data: Path, tmp_path: Path) -> None:
    check_resumed_run_is_bit_equal(lambda out: make(data, out), tmp_path)


def test_images_of_half_the_size_come_first(data: Path) -> None:
    task = task_of(data, coarse_share=0.5)
    assert [tuple(task.batch(step, CPU).images.shape[2:]) for step in (0, 2, 3, 5)] == [(32, 32), (32, 32), (64, 64), (64, 64)]


def test_processes_share_a_batch(data: Path) -> None:
    halves = [task_of(data).batch(0, Workplace(rank, 2, CPU.device)) for rank in range(2)]
    assert [len(half.images) for half in halves] == [1, 1]
    assert not torch.equal(halves[0].images, halves[1].images)


class Painted(HandSegmenter):
    """Finds what it is told."""

    def __init__(self, labels: torch.Tensor) -> None:
        super().__init__(SMALL)
        self.labels = labels

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(self.labels, len(HandClass)).permute(0, 3, 1, 2).float()


def test_scores_of_all_pixels_lie_between_those_of_every_second_one() -> None:
    class Ramp(HandSegmenter):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.arange(4.0).expand(len(images), len(HandClass), 2, 4)

    scores = pixel_scores(Ramp(SMALL), torch.zeros(1, 3, 4, 8))
    assert scores.shape == (1, len(HandClass), 4, 8)
    assert scores[0, 0, 0].tolist() == pytest.approx([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])


def test_score_known_values() -> None:
    truth = torch.zeros(1, 4, 4, dtype=torch.long)
    truth[0, :2] = HandClass.LEFT_HAND
    truth[0, 3] = HandClass.RIGHT_ARM
    found = torch.zeros_like(truth)
    found[0, 0] = HandClass.LEFT_HAND
    found[0, 1] = HandClass.RIGHT_HAND
    found[0, 3, :2] = HandClass.RIGHT_ARM
    scores = score(Painted(found), [(torch.zeros(1, 3, 4, 4), truth)])
    assert scores == {
        "iou_hand_arm": 10 / 12, "iou_hands": 1.0, "iou_arms": 2 / 4, "iou_held": 0.0, "side": 6 / 10
    }  # fmt: skip
