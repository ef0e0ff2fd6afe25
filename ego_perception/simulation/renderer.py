"""Owns the GL context and draws colour, depth and ids. One context per process and thread; free it by `close` or `with`."""

from __future__ import annotations

import atexit
import importlib
import math
import os
import weakref
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import SimulationError
from ego_perception.simulation.backend import mujoco
from ego_perception.simulation.scene import FAR_M, NEAR_M, Scene

_MAX_GEOMS = 6000
_open: weakref.WeakSet[Renderer] = weakref.WeakSet()


@dataclass(frozen=True, eq=False)
class Rendering:
    """One view.

    Attributes:
        rgb: (H, W, 3) uint8.
        depth: (H, W) float32 metres along the optical axis at each pixel's centre, 0 where there is nothing.
        geom: (H, W) int32 index of the geom, -1 where there is nothing.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    geom: NDArray[np.int32]


def _context_class() -> Any:
    """The GL context class that MUJOCO_GL names, also where MuJoCo was imported before that was set."""
    backend = os.environ.get("MUJOCO_GL", "")
    if backend in ("osmesa", "egl"):
        return importlib.import_module(f"mujoco.{backend}").GLContext
    return mujoco.GLContext


class Renderer:
    """Draws scenes at one image size.

    Colour is rendered at `supersample` times the size and averaged; depth and ids are sampled at pixel centres, never blended.

    Raises:
        SimulationError: on construction, where no off-screen GL context can be made.
    """

    def __init__(self, width: int, height: int, *, supersample: int = 2) -> None:
        self._size, self._factor = (width, height), supersample
        self._gl: Any = None
        self._context: Any = None
        self._scene: Scene | None = None
        try:
            self._gl = _context_class()(width * supersample, height * supersample)
            self._gl.make_current()
        except Exception as error:  # PyOpenGL, EGL and ctypes raise unrelated types here
            raise SimulationError(
                f"no off-screen GL context of {width * supersample}x{height * supersample} px ({error}); "
                "install libosmesa6 and set MUJOCO_GL=osmesa"
            ) from error
        _open.add(self)

    @property
    def offscreen(self) -> tuple[int, int]:
        """Width and height of the largest buffer, pixels; scenes are compiled for it."""
        return self._size[0] * self._factor, self._size[1] * self._factor

    def load(self, scene: Scene) -> None:
        """Upload a scene; the one before is released."""
        self._release_scene()
        self._gl.make_current()
        try:
            self._context = mujoco.MjrContext(scene.model, mujoco.mjtFontScale.mjFONTSCALE_100)
        except mujoco.FatalError as error:
            raise SimulationError(f"the GL back-end '{os.environ.get('MUJOCO_GL', '')}' cannot draw: {error}") from error
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._data = mujoco.MjData(scene.model)
        mujoco.mj_kinematics(scene.model, self._data)
        self._view = mujoco.MjvScene(scene.model, _MAX_GEOMS)
        self._view.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._view.flags[mujoco.mjtRndFlag.mjRND_SKYBOX] = 0
        self._option, self._camera = mujoco.MjvOption(), mujoco.MjvCamera()
        self._camera.type, self._camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, 0
        self._scene = scene

    def render(self, T_world_cam: NDArray[np.float64], fov_y_rad: float) -> Rendering:
        """Draw the loaded scene from a (4, 4) camera-to-world pose in optical axes.

        Raises:
            SimulationError: no scene is loaded, or the renderer is closed.
        """
        self._aim(T_world_cam, fov_y_rad)
        rgb, _ = self._draw(self._factor)
        flags = self._view.flags
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 1
        ids, z = self._draw(1)
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 0
        depth = np.where(z > 0, NEAR_M * FAR_M / (NEAR_M + z * (FAR_M - NEAR_M)), np.float32(0))
        if self._factor > 1:
            rgb = np.asarray(cv2.resize(rgb, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        return Rendering(rgb, depth.astype(np.float32), self._geom_ids(ids))

    def close(self) -> None:
        """Free the GL objects; further calls do nothing."""
        self._release_scene()
        if self._gl is not None:
            self._gl.free()
            self._gl = None

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _release_scene(self) -> None:
        if self._context is not None:
            self._context.free()
        self._context = self._scene = None

    def _aim(self, T_world_cam: NDArray[np.float64], fov_y_rad: float) -> None:
        if self._scene is None or self._gl is None:
            raise SimulationError("the renderer is closed or has no scene; load one before rendering")
        model = self._scene.model
        model.cam_fovy[0] = math.degrees(fov_y_rad)
        model.cam_pos[0] = T_world_cam[:3, 3]
        # MuJoCo cameras look along -z with y up.
        mujoco.mju_mat2Quat(model.cam_quat[0], (T_world_cam[:3, :3] * np.array([1.0, -1.0, -1.0])).ravel())
        mujoco.mj_kinematics(model, self._data)
        mujoco.mj_camlight(model, self._data)
        category = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(model, self._data, self._option, None, self._camera, category, self._view)

    def _draw(self, factor: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        width, height = self._size[0] * factor, self._size[1] * factor
        rect = mujoco.MjrRect(0, 0, width, height)
        rgb, z = np.empty((height, width, 3), np.uint8), np.empty((height, width), np.float32)
        self._gl.make_current()
        mujoco.mjr_render(rect, self._view, self._context)
        mujoco.mjr_readPixels(rgb, z, rect, self._context)
        return np.ascontiguousarray(rgb[::-1]), z[::-1]

    def _geom_ids(self, ids: NDArray[np.uint8]) -> NDArray[np.int32]:
        wide = ids.astype(np.int32)
        segment = wide[..., 0] + 256 * wide[..., 1] + 65536 * wide[..., 2]
        table = np.full(self._view.ngeom + 2, -1, np.int32)
        for geom in self._view.geoms[: self._view.ngeom]:
            if geom.segid >= 0 and geom.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                table[geom.segid + 1] = geom.objid
        return table[np.clip(segment, 0, len(table) - 1)]


@atexit.register
def _close_all() -> None:
    """Free what was left open while the GL library is still loaded; later it would print a traceback or abort."""
    for renderer in list(_open):
        renderer.close()
