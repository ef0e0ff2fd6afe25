"""The folder that a run leaves behind: written as it goes, readable at any moment, also after Ctrl-C or a full disk."""

from ego_perception.data.result.cloud import VoxelCloud, read_ply, write_ply
from ego_perception.data.result.layout import ResultLayout
from ego_perception.data.result.reader import ResultReader
from ego_perception.data.result.record import FrameRecord, RunRecord
from ego_perception.data.result.sink import ResultSink

__all__ = [
    "FrameRecord",
    "ResultLayout",
    "ResultReader",
    "ResultSink",
    "RunRecord",
    "VoxelCloud",
    "read_ply",
    "write_ply",
]
