"""What the player and the simulator node share: a source whose frames are sent as live topics."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import ExitStack
from typing import Any, Final, TypeVar

from sensor_msgs.msg import CameraInfo

from ego_perception.data import Frame, TrackingState
from ego_perception.data.scene_truth import scene_truth_of
from ego_perception.messages import NODE_ERROR, NodeFacts, stamp_ns_of
from ego_perception.nodes.config import PlaybackConfig
from ego_perception.ros import qos
from ego_perception.ros.diagnostics import Reporter
from ego_perception.ros.frame_publisher import FrameOutputs, FramePublisher
from ego_perception.ros.lifecycle import EgoLifecycleNode
from ego_perception.ros.playback import Answers, Playback, PlaybackOptions
from ego_perception.runtime import Source

T = TypeVar("T")

_SETTLE_S: Final = 0.5
"""Where every frame counts, the first one waits until all outputs of its listeners have found theirs."""


class FramePlayerNode(EgoLifecycleNode[T]):
    """Plays one source while active; a new activation starts at its beginning."""

    def __init__(self, name: str, config_type: type[T], **kwargs: Any) -> None:
        self._playback: Playback | None = None
        self._source: Source | None = None
        self._has_ended = False
        super().__init__(name, config_type, **kwargs)
        self._reporter = Reporter(self)

    @abstractmethod
    def open_source(self, config: T) -> Source:
        """Open the source; called on the playing thread.

        Raises:
            EgoPerceptionError: the source cannot be opened.
        """

    @abstractmethod
    def playback_of(self, config: T) -> PlaybackConfig:
        """The part of the parameters that says how to play."""

    def setup(self, config: T, scope: ExitStack) -> None:
        """Create the publishers."""
        playback = self.playback_of(config)
        outputs = FrameOutputs(playback.publish_truth, playback.publish_clock, playback.stamps == "now")
        self._frames = FramePublisher(self, scope, outputs)

    def run(self, config: T, scope: ExitStack) -> None:
        """Start playing."""
        wanted, answers = self.playback_of(config), Answers()
        options = PlaybackOptions(
            rate=wanted.rate,
            loop=wanted.loop,
            max_frames=wanted.max_frames or None,
            num_subscribers=wanted.num_subscribers,
            settle_s=_SETTLE_S if wanted.rate == 0 else 0.0,
            wait_for_subscribers_s=wanted.wait_for_subscribers_s,
            answer_timeout_s=wanted.answer_timeout_s,
        )
        if wanted.rate == 0:
            self.subscription(scope, CameraInfo, wanted.answer_topic, lambda m: answers.note(stamp_ns_of(m)), qos.RESULT)
        playback = Playback(
            lambda: self._open(config),
            self._send,
            lambda: self._frames.num_image_subscribers,
            answers,
            options,
        )
        self._playback, self._has_ended = playback, False
        playback.start()
        scope.callback(self._stop_playing, playback)

    def _open(self, config: T) -> Source:
        self._source = self.open_source(config)
        return self._source

    def _send(self, frame: Frame) -> int:
        return self._frames.publish(frame, scene_truth_of(self._source))

    def heartbeat(self) -> None:
        """Send the status, and say once how the playing ended."""
        playback = self._playback
        facts = NodeFacts()
        if playback is not None:
            state = NODE_ERROR if playback.error else TrackingState.TRACKING
            reason = playback.error or ("everything was sent" if playback.is_done else "")
            facts = NodeFacts(state=int(state), reason=reason, counters=playback.counters)
            if playback.is_done and not self._has_ended:
                self._has_ended = True
                self._log_end(playback)
        self._reporter.publish(facts)

    @property
    def is_finished(self) -> bool:
        """True after the last frame, where the parameters ask for the end."""
        return self._has_ended and self.playback_of(self.parameters.current).exit_at_end

    @property
    def error(self) -> str:
        """Why the playing ended early; empty otherwise."""
        return "" if self._playback is None else self._playback.error

    def _stop_playing(self, playback: Playback) -> None:
        if not playback.stop():
            self.get_logger().error("the source did not stop in time; it ends with the frame it is at")

    def _log_end(self, playback: Playback) -> None:
        sent = f"{playback.counters.processed} frames sent, {playback.counters.failed} unusable"
        unanswered = f", {playback.num_unanswered} unanswered" if playback.num_unanswered else ""
        if playback.error:
            self.get_logger().error(f"{playback.error} ({sent})")
        else:
            self.get_logger().info(sent + unanswered)
