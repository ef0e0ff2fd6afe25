"""The training loop shared by all tasks: plain torch, one process per device, resumable to the bit."""

from ego_perception.engine.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ego_perception.engine.config import Precision, TrainerConfig
from ego_perception.engine.trainer import Trainer, TrainTask

__all__ = ["Checkpoint", "Precision", "TrainTask", "Trainer", "TrainerConfig", "load_checkpoint", "save_checkpoint"]
