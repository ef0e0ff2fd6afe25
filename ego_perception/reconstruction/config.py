"""Parameters of the reconstruction, each declared once with its range and meaning."""

from __future__ import annotations

from dataclasses import dataclass

from ego_perception.parameters import Apply, group, param


@dataclass(frozen=True)
class TrackingConfig:
    """Feature tracks and the pose of every frame."""

    width: int = param(
        640, "Width to which images are scaled before tracking; smaller ones are kept.", unit="px", ge=160, le=1920
    )
    num_features: int = param(320, "Feature tracks kept alive.", ge=60, le=2000)
    min_distance_px: float = param(12.0, "Least distance between detected features.", unit="px", ge=3.0, le=60.0)
    patch_px: int = param(17, "Side of the patch that the tracker compares.", unit="px", ge=7, le=41)
    pyramid_levels: int = param(3, "Pyramid levels above the full image.", ge=0, le=6)
    max_return_error_px: float = param(
        0.7, "A track dies when tracking back misses its start by more.", unit="px", ge=0.1, le=5.0
    )
    pixel_sigma_px: float = param(0.8, "Standard deviation of a track's position.", unit="px", ge=0.1, le=5.0)
    min_inliers: int = param(14, "Fewer landmarks that agree with the pose mean a lost track.", ge=6, le=200)
    min_inlier_share: float = param(0.3, "A smaller share of agreeing landmarks means a lost track.", ge=0.05, le=0.95)
    degraded_inlier_share: float = param(
        0.6, "A smaller share of agreeing landmarks is reported as DEGRADED.", ge=0.05, le=0.99
    )
    degraded_survival: float = param(
        0.6,
        "A smaller share of landmarks surviving one frame (something covers the view) is reported as DEGRADED.",
        ge=0.0,
        le=0.95,
    )
    max_speed_m_s: float = param(
        6.0, "A faster camera is taken for a wrong pose; leave room for the scale of the network.", unit="m/s", ge=0.1, le=50.0
    )
    max_rotation_deg_s: float = param(600.0, "A faster turn is taken for a wrong pose.", unit="deg/s", ge=10.0, le=5000.0)


@dataclass(frozen=True)
class KeyframeConfig:
    """When a frame becomes part of the map, and how large the map may grow."""

    baseline_ratio: float = param(
        0.03, "New keyframe when the camera moved by this share of the scene's depth.", ge=0.005, le=0.5
    )
    min_overlap: float = param(0.6, "New keyframe when fewer of the last one's landmarks are still tracked.", ge=0.1, le=0.95)
    max_kept: int = param(60, "Keyframes kept; the most redundant one gives way.", ge=10, le=1000)


@dataclass(frozen=True)
class BundleConfig:
    """Windowed bundle adjustment at every keyframe."""

    window: int = param(8, "Newest keyframes whose poses are adjusted.", ge=2, le=30)
    anchors: int = param(4, "Older keyframes with the most common landmarks, held fixed.", ge=1, le=20)
    iterations: int = param(7, "Levenberg-Marquardt steps at most.", ge=1, le=50)
    max_residual_px: float = param(4.0, "Landmarks that project further away anywhere are dropped.", unit="px", ge=1.0, le=30.0)


@dataclass(frozen=True)
class IntrinsicsConfig:
    """The focal length: given, refined or estimated."""

    refine: bool = param(True, "Refine a given focal length by bundle adjustment; false trusts it.", apply=Apply.LIVE)
    given_sigma: float = param(0.05, "Relative standard deviation of a given focal length.", ge=0.001, le=0.5)


@dataclass(frozen=True)
class PriorConfig:
    """How far the depth network is trusted by the geometry."""

    min_sigma: float = param(0.2, "Least standard deviation of log depth that a landmark takes from it.", ge=0.02, le=2.0)


@dataclass(frozen=True)
class DenseConfig:
    """Dense depth of every frame."""

    width: int = param(160, "Width of the depth image.", unit="px", ge=32, le=640)
    references: int = param(3, "Keyframes that depth is triangulated against.", ge=1, le=8)


@dataclass(frozen=True)
class RelocalisationConfig:
    """Finding back into the map after the track was lost."""

    min_inliers: int = param(18, "Landmarks that must agree before a relocalisation is believed.", ge=8, le=200)
    candidates: int = param(4, "Keyframes tried per frame.", ge=1, le=60)
    give_up_s: float = param(6.0, "A new map is started after this long without success.", unit="s", ge=0.5, le=600.0)


@dataclass(frozen=True)
class ReconstructionConfig:
    """Everything the reconstruction can be told."""

    tracking: TrackingConfig = group(TrackingConfig)
    keyframes: KeyframeConfig = group(KeyframeConfig)
    bundle: BundleConfig = group(BundleConfig)
    intrinsics: IntrinsicsConfig = group(IntrinsicsConfig)
    prior: PriorConfig = group(PriorConfig)
    dense: DenseConfig = group(DenseConfig)
    relocalisation: RelocalisationConfig = group(RelocalisationConfig)
    threads: int = param(1, "Threads that OpenCV may use.", ge=1, le=64)
