"""The parametric body as plain arrays: a mesh, ten shape directions, skinning weights and a joint regressor.

The layout is SMPL's (Loper et al., SIGGRAPH Asia 2015). `load_body()` gives the body that ships with the package, which was
made by `ego_perception.body.generate` and needs no licence; with a path it reads an official SMPL file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import EgoPerceptionError
from ego_perception.resources import models_dir

Array = NDArray[np.float64]

SHIPPED_NAME: Final = "egobody.npz"
NUM_BETAS: Final = 10

SHAPE_NAMES: Final = (
    "stature", "girth", "leg length", "shoulder width", "hip width", "belly", "arm length", "chest depth", "head size",
    "limb girth",
)  # fmt: skip
"""What each coefficient of the shipped body does; positive is more. Official SMPL files have nameless principal components."""


class BodyError(EgoPerceptionError):
    """A body-model file that is missing, damaged, or of another kind."""


@dataclass(frozen=True, eq=False)
class BodyModel:
    """One parametric body; arrays are read-only.

    Attributes:
        v_template: (V, 3) vertices of the mean shape in the rest pose, metres; x to the person's left, y up, z forward.
        faces: (F, 3) int64 vertex indices, counter-clockwise seen from outside.
        shapedirs: (V, 3, 10) displacement of each vertex per unit of each shape coefficient, metres.
        posedirs: (V, 3, 207) pose-dependent correctives, metres; None when there are none (the shipped body).
        joint_regressor: (24, V), joints as weighted means of vertices.
        weights: (V, 24) skinning weights, rows sum to 1.
        parents: (24,) int64, -1 for the root.
        name: stem of the file it came from.
        sha256: of that file; shape coefficients and trained networks belong to one body.
    """

    v_template: Array
    faces: NDArray[np.int64]
    shapedirs: Array
    posedirs: Array | None
    joint_regressor: Array
    weights: Array
    parents: NDArray[np.int64]
    name: str
    sha256: str

    def shaped(self, betas: Array) -> Array:
        """Vertices of a shape in the rest pose, (V, 3) metres."""
        coefficients = np.asarray(betas, dtype=np.float64)
        vertices: Array = self.v_template + self.shapedirs[..., : len(coefficients)] @ coefficients
        return vertices

    def rest_joints(self, betas: Array) -> Array:
        """Joints of a shape in the rest pose, (24, 3) metres; equal to the regressor on `shaped(betas)` but faster."""
        coefficients = np.asarray(betas, dtype=np.float64)
        mean, directions = self._joint_space
        joints: Array = mean + directions[..., : len(coefficients)] @ coefficients
        return joints

    @cached_property
    def _joint_space(self) -> tuple[Array, Array]:
        """Joints of the mean shape (24, 3) and their change per coefficient (24, 3, 10)."""
        directions = np.tensordot(self.joint_regressor, self.shapedirs, axes=(1, 0))
        return self.joint_regressor @ self.v_template, directions


def load_body(path: Path | str | None = None, gender: str = "neutral") -> BodyModel:
    """Load a body; the same path is read once per process.

    Args:
        path: an `.npz` or `.pkl` file in SMPL's format, or a folder of official files; None for the shipped body.
        gender: "neutral", "male" or "female": which file of a folder.

    Raises:
        BodyError: missing, truncated, not finite, not SMPL, or a pickle that asks for code.
    """
    place = models_dir() / SHIPPED_NAME if path is None else Path(path)
    return _load(place.resolve(), gender)


@lru_cache(maxsize=8)
def _load(path: Path, gender: str) -> BodyModel:
    from ego_perception.body.files import find_body_file, read_body_file

    return read_body_file(find_body_file(path, gender))
