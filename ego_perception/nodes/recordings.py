"""Opens what the player node can play."""

from __future__ import annotations

from ego_perception.errors import ConfigError
from ego_perception.runtime import Source
from ego_perception.sources import open_source


def open_recording(spec: str, image_topic: str = "") -> Source:
    """Open a recording or a simulated walk.

    Args:
        spec: as `sources.open_source` takes it.
        image_topic: of a bag; empty chooses by name.

    Raises:
        ConfigError: nothing was named.
        SourceError, BagError: nothing there, or nothing that can be read.
    """
    if not spec:
        raise ConfigError("nothing to play; set the parameter source to a bag, a video, a folder of images or sim:SEED")
    return open_source(spec, image_topic=image_topic or None)
