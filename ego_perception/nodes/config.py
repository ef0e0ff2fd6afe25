"""Parameters of every node, one dataclass each; this module needs no ROS, so that the reference page is made anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ego_perception.hand_removal.assembly import BACKENDS, RemovalModels
from ego_perception.hand_removal.background.plate import BackgroundConfig
from ego_perception.hand_removal.config import DiffusionConfig
from ego_perception.hand_removal.context import ContextConfig
from ego_perception.hand_removal.fill.painter import PainterConfig
from ego_perception.hand_removal.masks import MaskConfig
from ego_perception.messages.hand_removal import MASK_VALUES
from ego_perception.parameters import Apply, group, param
from ego_perception.reconstruction.config import ReconstructionConfig
from ego_perception.simulation.config import EgoSimConfig


@dataclass(frozen=True)
class ImageStreamConfig:
    """The images a node listens to."""

    transport: str = param(
        "raw", "Listen to raw images on `image`, or to JPEG and PNG on `image/compressed`.", choices=("raw", "compressed")
    )
    queue_policy: str = param(
        "latest",
        "Images that arrive while one is in work: keep the newest, wait for room so that none is lost, or keep the last few.",
        choices=("latest", "all", "window"),
    )
    queue_size: int = param(4, "Images that wait at most under the policies `all` and `window`.", ge=1, le=1000)
    image_timeout_s: float = param(
        2.0, "No image for longer makes the node DEGRADED.", unit="s", ge=0.1, le=3600.0, apply=Apply.LIVE
    )


@dataclass(frozen=True)
class InputConfig(ImageStreamConfig):
    """The camera streams a node listens to."""

    intrinsics: str = param(
        "camera_info",
        "Take the camera from `camera_info`, or ignore that topic and estimate the camera from the images.",
        choices=("camera_info", "estimate"),
    )
    rectified: bool = param(False, "Images are already rectified: their camera is P of `camera_info`, without distortion.")
    camera_info_timeout_s: float = param(
        2.0,
        "Images without a usable `camera_info` for longer make the node DEGRADED.",
        unit="s",
        ge=0.1,
        le=60.0,
        apply=Apply.LIVE,
    )
    ignore_mask: bool = param(
        False, "Listen to `ignore_mask` (mono8, not zero where a pixel is the wearer's), paired by stamp."
    )
    ignore_mask_wait_s: float = param(
        0.0, "How long an image waits for the mask of its own stamp; 0 for live work.", unit="s", ge=0.0, le=10.0
    )
    ignore_mask_age_s: float = param(
        0.0, "Where that did not come, an older mask, widened, serves up to this age; 0: none does.", unit="s", ge=0.0, le=2.0
    )


@dataclass(frozen=True)
class FramesConfig:
    """Names of the TF frames, and where the camera sits on the head."""

    map: str = param("map", "Fixed frame above `odom`; the two coincide, as loops are not closed.")
    odom: str = param("odom", "Frame of the poses; its origin is the first camera.")
    head: str = param("head_link", "Frame of the wearer's head.")
    camera: str = param("camera_link", "Body axes of the camera: x forward, y left, z up.")
    optical: str = param("", "Optical frame of the camera; empty takes the name that the images carry.")
    camera_position_m: tuple[float, ...] = param((0.0, 0.0, 0.0), "Camera in the head frame: x, y, z.", unit="m", ge=-2, le=2)
    camera_rpy_rad: tuple[float, ...] = param(
        (0.0, 0.0, 0.0), "Camera in the head frame: roll, pitch and yaw about its fixed axes.", unit="rad", ge=-3.2, le=3.2
    )
    publish_tf: bool = param(True, "Send odom to head on /tf.")
    publish_static_tf: bool = param(True, "Send the fixed transforms on /tf_static; false where a robot description has them.")


@dataclass(frozen=True)
class ModelConfig:
    """The depth network."""

    path: str = param("", "Weight file (safetensors); empty means the one that ships with the package.")
    device: str = param("cpu", "Where the network runs.", choices=("cpu", "cuda"))
    threads: int = param(1, "Threads of the network on a CPU.", ge=1, le=64)


@dataclass(frozen=True)
class OutputConfig:
    """What is published, and where results are saved."""

    path: str = param("", "Folder for `~/save` where the request names none.", apply=Apply.LIVE)
    path_max_poses: int = param(1000, "Poses in `~/path` at most; a full path is thinned to half.", ge=2, le=100000)
    points_stride: int = param(1, "Keep every n-th row and column of `~/points`.", ge=1, le=32)
    map_period_s: float = param(
        1.0, "Least time between two messages on `~/map_points` and `~/path`.", unit="s", ge=0.0, le=60.0
    )


@dataclass(frozen=True)
class ReconstructionNodeConfig:
    """Parameters of the reconstruction node."""

    autostart: bool = param(False, "Configure and activate without a lifecycle manager.", apply=Apply.READ_ONLY)
    input: InputConfig = group(InputConfig)
    frames: FramesConfig = group(FramesConfig)
    model: ModelConfig = group(ModelConfig)
    output: OutputConfig = group(OutputConfig)
    estimator: ReconstructionConfig = group(ReconstructionConfig)


@dataclass(frozen=True)
class HandRemovalNodeConfig:
    """Parameters of the hand removal node."""

    autostart: bool = param(False, "Configure and activate without a lifecycle manager.", apply=Apply.READ_ONLY)
    backend: str = param(
        "compact",
        "compact: remembered background, then a fill network; propagate_only: what was never seen stays black; vidm: the "
        "diffusion model as published; vidm_fast: the same with the settings of `diffusion`.",
        choices=BACKENDS,
    )
    mask_source: str = param(
        "builtin",
        "builtin: the own segmenter; topic: masks on `hand_mask_in`, without which nothing is published; auto: those where "
        "they come in time, else the own segmenter.",
        choices=("builtin", "topic", "auto"),
    )
    mask_values: str = param(
        "labels",
        "What masks on `hand_mask_in` hold; labels: 0 background, 1 left, 2 right, 3 held object, 255 any hand; nonzero: what "
        "is not 0 is a hand; zero: what is 0 is a hand.",
        choices=MASK_VALUES,
    )
    mask_timeout_s: float = param(0.15, "How long an image waits for its mask.", unit="s", ge=0.0, le=10.0)
    refine_rate_hz: float = param(
        0.0,
        "Most images per second that the diffusion model generates beside the live output, on `~/refined/image`; 0: none.",
        unit="Hz",
        ge=0.0,
        le=30.0,
    )
    geometry_source: str = param(
        "auto",
        "By what the background is carried over; none: image motion alone; topic: depth and poses of the reconstruction, and "
        "DEGRADED without; auto: those where they come in time.",
        choices=("none", "topic", "auto"),
    )
    geometry_wait_s: float = param(
        0.1,
        "How long an image waits for its depth and pose, once its mask went out; under `auto`, with `input.queue_policy` "
        "`latest`, only one that the reconstruction is at.",
        unit="s",
        ge=0.0,
        le=10.0,
    )
    reconstruction: str = param("reconstruction", "Name of the reconstruction node whose depth and poses are taken.")
    input: ImageStreamConfig = group(ImageStreamConfig)
    frames: FramesConfig = group(FramesConfig)
    models: RemovalModels = group(RemovalModels)
    masks: MaskConfig = group(MaskConfig)
    background: BackgroundConfig = group(BackgroundConfig)
    painter: PainterConfig = group(PainterConfig)
    diffusion: DiffusionConfig = group(DiffusionConfig)
    context: ContextConfig = group(ContextConfig)


@dataclass(frozen=True)
class PlaybackConfig:
    """How frames are sent."""

    rate: float = param(1.0, "Speed relative to the stamps; 0 sends as soon as the last frame is answered.", ge=0.0, le=100.0)
    loop: bool = param(False, "Start again at the end.")
    max_frames: int = param(0, "Stop after this many frames; 0 means all.", ge=0, le=10**9)
    exit_at_end: bool = param(True, "End the process after the last frame.")
    num_subscribers: int = param(1, "Subscribers of the images that are waited for.", ge=0, le=100)
    wait_for_subscribers_s: float = param(10.0, "Longest wait for them.", unit="s", ge=0.0, le=3600.0)
    answer_topic: str = param(
        "reconstruction/depth/camera_info", "At rate 0, the CameraInfo topic whose stamps answer the frames."
    )
    answer_timeout_s: float = param(1.0, "At rate 0, longest wait for one answer.", unit="s", ge=0.01, le=60.0)
    stamps: str = param("recording", "Send the recorded stamps, or the time of sending.", choices=("recording", "now"))
    publish_clock: bool = param(False, "Send the stamps on /clock, for nodes with use_sim_time.")
    publish_truth: bool = param(True, "Send ground truth, where there is any, on `sim/...` and /tf.")


@dataclass(frozen=True)
class PlayerNodeConfig:
    """Parameters of the player node."""

    autostart: bool = param(False, "Configure and activate without a lifecycle manager.", apply=Apply.READ_ONLY)
    source: str = param("", "What to play: a bag, a video, a folder of images, or sim:SEED.")
    image_topic: str = param("", "Topic of the bag to play; empty chooses by name.")
    playback: PlaybackConfig = group(PlaybackConfig)


@dataclass(frozen=True)
class LivePlaybackConfig(PlaybackConfig):
    """As `PlaybackConfig`, for a simulated live camera: endless, with stamps of the present."""

    loop: bool = param(True, "Start again at the end.")
    stamps: str = param("now", "Send the simulator's stamps, or the time of sending.", choices=("recording", "now"))


@dataclass(frozen=True)
class EgoSimNodeConfig:
    """Parameters of the simulator node."""

    autostart: bool = param(False, "Configure and activate without a lifecycle manager.", apply=Apply.READ_ONLY)
    sim: EgoSimConfig = group(EgoSimConfig)
    playback: LivePlaybackConfig = group(LivePlaybackConfig)


@dataclass(frozen=True)
class RecorderNodeConfig:
    """Parameters of the recorder node."""

    autostart: bool = param(False, "Configure and activate without a lifecycle manager.", apply=Apply.READ_ONLY)
    path: str = param("", "Result folder; an earlier result in it is replaced.")
    reconstruction: str = param("reconstruction", "Name of the reconstruction node whose topics are recorded.")
    hand_removal: str = param("hand_removal", "Name of the hand removal node to record beside it; empty: none.")
    transport: str = param("raw", "Listen to `image` or to `image/compressed`.", choices=("raw", "compressed"))
    reliability: str = param(
        "best_effort",
        "How to ask for the camera's streams; reliable misses nothing, but needs a reliable publisher.",
        choices=("best_effort", "reliable"),
    )
    write_bag: bool = param(True, "Also write a result bag, in the sub-folder `result`.")
    source: str = param("", "What is recorded, for the report; empty names the image topic.")
    command: str = param("", "What repeats the recording, for the report.")
    max_frames: int = param(400, "Pictures kept in the result folder at most.", ge=1, le=100000)
    frames: FramesConfig = group(FramesConfig)


@dataclass(frozen=True)
class ViewerNodeConfig:
    """Parameters of the viewer node."""

    autostart: bool = param(False, "Configure and activate without a lifecycle manager.", apply=Apply.READ_ONLY)
    port: int = param(8080, "First TCP port to try; 0 lets the system choose.", ge=0, le=65535)
    host: str = param("127.0.0.1", "Address to serve on; 0.0.0.0 opens the page to the network.")
    reconstruction: str = param("reconstruction", "Name of the reconstruction node to show.")
    hand_removal: str = param("hand_removal", "Name of the hand removal node to show beside it; empty: none.")
    transport: str = param("raw", "Listen to `image` or to `image/compressed`.", choices=("raw", "compressed"))
    max_rate_hz: float = param(5.0, "Most updates of the page per second.", unit="Hz", ge=0.1, le=60.0)
    frames: FramesConfig = group(FramesConfig)


NODE_CONFIGS: Final[dict[str, type]] = {
    "reconstruction": ReconstructionNodeConfig,
    "hand_removal": HandRemovalNodeConfig,
    "egosim": EgoSimNodeConfig,
    "player": PlayerNodeConfig,
    "recorder": RecorderNodeConfig,
    "viewer": ViewerNodeConfig,
}
"""Parameter group by node name."""
