"""VISOR annotations of one video, dense ones in order and sparse ones beside them, with what was worked out of them once.

annotations (N,)         JSON texts of the dense annotations, see `visor_json`
hands (N, 2)             the left and the right hand show up
gt_no_hands (N,)         between two neighbouring frames of ground truth that both show no hand
consistent_with_gt (N,)  between two such frames from one to the other of which the same hands show up
frame_nums (N,)          frame numbers of the video
sparse_annotations (M,)  JSON texts of the ground truth
sparse_frame_nums (M,)   their frame numbers; files of the published script call it `saprse_frame_nums`
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.data.hdf5.file import TEXT, add_column, as_flags, column, reading, writing
from ego_perception.data.hdf5.visor_json import (
    DENSE_SIZE,
    SPARSE_SIZE,
    Annotation,
    hands_present,
    image_of,
    parse_annotation,
    read_annotations,
)
from ego_perception.errors import SourceError

_log = logging.getLogger(__name__)

Flags = NDArray[np.bool_]

SPARSE_NUMBERS: Final = ("sparse_frame_nums", "saprse_frame_nums")
SUFFIX: Final = "_interpolations"


class VisorVideo:
    """Annotations of one packed video by row.

    Args:
        path: `<video>_interpolations.hdf5`.

    Attributes:
        name: of the video.
        hands: (N, 2) the left and the right hand show up.
        gt_no_hands, is_consistent: (N,) as described above.
        numbers: (N,) frame numbers.
        sparse_numbers: (M,) those with ground truth.

    Raises:
        SourceError: missing, damaged or of another layout.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.stem.removesuffix(SUFFIX)
        with reading(path) as file:
            rows = column(file, "annotations", "text").shape[0]
            self.hands = as_flags(column(file, "hands", "number", rows=rows, width=2))
            self.gt_no_hands = as_flags(column(file, "gt_no_hands", "number", rows=rows))
            self.is_consistent = as_flags(column(file, "consistent_with_gt", "number", rows=rows))
            self.numbers: NDArray[np.int64] = column(file, "frame_nums", "number", rows=rows)[()].astype(np.int64)
            self.sparse_numbers: NDArray[np.int64] = column(file, SPARSE_NUMBERS, "number")[()].astype(np.int64)
            column(file, "sparse_annotations", "text", rows=len(self.sparse_numbers))

    def __len__(self) -> int:
        return len(self.numbers)

    def annotations(self, rows: Sequence[int]) -> list[Annotation]:
        """Dense annotations, drawn at `visor_json.DENSE_SIZE`.

        Raises:
            SourceError: there is no such row, or one is no annotation.
        """
        return self._entries("annotations", rows, len(self))

    def sparse_annotations(self, rows: Sequence[int]) -> list[Annotation]:
        """Ground truth, drawn at `visor_json.SPARSE_SIZE`.

        Raises:
            SourceError: there is no such row, or one is no annotation.
        """
        return self._entries("sparse_annotations", rows, len(self.sparse_numbers))

    def _entries(self, name: str, rows: Sequence[int], count: int) -> list[Annotation]:
        if not all(0 <= row < count for row in rows):
            raise SourceError(f"{self.path} has {count} {name}; rows {list(rows)} were asked for")
        with reading(self.path) as file:
            texts = [file[name][row] for row in rows]
        return [parse_annotation(text, f"row {row} of {name} in {self.path}") for row, text in zip(rows, texts, strict=True)]


def pack_visor(dense: Path, sparse: Path, output: Path) -> int:
    """Pack the dense interpolations of a video together with its ground truth.

    Args:
        dense: `<video>_interpolations.json`.
        sparse: `<video>.json`.

    Returns:
        Number of dense annotations.

    Raises:
        SourceError: a file that is no VISOR file, or two files of different videos.
        OutputError: the file cannot be written.
    """
    entries, truths = read_annotations(dense), read_annotations(sparse)
    videos = {image_of(entry)[0] for entry in (*entries, *truths)}
    if len(videos) > 1:
        raise SourceError(f"{dense.name} and {sparse.name} are of different videos: {', '.join(sorted(videos))}")
    truth_of = {image_of(entry)[1]: entry for entry in truths}
    numbers = [image_of(entry)[1] for entry in entries]
    is_truth = np.array([number in truth_of for number in numbers])
    if not is_truth.any():
        _log.warning("no frame of %s has ground truth in %s; nothing can be said of its hands", dense.name, sparse.name)
    hands = np.array([_presence(n, e, truth_of) for n, e in zip(numbers, entries, strict=True)], np.bool_).reshape(-1, 2)
    gt_no_hands, is_consistent = between_truths(hands, is_truth)
    with writing(output) as file:
        add_column(file, "annotations", (json.dumps(entry) for entry in entries), len(entries), TEXT)
        file.create_dataset("hands", data=hands)
        file.create_dataset("gt_no_hands", data=gt_no_hands.astype(np.int64))
        file.create_dataset("consistent_with_gt", data=is_consistent.astype(np.int64))
        file.create_dataset("frame_nums", data=np.array(numbers, np.int64))
        add_column(file, "sparse_annotations", (json.dumps(entry) for entry in truth_of.values()), len(truth_of), TEXT)
        for name in SPARSE_NUMBERS:  # the right name, and the one that other software asks for
            file.create_dataset(name, data=np.array(list(truth_of), np.int64))
    return len(entries)


def between_truths(hands: Flags, is_truth: Flags) -> tuple[Flags, Flags]:
    """Work out what two neighbouring frames of ground truth say of the frames between them.

    Args:
        hands: (N, 2) the left and the right hand show up.
        is_truth: (N,) frames with ground truth.

    Returns:
        gt_no_hands (N,): from one such frame to the next, both included, where neither shows a hand.
        is_consistent (N,): the same, where the same hands show up all the way.
    """
    no_hands, consistent = np.zeros(len(hands), np.bool_), np.zeros(len(hands), np.bool_)
    truths = np.flatnonzero(is_truth)
    for start, end in pairwise(truths):
        stretch = slice(start, end + 1)
        if not hands[start].any() and not hands[end].any():
            no_hands[stretch] = True
        if (hands[stretch] == hands[start]).all():
            consistent[stretch] = True
    return no_hands, consistent


def _presence(number: int, entry: Annotation, truth_of: dict[int, Annotation]) -> tuple[bool, bool]:
    """Ground truth is believed where there is some."""
    return hands_present(truth_of[number], SPARSE_SIZE) if number in truth_of else hands_present(entry, DENSE_SIZE)
