"""Messages of real rclpy classes, behind the factory that `ego_perception.messages` builds against.

Two traps decide the form. Assigning a numpy array to a `uint8[]` field iterates byte by byte (190-260 ms for one 640x480
image), so arrays become `array.array` through one memory copy. And an unchecked setter copies that once more, while with
`check_fields` an `array.array` of the right type is kept by reference.
"""

from __future__ import annotations

import array
import functools
import importlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_TYPECODES: Final = {
    "uint8": "B",
    "octet": "B",
    "int8": "b",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "float": "f",
    "double": "d",
}


class RclpyFactory:
    """Makes messages of the classes that rclpy publishes."""

    def make(self, type_name: str, **fields: Any) -> Any:
        """Build a message, such as `make("sensor_msgs/msg/Image", height=480, data=pixels)`.

        Args:
            type_name: package, "msg" and name, separated by slashes.
            fields: values; numpy arrays, bytes and memory views are accepted for arrays of numbers.
        """
        cls = message_class(type_name)
        sequences = _numeric_sequences(cls)
        by_reference = False
        for name, value in fields.items():
            if name in sequences and isinstance(value, (np.ndarray, bytes, bytearray, memoryview)):
                fields[name] = to_array(value, sequences[name])
                by_reference = True
        return cls(check_fields=True, **fields) if by_reference else cls(**fields)


@functools.cache
def message_class(type_name: str) -> Any:
    """Look up a message class by name, such as "nav_msgs/msg/Odometry"."""
    package, _, name = type_name.partition("/msg/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


def to_array(value: NDArray[Any] | bytes | bytearray | memoryview, typecode: str) -> array.array[Any]:
    """Copy a buffer into an `array.array` in one block.

    Raises:
        ValueError: the buffer's items have another size than the field's.
    """
    if isinstance(value, np.ndarray):
        value = np.ascontiguousarray(value).reshape(-1)
        if value.itemsize != array.array(typecode).itemsize:
            raise ValueError(f"array of {value.dtype} does not fit a field of type code '{typecode}'")
        value = value.data
    out = array.array(typecode)
    out.frombytes(value.cast("B") if isinstance(value, memoryview) else value)
    return out


@functools.cache
def _numeric_sequences(cls: Any) -> dict[str, str]:
    """Fields that are unbounded arrays of numbers, with their type codes."""
    found = {}
    for name, kind in cls.get_fields_and_field_types().items():
        if kind.startswith("sequence<"):
            element = kind[len("sequence<") :].partition(">")[0].partition(",")[0]
            if element in _TYPECODES:
                found[name] = _TYPECODES[element]
    return found
