"""The few OpenGL objects that the renderer needs, each with a `free`. Import it only where a context is to be made."""

from __future__ import annotations

import ctypes
import importlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import SimulationError
from ego_perception.simulation.backend import mujoco  # chooses PyOpenGL's platform, so it comes before OpenGL

GL: Any = importlib.import_module("OpenGL.GL")


def make_context() -> Any:
    """Make an off-screen GL context and make it current; MUJOCO_GL chooses the kind.

    Raises:
        SimulationError: none can be made, or it has no OpenGL 4.5.
    """
    kind = os.environ.get("MUJOCO_GL", "")
    try:
        owner = importlib.import_module(f"mujoco.{kind}") if kind in ("osmesa", "egl") else mujoco
        context = owner.GLContext(16, 16)  # everything is drawn into buffers of our own
        context.make_current()
        version = (GL.glGetIntegerv(GL.GL_MAJOR_VERSION), GL.glGetIntegerv(GL.GL_MINOR_VERSION))
    except Exception as error:  # PyOpenGL, EGL and ctypes raise unrelated types here
        message = " ".join(str(error).split())
        raise SimulationError(f"no off-screen GL context ({message}); install libosmesa6 and set MUJOCO_GL=osmesa") from error
    if version < (4, 5):
        context.free()
        raise SimulationError(
            f"the GL back-end '{kind}' offers OpenGL {version[0]}.{version[1]} but 4.5 is needed; set MUJOCO_GL=osmesa"
        )
    return context


class Program:
    """A linked pair of vertex and fragment shader."""

    def __init__(self, vertex: str, fragment: str) -> None:
        self._id = GL.glCreateProgram()
        stages = [_compiled(GL.GL_VERTEX_SHADER, vertex), _compiled(GL.GL_FRAGMENT_SHADER, fragment)]
        for stage in stages:
            GL.glAttachShader(self._id, stage)
        GL.glLinkProgram(self._id)
        for stage in stages:
            GL.glDeleteShader(stage)
        if not GL.glGetProgramiv(self._id, GL.GL_LINK_STATUS):
            raise SimulationError(f"the GL back-end refuses a shader: {_log(GL.glGetProgramInfoLog(self._id))}")
        self._places: dict[str, int] = {}

    def use(self) -> None:
        """Draw with this program from now on."""
        GL.glUseProgram(self._id)

    def set(self, name: str, value: NDArray[np.floating] | Sequence[float] | float | int) -> None:
        """Set a uniform of the program in use: a number, a vector, rows of vectors (N, 3) or (N, 4), or a (4, 4) matrix."""
        place = self._place(name)
        if isinstance(value, int):
            GL.glUniform1i(place, value)
            return
        array = np.ascontiguousarray(value, np.float32)
        if array.shape == (4, 4):
            GL.glUniformMatrix4fv(place, 1, True, array)
        elif array.ndim == 2:
            (GL.glUniform3fv if array.shape[1] == 3 else GL.glUniform4fv)(place, len(array), array)
        else:
            (GL.glUniform1fv, GL.glUniform2fv, GL.glUniform3fv, GL.glUniform4fv)[array.size - 1](place, 1, array)

    def _place(self, name: str) -> int:
        if name not in self._places:
            self._places[name] = GL.glGetUniformLocation(self._id, name)
        return self._places[name]

    def free(self) -> None:
        """Delete it."""
        GL.glDeleteProgram(self._id)


def _compiled(kind: Any, source: str) -> Any:
    shader = GL.glCreateShader(kind)
    GL.glShaderSource(shader, source)
    GL.glCompileShader(shader)
    if not GL.glGetShaderiv(shader, GL.GL_COMPILE_STATUS):
        raise SimulationError(f"the GL back-end refuses a shader: {_log(GL.glGetShaderInfoLog(shader))}")
    return shader


def _log(message: bytes | str) -> str:
    text = message.decode(errors="replace") if isinstance(message, bytes) else message
    return " ".join(text.split())


