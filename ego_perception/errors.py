"""The root of every error this package raises on purpose.

A message is one line that says what is wrong, which value it has, and what to do. Each package derives one class, so a
caller can catch `EgoPerceptionError` at a border and print it without a traceback.
"""

from __future__ import annotations


class EgoPerceptionError(Exception):
    """Root of all expected errors; its message is meant for the user."""


class CalibrationError(EgoPerceptionError):
    """Camera intrinsics that cannot describe a camera, or that do not fit the image."""


class ConfigError(EgoPerceptionError):
    """An unknown parameter, or a value outside its declared range."""


class FrameError(EgoPerceptionError):
    """One frame that cannot be used: undecodable, empty, of an unsupported encoding."""


class SourceError(EgoPerceptionError):
    """An input (video, folder, webcam) that cannot be opened or read."""


class BagError(EgoPerceptionError):
    """A recording that cannot be opened, read or written."""


class WeightsError(EgoPerceptionError):
    """A weight file that is missing, damaged, or made for another model."""


class OutputError(EgoPerceptionError):
    """A result that cannot be written: full disk, no permission."""


class SimulationError(EgoPerceptionError):
    """An impossible simulator configuration, or no usable GL back-end."""


class SetupError(EgoPerceptionError):
    """A set-up step of `./ego` that failed."""
