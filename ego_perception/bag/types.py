"""Message types of recordings: the Jazzy type store of `rosbags` with our own interfaces, and the factory of its messages."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from ego_perception.errors import BagError
from ego_perception.resources import share_dir

_PACKAGE = "ego_msgs"
_NUMPY = {"byte": "uint8", "octet": "uint8", "char": "uint8", "bool": "bool", "float32": "float32", "float64": "float64"}
_ROS_DEFAULTS: dict[tuple[str, str], Any] = {("geometry_msgs/msg/Quaternion", "w"): 1.0}
"""Defaults that the .msg files declare and `rosbags` does not keep."""


@functools.cache
def jazzy_types() -> Typestore:
    """The types of ROS 2 Jazzy and of `ego_msgs`, shared by all readers and writers: never register more.

    Raises:
        BagError: the interface files of `ego_msgs` are nowhere to be found.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for path in sorted(_interface_folder().glob("*.msg")):
        types |= get_types_from_msg(path.read_text(encoding="utf-8"), f"{_PACKAGE}/msg/{path.stem}")
    store.register(types)
    return store


def _interface_folder() -> Path:
    """The folder of the .msg files: in a clone inside the package root, else installed under a prefix."""
    share = share_dir()
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    folders = [share / _PACKAGE, share.parent / _PACKAGE, *(prefix / "share" / _PACKAGE for prefix in prefixes)]
    for folder in folders:
        if (folder / "msg" / "NodeStatus.msg").is_file():
            return folder / "msg"
    raise BagError(f"the interfaces of {_PACKAGE} are not installed; run `./ego setup` or build the workspace")


class RosbagsFactory:
    """Makes messages of the classes that `rosbags` writes; keeps arrays by reference."""

    def __init__(self, store: Typestore | None = None) -> None:
        self._store = store or jazzy_types()
        self._fields: dict[str, list[tuple[str, Callable[[], Any]]]] = {}

    def make(self, type_name: str, **fields: Any) -> Any:
        """Make one message; see `MessageFactory`."""
        known = self._fields.get(type_name)
        if known is None:
            known = self._fields[type_name] = self._makers(type_name)
        values = {name: fields.pop(name) if name in fields else default() for name, default in known}
        if fields:
            raise TypeError(f"{type_name} has no field '{min(fields)}'")
        for name, value in values.items():
            if isinstance(value, bytes):
                # A ROS `byte` is bytes of length one in rclpy and an integer here.
                values[name] = value[0]
        return self._store.types[type_name](**values)

    def _makers(self, type_name: str) -> list[tuple[str, Callable[[], Any]]]:
        return [(name, self._default(type_name, name, kind)) for name, kind in self._store.fielddefs[type_name][1]]

    def _default(self, type_name: str, name: str, kind: Any) -> Callable[[], Any]:
        """A function that gives a fresh default of one field."""
        if (type_name, name) in _ROS_DEFAULTS:
            value = _ROS_DEFAULTS[type_name, name]
            return lambda: value
        node, argument = kind
        if node is Nodetype.BASE:
            zero = {"string": "", "bool": False, "float32": 0.0, "float64": 0.0}.get(argument[0], 0)
            return lambda: zero
        if node is Nodetype.NAME:
            return lambda: self.make(argument)
        (element, element_argument), length = argument
        length = length if node is Nodetype.ARRAY else 0
        if element is Nodetype.BASE and element_argument[0] != "string":
            dtype = np.dtype(_NUMPY.get(element_argument[0], element_argument[0]))
            return lambda: np.zeros(length, dtype)
        one = self._default("", "", (element, element_argument))
        return lambda: [one() for _ in range(length)]
