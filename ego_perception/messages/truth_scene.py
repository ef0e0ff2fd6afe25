"""What belongs to a whole clip as latched messages: surface points with normals, and the names of instances and classes."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import SceneLabel
from ego_perception.errors import FrameError
from ego_perception.messages.factory import MessageFactory, make_header

_FLOAT32: Final = 7
_FIELDS: Final = ("x", "y", "z", "normal_x", "normal_y", "normal_z")
_POINT_STEP: Final = 4 * len(_FIELDS)


def normals_message(
    factory: MessageFactory, points: NDArray[np.float32], normals: NDArray[np.float32], stamp_ns: int, frame_id: str
) -> Any:
    """Make an unorganised PointCloud2 of (N, 3) points and unit normals, with PCL's field names."""
    rows = np.concatenate([points, normals], axis=1).astype("<f4")
    return factory.make(
        "sensor_msgs/msg/PointCloud2",
        header=make_header(factory, stamp_ns, frame_id),
        height=1,
        width=len(rows),
        fields=[
            factory.make("sensor_msgs/msg/PointField", name=name, offset=4 * i, datatype=_FLOAT32, count=1)
            for i, name in enumerate(_FIELDS)
        ],
        is_bigendian=False,
        point_step=_POINT_STEP,
        row_step=_POINT_STEP * len(rows),
        data=np.ascontiguousarray(rows).reshape(-1).view(np.uint8),
        is_dense=True,
    )


def normals_from(msg: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read a cloud that `normals_message` made: points and normals, (N, 3) each.

    Raises:
        FrameError: a cloud of another layout, or cut short.
    """
    layout = tuple((str(f.name), int(f.offset), int(f.datatype)) for f in msg.fields)
    data = np.frombuffer(msg.data, np.uint8)
    count = int(msg.width) * int(msg.height)
    wanted = tuple((name, 4 * i, _FLOAT32) for i, name in enumerate(_FIELDS))
    if layout != wanted or msg.is_bigendian or int(msg.point_step) != _POINT_STEP or data.size < count * _POINT_STEP:
        raise FrameError(f"a cloud with fields {', '.join(name for name, _, _ in layout)} and {data.size} bytes has no normals")
    rows = data[: count * _POINT_STEP].view("<f4").reshape(count, len(_FIELDS))
    return rows[:, :3].astype(np.float32), rows[:, 3:].astype(np.float32)


def names_message(factory: MessageFactory, instance_names: tuple[str, ...]) -> Any:
    """Make a String with JSON: `instances` lists the name of each number, `classes` the number of each class."""
    classes = {label.name.lower(): int(label) for label in SceneLabel}
    return factory.make("std_msgs/msg/String", data=json.dumps({"instances": list(instance_names), "classes": classes}))


def names_from(msg: Any) -> tuple[str, ...]:
    """Read the instance names.

    Raises:
        FrameError: another text.
    """
    try:
        return tuple(str(name) for name in json.loads(msg.data)["instances"])
    except (ValueError, KeyError, TypeError) as error:
        raise FrameError(f"instance names cannot be read: {error}") from error