class Mesh:
    """Vertices and triangles on the device.

    Args:
        vertices: structured array whose fields become the attributes 0, 1, 2 ... in order; integer fields stay integers.
        triangles: (F, 3) vertex indices.
    """

    def __init__(self, vertices: NDArray[np.void], triangles: NDArray[np.uint32]) -> None:
        self._array = GL.glGenVertexArrays(1)
        self._buffers = [GL.glGenBuffers(1), GL.glGenBuffers(1)]
        self._stride = vertices.dtype.itemsize
        GL.glBindVertexArray(self._array)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._buffers[0])
        GL.glBufferData(GL.GL_ARRAY_BUFFER, vertices.nbytes, vertices, GL.GL_DYNAMIC_DRAW)
        GL.glBindBuffer(GL.GL_ELEMENT_ARRAY_BUFFER, self._buffers[1])
        GL.glBufferData(GL.GL_ELEMENT_ARRAY_BUFFER, triangles.nbytes, np.ascontiguousarray(triangles), GL.GL_STATIC_DRAW)
        offset = 0
        for place, name in enumerate(vertices.dtype.names or ()):
            field = vertices.dtype[name]
            base, shape = field.subdtype or (field, (1,))
            GL.glEnableVertexAttribArray(place)
            pointer = ctypes.c_void_p(offset)
            if base.kind == "f":
                GL.glVertexAttribPointer(place, shape[0], GL.GL_FLOAT, False, self._stride, pointer)
            else:
                GL.glVertexAttribIPointer(place, shape[0], GL.GL_INT, self._stride, pointer)
            offset += field.itemsize

    def update(self, first: int, vertices: NDArray[np.void]) -> None:
        """Replace vertices from number `first` on."""
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, self._buffers[0])
        GL.glBufferSubData(GL.GL_ARRAY_BUFFER, first * self._stride, vertices.nbytes, np.ascontiguousarray(vertices))

    def draw(self, ranges: NDArray[np.integer]) -> None:
        """Draw ranges of triangles: (N, 2) the first one and how many."""
        if len(ranges) == 0:
            return
        GL.glBindVertexArray(self._array)
        counts = np.ascontiguousarray(3 * ranges[:, 1], np.int32)
        offsets = (ctypes.c_void_p * len(ranges))(*(12 * ranges[:, 0]).tolist())
        GL.glMultiDrawElements(GL.GL_TRIANGLES, counts, GL.GL_UNSIGNED_INT, offsets, len(ranges))

    def free(self) -> None:
        """Delete it."""
        GL.glDeleteVertexArrays(1, [self._array])
        GL.glDeleteBuffers(2, self._buffers)


