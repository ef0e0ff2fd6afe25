"""Owns the GL context and draws colour, depth and numbers. One context per process and thread; free it by `close` or `with`."""

from __future__ import annotations

import atexit
import math
import weakref
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import SimulationError
from ego_perception.geometry import invert
from ego_perception.simulation import shaders
from ego_perception.simulation.gl import GL, Canvas, Program, clear, make_context
from ego_perception.simulation.lighting import clip_matrix
from ego_perception.simulation.loaded import LoadedScene, Shown
from ego_perception.simulation.scene import FAR_M, NEAR_M, Scene
from ego_perception.simulation.world import WorldState

MAX_FOV_RAD: Final = math.radians(150)
MAX_SIDE_PX: Final = 8192
_IDS: Final = (GL.GL_R16UI, GL.GL_R32F)
_SURFACES: Final = (GL.GL_RGBA8, GL.GL_RGBA8, GL.GL_RGBA8, GL.GL_R32F)
_COLOURS: Final = ((GL.GL_RGBA8,) * 2, (GL.GL_RGBA8,) * 3)
"""Images that are lit, without and with the background."""
_FIRST_UNIT: Final = 4
_MAX_CANVASES: Final = 12
_open: weakref.WeakSet[Renderer] = weakref.WeakSet()


@dataclass(frozen=True, eq=False)
class Rendering:
    """One view.

    Attributes:
        rgb: (H, W, 3) uint8; black where colour was not asked for.
        depth: (H, W) float32 metres along the optical axis at each pixel's centre, 0 where there is nothing.
        classes: (H, W) uint8 `SceneLabel` values.
        instances: (H, W) uint16, what `Scene.instance_names` counts.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    classes: NDArray[np.uint8]
    instances: NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class FramePlates:
    """A view with its clean plates.

    Attributes:
        view: everything.
        clean: (H, W, 3) uint8 without the wearer, or the wearer's arms, and without the wearer's shadow; `clean_depth`
            (H, W) float32 belongs to it.
        clean_shadowed: (H, W, 3) uint8 without the same, but with the shadow.
        background: (H, W, 3) uint8 without wearer, people and held objects, and `background_depth`; None where not asked for.
    """

    view: Rendering
    clean: NDArray[np.uint8]
    clean_shadowed: NDArray[np.uint8]
    clean_depth: NDArray[np.float32]
    background: NDArray[np.uint8] | None = None
    background_depth: NDArray[np.float32] | None = None


class _Camera:
    """A pinhole camera as the shaders want it.

    Raises:
        SimulationError: a field of view or a size that cannot be drawn, or a pose that is not finite.
    """

    def __init__(self, T_world_cam: NDArray[np.float64], fov_y_rad: float, size: tuple[int, int]) -> None:
        if not 0 < fov_y_rad <= MAX_FOV_RAD:
            raise SimulationError(f"a field of view of {math.degrees(fov_y_rad):.1f} deg cannot be drawn; choose 1 to 150")
        if min(size) < 1 or max(size) > MAX_SIDE_PX:
            raise SimulationError(f"an image of {size[0]}x{size[1]} px cannot be drawn; sides run from 1 to {MAX_SIDE_PX}")
        if T_world_cam.shape != (4, 4) or not np.isfinite(T_world_cam).all():
            raise SimulationError(f"the camera pose must be a finite (4, 4) matrix, got shape {T_world_cam.shape}")
        self.size, self._T_world_cam = size, T_world_cam
        self._half_width, self._half_height = math.tan(fov_y_rad / 2) * size[0] / size[1], math.tan(fov_y_rad / 2)

    @property
    def eye(self) -> NDArray[np.float64]:
        """(3,) optical centre in the world."""
        return self._T_world_cam[:3, 3]

    @property
    def clip_from_world(self) -> NDArray[np.float64]:
        """(4, 4) projection."""
        return clip_matrix(1 / self._half_width, 1 / self._half_height, NEAR_M, FAR_M) @ invert(self._T_world_cam)

    def ray_steps(self, width: int, height: int) -> NDArray[np.float64]:
        """(3, 3): ray of depth 1 m through the upper left corner of an image of this size, its step per column and per row."""
        w, h = self._half_width, self._half_height
        return np.array([[-w, -h, 1.0], [2 * w / width, 0, 0], [0, 2 * h / height, 0]]) @ self._T_world_cam[:3, :3].T


class Renderer:
    """Draws scenes.

    Colour is rendered at `supersample` times the size and averaged; depth and numbers are sampled at pixel centres, never
    blended. A pixel has the same bytes with and without the wearer, unless the wearer or the wearer's shadow is on it.

    Args:
        width, height: the usual size of an image; `render` takes others.
        shadow_map_px: side of the shadow map; 0 draws no shadows.
        ambient_occlusion: darken corners and the ground under things.

    Raises:
        SimulationError: on construction, where no off-screen GL context can be made.
    """

    def __init__(
        self, width: int, height: int, *, supersample: int = 2, shadow_map_px: int = 1024, ambient_occlusion: bool = True
    ) -> None:
        self._size, self._factor = (width, height), supersample
        self._shadow_px, self._occlusion = shadow_map_px, float(ambient_occlusion)
        self._loaded: LoadedScene | None = None
        self._canvases: dict[tuple[int, int, tuple[Any, ...]], Canvas] = {}
        self._gl: Any = make_context()
        _open.add(self)
        self._ids = Program(shaders.VERTEX, shaders.IDS)
        self._surface = Program(shaders.VERTEX, shaders.SURFACE)
        self._lights = [Program(shaders.WHOLE_IMAGE, text) for text in (shaders.LIGHT, shaders.LIGHT_WITH_BACKGROUND)]
        GL.glEnable(GL.GL_DEPTH_TEST)

    @property
    def size(self) -> tuple[int, int]:
        """Usual width and height, pixels."""
        return self._size

    def load(self, scene: Scene) -> None:
        """Upload a scene; the one before is released. Nobody is in it until `pose` says where."""
        self._current()
        if self._loaded is not None:
            self._loaded.free()
            self._loaded = None
        self._loaded = LoadedScene(scene, self._shadow_px)

    def pose(self, world: WorldState) -> None:
        """Put everything that moves in its place.

        Raises:
            SimulationError: no scene is loaded, or the renderer is closed.
        """
        self._ready().pose(world)

    def render(
        self,
        T_world_cam: NDArray[np.float64],
        fov_y_rad: float,
        *,
        wearer: bool = True,
        people: bool = True,
        held: bool = True,
        wearer_shadow: bool | None = None,
        colour: bool = True,
        size: tuple[int, int] | None = None,
    ) -> Rendering:
        """Draw the loaded scene from a (4, 4) camera-to-world pose in optical axes.

        Args:
            wearer, people, held: False leaves out the wearer, other people, or held objects, with their shadows.
            wearer_shadow: keep or drop the wearer's shadow; None: as `wearer`.
            colour: False leaves `rgb` black and saves most of the time.
            size: width and height of the image, pixels; None: the usual one.

        Raises:
            SimulationError: no scene is loaded, the renderer is closed, or the camera is impossible.
        """
        scene, size = self._ready(), size or self._size
        shown = Shown(wearer, people, held)
        camera = _Camera(T_world_cam, fov_y_rad, size)
        rgb = np.zeros((size[1], size[0], 3), np.uint8)
        if colour:
            self._draw_colour(scene, shown, camera)
            keeps_shadow = wearer if wearer_shadow is None else wearer_shadow
            rgb = self._smaller(self._read_colour(size, 0 if keeps_shadow else 1), size)
        return self._view(scene, shown, camera, rgb)

    def render_plates(
        self,
        T_world_cam: NDArray[np.float64],
        fov_y_rad: float,
        *,
        keep_body: bool = False,
        background: bool = False,
        size: tuple[int, int] | None = None,
    ) -> FramePlates:
        """Draw everything, and the same without the wearer in both forms, in little more time than the first alone.

        Args:
            keep_body: the clean plates lack only the wearer's hands and arms.
            background: also without people and held objects.

        Raises:
            SimulationError: as `render`.
        """
        scene, camera = self._ready(), _Camera(T_world_cam, fov_y_rad, size or self._size)
        self._draw_colour(scene, Shown(), camera, background=background)
        full, unshadowed = (self._read_colour(camera.size, slot, background) for slot in (0, 1))
        owner = full[..., 3]
        view = self._view(scene, Shown(), camera, self._smaller(full, camera.size))
        bare = self._read_colour(camera.size, 2, background) if background else None
        shadowed, clean, clean_depth = view.rgb, self._smaller(unshadowed, camera.size), view.depth
        if (owner == 0).any():
            shown = Shown(arms=False) if keep_body else Shown(wearer=False)
            self._draw_colour(scene, shown, camera, _bounds(owner == 0))
            shadowed, clean = (self._patched(image, owner == 0, slot, camera) for slot, image in ((0, full), (1, unshadowed)))
            clean_depth = self._view(scene, shown, camera, view.rgb).depth
        if bare is None:
            return FramePlates(view, clean, shadowed, clean_depth)
        if not (owner < 255).any():
            return FramePlates(view, clean, shadowed, clean_depth, self._smaller(bare, camera.size), view.depth)
        shown = Shown(wearer=False, people=False, held=False)
        self._draw_colour(scene, shown, camera, _bounds(owner < 255))
        # Nobody is left to cast a shadow, so here the second image is what the third is in the first drawing.
        still = self._patched(bare, owner < 255, 1, camera)
        return FramePlates(view, clean, shadowed, clean_depth, still, self._view(scene, shown, camera, view.rgb).depth)

    def _patched(self, image: NDArray[np.uint8], mask: NDArray[np.bool_], slot: int, camera: _Camera) -> NDArray[np.uint8]:
        """The image with what was drawn last where the mask is True, in the size asked for."""
        return self._smaller(np.where(mask[..., None], self._read_colour(camera.size, slot), image), camera.size)

    def close(self) -> None:
        """Free the GL objects; further calls do nothing."""
        if self._gl is None:
            return
        self._current()
        if self._loaded is not None:
            self._loaded.free()
        for canvas in self._canvases.values():
            canvas.free()
        for program in (self._ids, self._surface, *self._lights):
            program.free()
        self._loaded, self._canvases = None, {}
        self._gl.free()
        self._gl = None

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _current(self) -> None:
        if self._gl is None:
            raise SimulationError("the renderer is closed; make another one")
        self._gl.make_current()

    def _ready(self) -> LoadedScene:
        if self._gl is None or self._loaded is None:
            raise SimulationError("the renderer is closed or has no scene; load one before rendering")
        self._current()
        return self._loaded

    def _canvas(self, width: int, height: int, formats: tuple[Any, ...]) -> Canvas:
        key = (width, height, formats)
        if key not in self._canvases:
            if len(self._canvases) >= _MAX_CANVASES:  # sizes change rarely; the oldest goes
                self._canvases.pop(next(iter(self._canvases))).free()
            self._canvases[key] = Canvas(width, height, formats)
        return self._canvases[key]

    def _draw_colour(
        self,
        scene: LoadedScene,
        shown: Shown,
        camera: _Camera,
        box: tuple[int, int, int, int] | None = None,
        *,
        background: bool = False,
    ) -> None:
        """Draw the colour images; with a `box` (x, y, width, height) only that part of them."""
        scene.draw_shadows(shown)
        width, height = (side * self._factor for side in camera.size)
        surfaces, target = self._canvas(width, height, _SURFACES), self._canvas(width, height, _COLOURS[background])
        GL.glEnable(GL.GL_SCISSOR_TEST)
        GL.glScissor(*(box or (0, 0, width, height)))
        clip = camera.clip_from_world
        surfaces.use()
        clear({0: (0, 0, 0, 1), 3: (0, 0, 0, 0)})
        self._surface.use()
        self._surface.set("clip_from_world", clip)
        self._surface.set("eye", camera.eye)
        scene.draw_surfaces(self._surface, shown, clip)
        target.use()
        light = self._lights[background]
        light.use()
        scene.light(light)
        for slot, name in enumerate(("paint", "normal", "finish", "depth_m")):
            surfaces.bind(slot, _FIRST_UNIT + slot)
            light.set(name, _FIRST_UNIT + slot)
        light.set("eye", camera.eye)
        light.set("ray", camera.ray_steps(width, height))
        light.set("occlusion", self._occlusion)
        GL.glDisable(GL.GL_DEPTH_TEST)
        GL.glDrawArrays(GL.GL_TRIANGLES, 0, 3)
        GL.glEnable(GL.GL_DEPTH_TEST)
        GL.glDisable(GL.GL_SCISSOR_TEST)

    def _read_colour(self, size: tuple[int, int], slot: int, background: bool = False) -> NDArray[np.uint8]:
        width, height = size[0] * self._factor, size[1] * self._factor
        canvas = self._canvas(width, height, _COLOURS[background])
        canvas.use()
        return canvas.read(slot, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE, np.empty((height, width, 4), np.uint8))

    def _smaller(self, image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        if self._factor > 1:
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        return np.ascontiguousarray(image[..., :3])

    def _view(self, scene: LoadedScene, shown: Shown, camera: _Camera, rgb: NDArray[np.uint8]) -> Rendering:
        canvas = self._canvas(*camera.size, _IDS)
        canvas.use()
        GL.glClearBufferuiv(GL.GL_COLOR, 0, np.zeros(4, np.uint32))
        clear({1: (0, 0, 0, 0)})
        self._ids.use()
        clip = camera.clip_from_world
        self._ids.set("clip_from_world", clip)
        scene.draw(self._ids, shown, clip)
        shape = (camera.size[1], camera.size[0])
        instances = canvas.read(0, GL.GL_RED_INTEGER, GL.GL_UNSIGNED_SHORT, np.empty(shape, np.uint16))
        depth = canvas.read(1, GL.GL_RED, GL.GL_FLOAT, np.empty(shape, np.float32))
        return Rendering(rgb, depth, scene.classes()[instances], instances)


def _bounds(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """(x, y, width, height) of what is True."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


@atexit.register
def _close_all() -> None:
    """Free what was left open while the GL library is still loaded; later it would print a traceback or abort."""
    for renderer in list(_open):
        renderer.close()
