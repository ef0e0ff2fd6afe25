"""Finds places again that were seen long ago: matches the image to a keyframe by features, then registers the two."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.hand_removal.background.memory import Snapshot
from ego_perception.hand_removal.background.registration import Registrar, Registration

Features = tuple[NDArray[np.float32], NDArray[np.uint8]]

_NUM_FEATURES = 400
_RATIO = 0.75
_MIN_MATCHES = 15
_MIN_GAP_SHARE = 0.05  # of the hole; a smaller gap is not worth the search
_MAX_ERROR = 25.0


class Recall:
    """One keyframe is tried per image, in turn, so that the cost per image stays small."""

    def __init__(self, registrar: Registrar) -> None:
        self._registrar = registrar
        self._orb = cv2.ORB.create(_NUM_FEATURES)
        self._matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
        self.clear()

    def clear(self) -> None:
        """Forget the features of the keyframes."""
        self._features: dict[int, Features | None] = {}
        self._turn = 0

    def find(self, now: Snapshot, gap: NDArray[np.bool_], keyframes: list[Snapshot]) -> tuple[Snapshot, Registration] | None:
        """A keyframe that shows the same place, registered; None where there is none, or hardly anything is missing."""
        if not keyframes or gap.sum() < _MIN_GAP_SHARE * now.hole.sum() or not gap.any():
            return None
        self._turn += 1
        keyframe = keyframes[self._turn % len(keyframes)]
        H = self._homography(now, keyframe)
        if H is None:
            return None
        match = self._registrar.register(now.grey, keyframe.grey, now.hole, keyframe.hole, H)
        if match is None or float(match.error[~now.hole].mean() if (~now.hole).any() else np.inf) > _MAX_ERROR:
            return None
        return keyframe, match

    def _homography(self, now: Snapshot, keyframe: Snapshot) -> NDArray[np.float64] | None:
        """(3, 3) from `now` to the keyframe by matched features of the background."""
        mine = self._detect(now)
        known = {k: v for k, v in self._features.items() if k == keyframe.id}
        theirs = known[keyframe.id] if known else self._features.setdefault(keyframe.id, self._detect(keyframe))
        if mine is None or theirs is None:
            return None
        pairs = [pair for pair in self._matcher.knnMatch(mine[1], theirs[1], k=2) if len(pair) == 2]
        good = [a for a, b in pairs if a.distance < _RATIO * b.distance]
        if len(good) < _MIN_MATCHES:
            return None
        start, end = mine[0][[m.queryIdx for m in good]], theirs[0][[m.trainIdx for m in good]]
        cv2.setRNGSeed(0)
        H, kept = cv2.findHomography(start, end, cv2.USAC_MAGSAC, 3.0, maxIters=500, confidence=0.99)
        if H is None or kept.sum() < _MIN_MATCHES or not 0.2 < np.linalg.det(H[:2, :2]) < 5:
            return None
        return np.asarray(H, np.float64)

    def _detect(self, snapshot: Snapshot) -> Features | None:
        points, descriptors = self._orb.detectAndCompute(snapshot.grey, (~snapshot.hole).astype(np.uint8) * 255)
        if descriptors is None or len(points) < _MIN_MATCHES:
            return None
        return np.array([point.pt for point in points], np.float32), np.asarray(descriptors, np.uint8)
