"""Helpers of the tests with a live middleware: nodes on threads, and waiting without guessing times."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ego_perception.data import Frame, FrameTruth, SceneEstimate, TrackingState
from ego_perception.errors import FrameError, SourceError
from ego_perception.geometry import R_FLU_OPTICAL, PinholeCamera, make_transform
from ego_perception.messages import compressed_from_frame, image_from_frame, info_from_camera
from ego_perception.reconstruction.config import ReconstructionConfig
from ego_perception.reconstruction.prior import PriorPrediction
from ego_perception.ros.factory import RclpyFactory
from ego_perception.ros.process import SpinThread

NUMBERS = itertools.count()


class Graph:
    """Nodes with their spin threads, and an observer."""

    def __init__(self) -> None:
        self._running: list[tuple[Node, SpinThread]] = []

    def add(self, node: Any) -> Any:
        """Spin a node until the end of the test."""
        self._running.append((node, SpinThread(node)))
        return node

    def remove(self, node: Node) -> None:
        """Stop and destroy one node now, as if it had died."""
        for entry in [e for e in self._running if e[0] is node]:
            self._running.remove(entry)
            assert entry[1].stop(timeout_s=60.0), f"{node.get_name()} did not stop spinning"
            node.destroy_node()

    def observer(self, namespace: str = "/observer") -> Node:
        """A plain node to publish and listen with."""
        node = Node(f"observer{next(NUMBERS)}", namespace=namespace)
        return self.add(node)

    def close(self) -> None:
        for node, _ in reversed(list(self._running)):
            self.remove(node)


def wait_for(condition: Callable[[], Any], timeout_s: float = 10.0, what: str = "") -> Any:
    """Wait until `condition` gives something true, and return it."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what or 'condition'} did not come true in {timeout_s} s")


class FakeEstimator:
    """A camera that walks 1 cm per frame, with a plane 2 m away for depth; states and failures are set from outside."""

    def __init__(self, config: ReconstructionConfig | None = None) -> None:
        self.config = config or ReconstructionConfig()
        self.state = TrackingState.TRACKING
        self.reason = ""
        self.num_frames = 0
        self.num_resets = 0
        self.frames: list[Frame] = []
        self.map_id = 0

    def reset(self) -> None:
        self.num_resets += 1
        self.num_frames = 0

    def flush(self) -> list[SceneEstimate]:
        return []

    def push(self, frame: Frame) -> SceneEstimate:
        self.frames = [*self.frames[-9:], frame]
        self.num_frames += 1
        width, height = frame.size
        camera = frame.camera or PinholeCamera.from_fov(width, height, 1.0)
        lost = self.state is TrackingState.LOST
        depth = np.full((height // 4, width // 4), 2.0, np.float32)
        depth[0, 0] = np.nan
        return SceneEstimate(
            frame=frame,
            state=self.state,
            reason=self.reason,
            camera=camera,
            camera_is_estimated=frame.camera is None,
            T_world_cam=None if lost else make_transform(R_FLU_OPTICAL, (0.01 * self.num_frames, 0.0, 0.0)),
            covariance=None if lost else np.eye(6) * 1e-4,
            depth=depth,
            confidence=np.full_like(depth, 0.9),
            landmarks=np.ones((5, 3), np.float32),
            is_keyframe=self.num_frames % 3 == 1,
            map_id=self.map_id,
        )


class FlatPrior:
    """A network for which everything is 2 m away."""

    def predict(self, rgb: NDArray[np.uint8], camera: PinholeCamera | None) -> PriorPrediction:
        depth = np.full((60, 80), 2.0, np.float32)
        return PriorPrediction(depth, np.full_like(depth, 0.3), 1.0, 0.2)


class CountingFactory(RclpyFactory):
    """Counts the messages built, by type."""

    def __init__(self) -> None:
        self.built: Counter[str] = Counter()

    def make(self, type_name: str, **fields: Any) -> Any:
        self.built[type_name] += 1
        return super().make(type_name, **fields)


class Camera:
    """Publishes test images and their camera_info from an observer node."""

    def __init__(self, node: Node, *, compressed: bool = False, width: int = 64, height: int = 48) -> None:
        self.node = node
        self.factory = RclpyFactory()
        self.width, self.height = width, height
        kind = CompressedImage if compressed else Image
        self.image = node.create_publisher(kind, "image/compressed" if compressed else "image", 10)
        self.info = node.create_publisher(CameraInfo, "camera_info", 10)
        self.compressed = compressed

    def frame(self, stamp_ns: int) -> Frame:
        pixels = np.random.default_rng(stamp_ns % 1000).integers(0, 255, (self.height, self.width, 3), np.uint8)
        return Frame(stamp_ns, pixels, camera=self.pinhole, frame_id="cam_optical")

    @property
    def pinhole(self) -> PinholeCamera:
        return PinholeCamera.from_fov(self.width, self.height, 1.0)

    def image_message(self, stamp_ns: int) -> Any:
        build = compressed_from_frame if self.compressed else image_from_frame
        return build(self.factory, self.frame(stamp_ns))

    def info_message(self, stamp_ns: int) -> Any:
        return info_from_camera(self.factory, self.pinhole, stamp_ns, "cam_optical")

    def send(self, stamp_ns: int) -> None:
        self.info.publish(self.info_message(stamp_ns))
        self.image.publish(self.image_message(stamp_ns))

    def ready(self) -> bool:
        return self.image.get_subscription_count() > 0 and self.info.get_subscription_count() > 0


class Listener:
    """Collects what a topic says."""

    def __init__(self, node: Node, kind: type, topic: str, profile: Any = 10) -> None:
        self.messages: list[Any] = []
        self.subscription = node.create_subscription(kind, topic, self.messages.append, profile)

    @property
    def last(self) -> Any:
        return self.messages[-1]

    @property
    def connected(self) -> bool:
        return self.subscription.get_publisher_count() > 0

    def __len__(self) -> int:
        return len(self.messages)


class FakeSource:
    """A short clip with truth; `bad` frames are errors, and it may break at one."""

    name = "fake"
    is_live = False

    def __init__(self, num_frames: int, *, fps: float = 100.0, bad: Container[int] = (), breaks_at: int = -1) -> None:
        self.num_frames, self.fps, self.bad, self.breaks_at = num_frames, fps, bad, breaks_at
        self.is_closed = False

    def __iter__(self) -> Iterator[Any]:
        for index in range(self.num_frames):
            if index == self.breaks_at:
                raise SourceError("the disk was unplugged")
            yield FrameError(f"frame {index} is damaged") if index in self.bad else self.frame(index)

    def frame(self, index: int) -> Frame:
        depth = np.full((24, 32), 1.5, np.float32)
        depth[0, 0] = 0.0
        truth = FrameTruth(depth, make_transform(np.eye(3), (0.1 * index, 0.0, 0.0)))
        image = np.random.default_rng(index).integers(0, 255, (24, 32, 3), np.uint8)
        stamp_ns = 1_000_000_000 + int(index * 1e9 / self.fps)
        return Frame(stamp_ns, image, camera=PinholeCamera.from_fov(32, 24, 1.0), index=index, truth=truth)

    def close(self) -> None:
        self.is_closed = True
