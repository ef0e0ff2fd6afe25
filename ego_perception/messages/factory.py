"""What builders need of a message library; live ROS and bags each give one, so their messages are equal by construction."""

from __future__ import annotations

from typing import Any, Protocol

from ego_perception.messages.stamp import split_stamp


class MessageFactory(Protocol):
    """Makes messages of named types.

    Rules that every factory keeps:
        * `type_name` is the full ROS name, such as `sensor_msgs/msg/Image`.
        * Fields that are not given have their ROS defaults.
        * Fields of primitive arrays are given as one-dimensional C-contiguous numpy arrays of exactly the field's type (bytes
          as uint8); the factory keeps or copies them in one go, never element by element.
        * A single `byte` field is given as `bytes` of length one.
        * Fields of message arrays are given as lists, nested messages as messages of the same factory.
    """

    def make(self, type_name: str, **fields: Any) -> Any:
        """Make one message."""
        ...


def make_time(factory: MessageFactory, stamp_ns: int) -> Any:
    """Make a `builtin_interfaces/Time` of integer nanoseconds."""
    sec, nanosec = split_stamp(stamp_ns)
    return factory.make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)


def make_header(factory: MessageFactory, stamp_ns: int, frame_id: str) -> Any:
    """Make a `std_msgs/Header`."""
    return factory.make("std_msgs/msg/Header", stamp=make_time(factory, stamp_ns), frame_id=frame_id)