class Texture:
    """A picture, a stack of pictures or a volume on the device; `kind` is its GL target."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.id = GL.glGenTextures(1)
        GL.glBindTexture(kind, self.id)
        GL.glPixelStorei(GL.GL_UNPACK_ALIGNMENT, 1)

    def bind(self, unit: int) -> None:
        """Make it the texture of a unit."""
        GL.glActiveTexture(GL.GL_TEXTURE0 + unit)
        GL.glBindTexture(self.kind, self.id)

    def _filters(self, small: Any, large: Any, wrap: Any) -> None:
        GL.glTexParameteri(self.kind, GL.GL_TEXTURE_MIN_FILTER, small)
        GL.glTexParameteri(self.kind, GL.GL_TEXTURE_MAG_FILTER, large)
        for axis in (GL.GL_TEXTURE_WRAP_S, GL.GL_TEXTURE_WRAP_T, GL.GL_TEXTURE_WRAP_R):
            GL.glTexParameteri(self.kind, axis, wrap)

    @classmethod
    def pictures(cls, stack: NDArray[np.uint8]) -> Texture:
        """(N, S, S, 3) pictures that repeat, with smaller copies for the distance."""
        out = cls(GL.GL_TEXTURE_2D_ARRAY)
        count, height, width = stack.shape[:3]
        data = np.full((count, height, width, 4), 255, np.uint8)  # four bytes are fetched faster than three
        data[..., :3] = stack
        GL.glTexImage3D(out.kind, 0, GL.GL_RGBA8, width, height, count, 0, GL.GL_RGBA, GL.GL_UNSIGNED_BYTE, data)
        GL.glGenerateMipmap(out.kind)
        out._filters(GL.GL_LINEAR_MIPMAP_NEAREST, GL.GL_LINEAR, GL.GL_REPEAT)
        return out

    @classmethod
    def volume(cls, values: NDArray[np.uint8]) -> Texture:
        """(Z, Y, X) values, sampled from 0 to 1 with linear interpolation."""
        out = cls(GL.GL_TEXTURE_3D)
        depth, height, width = values.shape
        data = np.ascontiguousarray(values)
        GL.glTexImage3D(out.kind, 0, GL.GL_R8, width, height, depth, 0, GL.GL_RED, GL.GL_UNSIGNED_BYTE, data)
        out._filters(GL.GL_LINEAR, GL.GL_LINEAR, GL.GL_CLAMP_TO_EDGE)
        return out

    @classmethod
    def layers(cls, size: int, count: int) -> Texture:
        """Square float layers to draw into."""
        out = cls(GL.GL_TEXTURE_2D_ARRAY)
        GL.glTexStorage3D(out.kind, 1, GL.GL_R32F, size, size, count)
        out._filters(GL.GL_NEAREST, GL.GL_NEAREST, GL.GL_CLAMP_TO_EDGE)
        return out

    @classmethod
    def buffer(cls, width: int, height: int, form: Any) -> Texture:
        """An image of a GL format to draw into."""
        out = cls(GL.GL_TEXTURE_2D)
        GL.glTexStorage2D(out.kind, 1, form, width, height)
        out._filters(GL.GL_NEAREST, GL.GL_NEAREST, GL.GL_CLAMP_TO_EDGE)
        return out

    def copy_layer(self, source: int, target: int) -> None:
        """Copy one layer over another."""
        size = GL.glGetTexLevelParameteriv(self.kind, 0, GL.GL_TEXTURE_WIDTH)
        GL.glCopyImageSubData(self.id, self.kind, 0, 0, 0, source, self.id, self.kind, 0, 0, 0, target, size, size, 1)

    @classmethod
    def table(cls, rows: NDArray[np.float32]) -> Texture:
        """(N, 4) numbers for `texelFetch(..., ivec2(row, 0), 0)`."""
        out = cls(GL.GL_TEXTURE_2D)
        data = np.ascontiguousarray(rows, np.float32)
        GL.glTexImage2D(out.kind, 0, GL.GL_RGBA32F, len(rows), 1, 0, GL.GL_RGBA, GL.GL_FLOAT, data)
        out._filters(GL.GL_NEAREST, GL.GL_NEAREST, GL.GL_CLAMP_TO_EDGE)
        return out

    def free(self) -> None:
        """Delete it."""
        GL.glDeleteTextures(1, [self.id])


class Canvas:
    """Colour buffers of one size with a depth buffer, drawn into together, then read back or sampled.

    Args:
        formats: GL formats of the colour buffers, such as GL_RGBA8.
        layers: a texture with layers to draw into instead, without a depth buffer; `use` then says which one.
    """

    def __init__(self, width: int, height: int, formats: Sequence[Any] = (), layers: Texture | None = None) -> None:
        self.size = (width, height)
        self._id = GL.glGenFramebuffers(1)
        self._depth = GL.glGenRenderbuffers(1) if layers is None else None
        self._buffers, self._layers = [Texture.buffer(width, height, form) for form in formats], layers
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._id)
        for slot, buffer in enumerate(self._buffers):
            GL.glFramebufferTexture2D(GL.GL_FRAMEBUFFER, GL.GL_COLOR_ATTACHMENT0 + slot, buffer.kind, buffer.id, 0)
        if layers is not None:
            GL.glFramebufferTextureLayer(GL.GL_FRAMEBUFFER, GL.GL_COLOR_ATTACHMENT0, layers.id, 0, 0)
        else:
            GL.glBindRenderbuffer(GL.GL_RENDERBUFFER, self._depth)
            GL.glRenderbufferStorage(GL.GL_RENDERBUFFER, GL.GL_DEPTH_COMPONENT32F, width, height)
            GL.glFramebufferRenderbuffer(GL.GL_FRAMEBUFFER, GL.GL_DEPTH_ATTACHMENT, GL.GL_RENDERBUFFER, self._depth)
        count = max(len(formats), 1)
        GL.glDrawBuffers(count, [GL.GL_COLOR_ATTACHMENT0 + i for i in range(count)])
        if GL.glCheckFramebufferStatus(GL.GL_FRAMEBUFFER) != GL.GL_FRAMEBUFFER_COMPLETE:
            self.free()
            raise SimulationError(f"the GL back-end cannot draw images of {width}x{height} px; ask for smaller ones")

    def use(self, layer: int = 0) -> None:
        """Draw into it from now on."""
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._id)
        if self._layers is not None:
            GL.glFramebufferTextureLayer(GL.GL_FRAMEBUFFER, GL.GL_COLOR_ATTACHMENT0, self._layers.id, 0, layer)
        GL.glViewport(0, 0, *self.size)

    def read(self, slot: int, form: Any, kind: Any, out: NDArray[Any]) -> NDArray[Any]:
        """Copy a colour buffer, or with GL_DEPTH_COMPONENT the depth, into `out`, first row first."""
        GL.glPixelStorei(GL.GL_PACK_ALIGNMENT, 1)
        GL.glReadBuffer(GL.GL_COLOR_ATTACHMENT0 + slot)
        GL.glReadPixels(0, 0, *self.size, form, kind, out)
        return out

    def bind(self, slot: int, unit: int) -> None:
        """Make a colour buffer the texture of a unit."""
        self._buffers[slot].bind(unit)

    def free(self) -> None:
        """Delete it; layers that were given stay."""
        GL.glDeleteFramebuffers(1, [self._id])
        for buffer in self._buffers:
            buffer.free()
        if self._depth is not None:
            GL.glDeleteRenderbuffers(1, [self._depth])


def clear(colours: Mapping[int, Sequence[float]]) -> None:
    """Fill float colour buffers by slot, and the depth buffer if there is one, of the canvas in use."""
    for slot, value in colours.items():
        GL.glClearBufferfv(GL.GL_COLOR, slot, np.asarray(value, np.float32))
    GL.glClearBufferfv(GL.GL_DEPTH, 0, np.ones(1, np.float32))
