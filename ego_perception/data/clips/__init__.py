"""Datasets of short clips with ground truth on disk: see docs/dataset_format.md."""

from ego_perception.data.clips.reader import Clip, ClipDataset
from ego_perception.data.clips.store import ClipEntry, ClipStore, clip_path, write_whole
from ego_perception.data.clips.tar import PARTS, ClipFile, write_clip

__all__ = ["PARTS", "Clip", "ClipDataset", "ClipEntry", "ClipFile", "ClipStore", "clip_path", "write_clip", "write_whole"]
