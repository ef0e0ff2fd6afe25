"""Weight files: safetensors with a description inside, a manifest with checksums, and checks that name what is wrong.

`weights.store`, which reads and writes tensors, needs torch and is imported by its own name.
"""

from ego_perception.weights.info import WeightsInfo, read_info
from ego_perception.weights.manifest import (
    ManifestEntry,
    read_manifest,
    sha256_of,
    shipped_weights,
    verify_weights,
    write_manifest,
)

__all__ = [
    "ManifestEntry",
    "WeightsInfo",
    "read_info",
    "read_manifest",
    "sha256_of",
    "shipped_weights",
    "verify_weights",
    "write_manifest",
]
