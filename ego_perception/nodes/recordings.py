"""Opens what the player node can play."""

from __future__ import annotations

from pathlib import Path

from ego_perception.errors import ConfigError, SourceError
from ego_perception.runtime import Source

_BAG_SUFFIXES = (".mcap", ".db3")


def open_recording(spec: str, image_topic: str = "") -> Source:
    """Open a bag, a video, a folder of images, or `sim:SEED`.

    Args:
        spec: a path, or `sim:` and a number.
        image_topic: of a bag; empty chooses by name.

    Raises:
        ConfigError: an empty or malformed specification.
        SourceError, BagError: nothing there, or nothing that can be read.
    """
    if not spec:
        raise ConfigError("nothing to play; set the parameter source to a bag, a video, a folder of images or sim:SEED")
    if spec.startswith("sim:"):
        from ego_perception.simulation import EgoSimConfig, SimSource

        seed = spec.removeprefix("sim:")
        if not seed.isdecimal():
            raise ConfigError(f"source is '{spec}'; after sim: comes a seed, such as sim:7")
        return SimSource(EgoSimConfig(seed=int(seed)))
    path = Path(spec).expanduser()
    if not path.exists():
        raise SourceError(f"source '{path}' does not exist")
    if path.suffix in _BAG_SUFFIXES or (path.is_dir() and _holds_bag(path)):
        from ego_perception.bag import BagSource, BagTopics

        return BagSource(path, BagTopics(image=image_topic or None))
    if path.is_dir():
        from ego_perception.data.folder import FolderSource

        return FolderSource(path)
    from ego_perception.data.video import VideoSource

    return VideoSource(path)


def _holds_bag(folder: Path) -> bool:
    return (folder / "metadata.yaml").is_file() or any(next(folder.glob(f"*{suffix}"), None) for suffix in _BAG_SUFFIXES)
