"""LPIPS and FID of hand-free images: how alike pictures look, by networks that saw photographs.

Optional, for the networks come with packages that bring torchvision: `pip install ego-perception[perceptual]`, which
downloads their weights at first use. The Frechet distance itself is computed here.

LPIPS: Zhang et al., CVPR 2018, AlexNet. FID: Heusel et al., NeurIPS 2017, Inception features of the original network.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import ConfigError

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

DistanceMap = Callable[[Image, Image], NDArray[np.float32]]
"""LPIPS of two (H, W, 3) images at every pixel, (H, W)."""

Features = Callable[[Image], NDArray[np.float64]]
"""(D,) features of an (H, W, 3) image, by which sets of images are compared."""

MIN_IMAGES: Final = 256
"""For FID; fewer give a number that says more about the sample than about the pictures."""
USUAL_IMAGES: Final = 2048
"""Below this many, the number of features, FID is biased upwards: only values of equal counts compare."""

CROP_FACTOR: Final = 1.6  # side of the crop over the longer side of the hole
MIN_CROP_PX: Final = 64

_log = logging.getLogger(__name__)


class FeatureStatistics:
    """Mean and covariance of features, of any number of images; numerically stable (Welford)."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: NDArray[np.float64] | None = None
        self._scatter: NDArray[np.float64] | None = None

    def add(self, features: NDArray[np.float64]) -> None:
        """Take one image's (D,) features."""
        if self._mean is None or self._scatter is None:
            self._mean, self._scatter = np.zeros(len(features)), np.zeros((len(features), len(features)))
        self.count += 1
        before = features - self._mean
        self._mean = self._mean + before / self.count
        self._scatter += np.outer(before, features - self._mean)

    @property
    def mean(self) -> NDArray[np.float64]:
        """(D,) mean; there must have been an image."""
        assert self._mean is not None
        return self._mean

    @property
    def covariance(self) -> NDArray[np.float64]:
        """(D, D) sample covariance; there must have been two images."""
        assert self._scatter is not None
        return self._scatter / (self.count - 1)


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """Frechet distance between the Gaussians of two sets, |ma - mb|^2 + tr(A + B - 2 (A B)^(1/2)).

    The trace of the root is taken from the symmetric A^(1/2) B A^(1/2), whose eigenvalues are those of A B and never complex.
    """
    values, vectors = np.linalg.eigh(a.covariance)
    root = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ b.covariance @ root), 0, None)).sum()
    gap = a.mean - b.mean
    return float(gap @ gap + np.trace(a.covariance) + np.trace(b.covariance) - 2 * shared)


@dataclass
class _Method:
    lpips_sum: float = 0.0
    hole_sum: float = 0.0
    count: int = 0
    whole: FeatureStatistics = field(default_factory=FeatureStatistics)
    crop: FeatureStatistics = field(default_factory=FeatureStatistics)


class PerceptualScores:
    """Scores of several methods on the same frames.

    Args:
        distance: None leaves LPIPS out.
        features: None leaves FID out.
    """

    def __init__(self, distance: DistanceMap | None, features: Features | None) -> None:
        self._distance, self._features = distance, features
        self._truth = _Method()
        self._methods: dict[str, _Method] = {}

    def add(self, outputs: Mapping[str, Image], truth: Image, hole: Mask) -> None:
        """Take one frame, unless it has no hole: the picture of each method, what is right, and the (H, W) hole."""
        if not hole.any():
            return
        rows, columns = around(hole)
        if self._features is not None:
            self._truth.whole.add(self._features(truth))
            self._truth.crop.add(self._features(truth[rows, columns]))
        for name, image in outputs.items():
            method = self._methods.setdefault(name, _Method())
            method.count += 1
            if self._distance is not None:
                distance = self._distance(image, truth)
                method.lpips_sum += float(distance.mean())
                method.hole_sum += float(distance[hole].mean())
            if self._features is not None:
                method.whole.add(self._features(image))
                method.crop.add(self._features(image[rows, columns]))

    def rows(self) -> dict[str, dict[str, float]]:
        """By method: LPIPS in the whole image and in the hole, FID of whole images and of crops around the hole, or NaN."""
        count = self._truth.whole.count
        if self._features is not None and count < MIN_IMAGES:
            _log.warning("FID is left out: %d images were scored, it takes at least %d", count, MIN_IMAGES)
        elif self._features is not None and count < USUAL_IMAGES:
            _log.warning("FID of %d images is biased upwards; only values of as many images compare", count)
        return {name: self._row(method) for name, method in self._methods.items()}

    def _row(self, method: _Method) -> dict[str, float]:
        has_fid = self._features is not None and method.whole.count >= MIN_IMAGES
        has_lpips = self._distance is not None and method.count > 0
        return {
            "lpips": method.lpips_sum / method.count if has_lpips else math.nan,
            "lpips_hole": method.hole_sum / method.count if has_lpips else math.nan,
            "fid": frechet_distance(self._truth.whole, method.whole) if has_fid else math.nan,
            "fid_hole": frechet_distance(self._truth.crop, method.crop) if has_fid else math.nan,
        }


def around(hole: Mask) -> tuple[slice, slice]:
    """Rows and columns of a square around a hole that is not empty, cut at the image's borders."""
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    side = max(MIN_CROP_PX, round(CROP_FACTOR * (1 + max(np.ptp(rows), np.ptp(columns)))))
    return _span(rows, side, hole.shape[0]), _span(columns, side, hole.shape[1])


def _span(indices: NDArray[np.int64], side: int, limit: int) -> slice:
    side = min(side, limit)
    start = int(np.clip((indices[0] + indices[-1] + 1 - side) // 2, 0, limit - side))
    return slice(start, start + side)


def load_networks(device: str = "cpu") -> tuple[DistanceMap, Features]:
    """The published networks, for any number of `PerceptualScores`.

    Raises:
        ConfigError: the packages of the extra are not installed.
    """
    return _lpips(device), _inception(device)


def _lpips(device: str) -> DistanceMap:
    try:
        import lpips
    except ImportError as error:
        raise _not_installed("LPIPS", error) from error
    import torch

    network = lpips.LPIPS(net="alex", spatial=True, verbose=False).to(device).eval()

    def distance(a: Image, b: Image) -> NDArray[np.float32]:
        pair = torch.from_numpy(np.stack([a, b])).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.inference_mode():
            return np.asarray(network(pair[:1], pair[1:])[0, 0].cpu().numpy(), np.float32)

    return distance


def _inception(device: str) -> Features:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise _not_installed("FID", error) from error
    import torch

    network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"]).to(device).eval()

    def features(image: Image) -> NDArray[np.float64]:
        # The network resizes to 299; a far larger image is first reduced by area, which its own resizing does not.
        longer = max(image.shape[:2])
        if longer > 598:
            size = (max(1, round(image.shape[1] * 598 / longer)), max(1, round(image.shape[0] * 598 / longer)))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        batch = torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1)[None]
        with torch.inference_mode():
            return np.asarray(network(batch)[0][0].double().cpu().numpy())

    return features


def _not_installed(what: str, error: ImportError) -> ConfigError:
    return ConfigError(f"{what} needs packages that are not installed ({error}); run `pip install ego-perception[perceptual]`")
