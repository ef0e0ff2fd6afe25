"""Sends the frames of a source at the pace of their stamps, or as fast as they are answered, on a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ego_perception.data import Frame
from ego_perception.errors import EgoPerceptionError, SourceError
from ego_perception.runtime import PipelineCounters, Source

_POLL_S: Final = 0.02
_LATE_S: Final = 0.5
"""A sender that is later than this gives up catching up: it moves its schedule instead of sending a burst."""


@dataclass(frozen=True)
class PlaybackOptions:
    """Pace of a `Playback`.

    Attributes:
        rate: 0 waits for each frame's answer instead of its time.
        num_subscribers: waited for before the first frame, for `wait_for_subscribers_s` at most.
        settle_s: further wait, in which the subscribers find each other's topics.
    """

    rate: float = 1.0
    loop: bool = False
    max_frames: int | None = None
    num_subscribers: int = 1
    wait_for_subscribers_s: float = 10.0
    settle_s: float = 0.0
    answer_timeout_s: float = 1.0


@dataclass
class Answers:
    """The newest stamp that came back, and waiting for one."""

    _newest_ns: int = -1
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def note(self, stamp_ns: int) -> None:
        """Take an answer."""
        with self._changed:
            self._newest_ns = stamp_ns
            self._changed.notify_all()

    def wait(self, stamp_ns: int, timeout_s: float) -> bool:
        """Wait for the answer to a frame; False when none came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._newest_ns == stamp_ns, timeout_s)


class Playback:
    """Plays one source.

    Args:
        open_source: called on the playing thread, once per round; a simulator's GL context belongs to its thread.
        publish: sends a frame and returns the stamp it went out with.
        num_listeners: how many listen to the image.
        answers: told of every answer by the caller; used at rate 0.

    Attributes:
        error: one line why the playing ended early, empty otherwise.
        num_unanswered: frames whose answer did not come in time.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        publish: Callable[[Frame], int],
        num_listeners: Callable[[], int],
        answers: Answers,
        options: PlaybackOptions,
    ) -> None:
        self.counters = PipelineCounters()
        self.error = ""
        self.num_unanswered = 0
        self._open_source = open_source
        self._publish = publish
        self._num_listeners = num_listeners
        self._answers = answers
        self._options = options
        self._stop = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="playback", daemon=True)

    @property
    def is_done(self) -> bool:
        """True when everything was sent, or the source failed."""
        return self._done.is_set()

    def start(self) -> None:
        """Begin; frames wait for the first listener as long as the options say."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End; True when the thread ended in time."""
        self._stop.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._wait_for_listeners()
            while not self._stop.is_set():
                if not self._play_once() or not self._options.loop:
                    break
        except EgoPerceptionError as error:
            self.error = str(error)
        except Exception as error:  # a defect of a source must show in the node's status, not vanish with the thread
            self.error = f"{type(error).__name__}: {error}"
        finally:
            self._done.set()

    def _wait_for_listeners(self) -> None:
        end = time.monotonic() + self._options.wait_for_subscribers_s
        wanted = self._options.num_subscribers
        while self._num_listeners() < wanted and time.monotonic() < end and not self._stop.wait(_POLL_S):
            pass
        self._stop.wait(self._options.settle_s)

    def _play_once(self) -> bool:
        """Play the source from start to end; False when the limit of frames is reached.

        Raises:
            SourceError: it held nothing to send; in a loop that would repeat for ever, as fast as the machine can.
        """
        source = self._open_source()
        sent = self.counters.processed
        start_s, first_ns = time.monotonic(), -1
        try:
            for item in source:
                limit = self._options.max_frames
                if limit is not None and self.counters.received >= limit:
                    return False
                self.counters.received += 1
                if isinstance(item, Exception):
                    self.counters.failed += 1
                    self.counters.last_error = str(item)
                    continue
                if first_ns < 0 or item.stamp_ns < first_ns:
                    start_s, first_ns = time.monotonic(), item.stamp_ns
                if self._options.rate > 0:
                    start_s += self._wait_until(start_s + (item.stamp_ns - first_ns) * 1e-9 / self._options.rate)
                if self._stop.is_set():
                    return False
                self._send(item)
        finally:
            source.close()
        if self.counters.processed == sent:
            reason = f"; the last of {self.counters.failed}: {self.counters.last_error}" if self.counters.failed else ""
            raise SourceError(f"not one frame of {source.name} could be sent{reason}")
        return True

    def _wait_until(self, due_s: float) -> float:
        """Sleep until a time; return by how much the schedule must move, which is nothing unless it is far behind."""
        late_s = time.monotonic() - due_s
        if late_s < 0:
            self._stop.wait(-late_s)
        return late_s if late_s > _LATE_S else 0.0

    def _send(self, frame: Frame) -> None:
        stamp_ns = self._publish(frame)
        self.counters.processed += 1
        if self._options.rate == 0 and not self._answers.wait(stamp_ns, self._options.answer_timeout_s):
            self.num_unanswered += 1
