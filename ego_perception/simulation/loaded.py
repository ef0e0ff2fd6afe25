"""A scene on the graphics device: buffers, textures and shadow maps, and which groups are drawn when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import SceneLabel
from ego_perception.data.labels import HANDS_AND_ARMS
from ego_perception.simulation import shaders
from ego_perception.simulation.chunks import in_view, joined
from ego_perception.simulation.gl import GL, Canvas, Mesh, Program, Texture, clear
from ego_perception.simulation.lighting import HALF_CONE_RAD
from ego_perception.simulation.occlusion import CELL_M, RANGE_M
from ego_perception.simulation.scene import Group, GroupKind, Scene
from ego_perception.simulation.world import WorldState

_FINISHES, _PICTURES, _FIELD, _SHADOWS = range(4)
_NO_SHADE_M = 1e3
_THINGS, _OTHERS, _WEARER = range(3)
"""Layers of the shadow map: what lies still, everything but the wearer, the wearer."""


@dataclass(frozen=True)
class Shown:
    """Who is drawn, and casts shadows; without `arms` the wearer has neither hands nor arms."""

    wearer: bool = True
    people: bool = True
    held: bool = True
    arms: bool = True


class LoadedScene:
    """Device objects of one scene. The GL context has to be current in every call."""

    def __init__(self, scene: Scene, shadow_px: int) -> None:
        self.scene = scene
        self._mesh = Mesh(scene.vertices, scene.triangles)
        self._finishes = Texture.table(scene.finishes)
        self._pictures = Texture.pictures(scene.pictures)
        self._skins = {id(group): Texture.pictures(group.actor.image[None]) for group in scene.groups if group.actor}
        self._field = Texture.volume(scene.field.values)
        self._shadow_px = shadow_px
        self._distance = Program(shaders.VERTEX, shaders.DISTANCE)
        self._shadows = Texture.layers(max(shadow_px, 1), 3)
        self._shadow_canvas = Canvas(max(shadow_px, 1), max(shadow_px, 1), layers=self._shadows)
        groups = scene.groups
        self._chunks = np.concatenate([g.chunks.ranges + np.array([g.first_triangle, 0]) for g in groups])
        self._group_of_chunk = np.repeat(np.arange(len(groups)), [len(g.chunks.ranges) for g in groups])
        self._first_chunk = np.searchsorted(self._group_of_chunk, np.arange(len(groups)))
        self._is_arm = np.concatenate([_arms_of(group) for group in groups])
        positions = scene.vertices["position"]
        self._boxes = np.concatenate([g.chunks.boxes(positions[g.vertices[0] :]) for g in groups])
        self._in_layer: dict[int, object] = {}
        self._version = 0
        self._poses: dict[int, bytes] = {}
        self._present: set[str] = set()
        self._held: frozenset[int] = frozenset()

    def pose(self, world: WorldState) -> None:
        """Upload whatever has another pose than before."""
        self._version += 1
        self._present, self._held = set(world.bodies), world.held
        for number, group in enumerate(self.scene.groups):
            first, count = group.vertices
            if group.actor is not None and group.actor.name in world.bodies:
                vertices = self.scene.vertices[first : first + count].copy()
                vertices["position"], vertices["normal"] = group.actor.posed(world.bodies[group.actor.name])
                self._update(number, vertices)
            elif group.movable is not None:
                T = np.asarray(world.objects.get(group.movable.instance, group.movable.T_world_object), np.float64)
                if self._poses.get(number, group.movable.T_world_object.tobytes()) != T.tobytes():
                    self._update(number, self._moved(group, T))
                    self._poses[number] = T.tobytes()

    def _update(self, number: int, vertices: NDArray[np.void]) -> None:
        group, first = self.scene.groups[number], self._first_chunk[number]
        self._mesh.update(group.vertices[0], vertices)
        self._boxes[first : first + len(group.chunks.ranges)] = group.chunks.boxes(vertices["position"])

    def _moved(self, group: Group, T: NDArray[np.float64]) -> NDArray[np.void]:
        assert group.movable is not None
        first, count = group.vertices
        vertices = self.scene.vertices[first : first + count].copy()
        step = T @ np.linalg.inv(group.movable.T_world_object)
        vertices["position"] = vertices["position"] @ step[:3, :3].T + step[:3, 3]
        vertices["normal"] = vertices["normal"] @ step[:3, :3].T
        return vertices

    def classes(self) -> NDArray[np.uint8]:
        """Class of each instance now."""
        table = self.scene.class_of_instance.copy()
        for instance in self._held:
            table[self.scene.instance_of(instance)] = SceneLabel.HELD_OBJECT
        return table

    def draw(self, program: Program, shown: Shown, clip_from_world: NDArray[np.float64]) -> None:
        """Draw what is shown, as far as it is in view, with a program that needs no textures."""
        self._bind(program)
        groups = [i for i, group in enumerate(self.scene.groups) if self._is_shown(group, shown)]
        self._mesh.draw(self._ranges(groups, clip_from_world, arms=shown.arms))

    def draw_surfaces(self, program: Program, shown: Shown, clip_from_world: NDArray[np.float64]) -> None:
        """Draw what is shown, as far as it is in view, with its textures."""
        self._bind(program)
        program.set("pictures", _PICTURES)
        numbered = [(i, group) for i, group in enumerate(self.scene.groups) if self._is_shown(group, shown)]
        for i, group in numbered:
            if group.actor is not None:
                self._skins[id(group)].bind(_PICTURES)
                program.set("owner", 0.0 if group.kind is GroupKind.WEARER else 0.5)
                self._mesh.draw(self._ranges([i], clip_from_world, arms=shown.arms))
        self._pictures.bind(_PICTURES)
        for owner, groups in (
            (0.5, [i for i, group in numbered if self._is_held(group)]),
            (1.0, [i for i, group in numbered if self._lies(group)]),
        ):
            program.set("owner", owner)
            self._mesh.draw(self._ranges(groups, clip_from_world))

    def _ranges(
        self, groups: Sequence[int], clip_from_world: NDArray[np.float64] | None = None, *, arms: bool = True
    ) -> NDArray[np.int64]:
        """Triangles of groups, given by number; with a projection only those that may be in view."""
        chosen = np.isin(self._group_of_chunk, groups)
        if not arms:
            chosen &= ~self._is_arm
        if clip_from_world is not None:
            chosen &= in_view(self._boxes, clip_from_world)
        return joined(self._chunks[chosen])

    def light(self, program: Program) -> None:
        """Set the lights and shadows of a program; `draw_shadows` comes first."""
        lights, field = self.scene.lights, self.scene.field
        self._field.bind(_FIELD)
        self._shadows.bind(_SHADOWS)
        program.set("field", _FIELD)
        program.set("shadows", _SHADOWS)
        program.set("field_origin", field.origin - 0.5 * CELL_M)
        program.set("field_scale", 1 / (np.array(field.values.shape[::-1]) * CELL_M))
        program.set("field_range", RANGE_M)
        program.set("shadow_px", float(self._shadow_px))
        program.set("texel_rad", 2 * math.tan(HALF_CONE_RAD) / max(self._shadow_px, 1))
        program.set("clip_from_lamp", lights.clip_from_lamp)
        for name in ("lamp_at", "lamp_towards", "lamp_rgb", "fill_at", "fill_rgb", "above_rgb", "below_rgb", "exposure"):
            program.set(name, getattr(lights, name))

    def draw_shadows(self, shown: Shown) -> None:
        """Bring the shadow maps up to date, as far as anything in them has changed."""
        if self._shadow_px == 0:
            return
        numbered = list(enumerate(self.scene.groups))
        lying = [i for i, group in numbered if self._lies(group)]
        moving = [i for i, group in numbered if self._is_mover(group) and self._is_shown(group, shown)]
        # The wearer's layer is kept also where the wearer is not shown: the shadow may still be.
        wearer = [i for i, group in numbered if group.kind is GroupKind.WEARER and self._is_present(group)]
        things = (self._held, frozenset((i, self._poses.get(i)) for i in lying))
        others = (things, (self._version, shown.people, shown.held) if moving else None)
        for layer, key, groups in (
            (_THINGS, things, lying),
            (_OTHERS, others, moving),
            (_WEARER, self._version if wearer else None, wearer),
        ):
            if self._in_layer.get(layer, self) != key:
                self._draw_layer(layer, groups)
                self._in_layer[layer] = key

    def _draw_layer(self, layer: int, groups: Sequence[int]) -> None:
        self._shadow_canvas.use(layer)
        if layer == _OTHERS:
            self._shadows.copy_layer(_THINGS, _OTHERS)
        else:
            clear({0: (_NO_SHADE_M, 0, 0, 0)})
        GL.glBlendEquation(GL.GL_MIN)
        GL.glEnable(GL.GL_BLEND)
        GL.glDisable(GL.GL_DEPTH_TEST)
        self._distance.use()
        lights = self.scene.lights
        self._distance.set("clip_from_world", lights.clip_from_lamp)
        self._distance.set("lamp_at", lights.lamp_at)
        self._bind(self._distance)
        self._mesh.draw(self._ranges(groups))
        GL.glDisable(GL.GL_BLEND)
        GL.glEnable(GL.GL_DEPTH_TEST)

    def _bind(self, program: Program) -> None:
        self._finishes.bind(_FINISHES)
        program.set("finishes", _FINISHES)

    def _is_present(self, group: Group) -> bool:
        return group.actor is None or group.actor.name in self._present

    def _is_shown(self, group: Group, shown: Shown) -> bool:
        if group.movable is not None:
            return shown.held or group.movable.instance not in self._held
        if group.kind is GroupKind.STATIC:
            return True
        return self._is_present(group) and (shown.wearer if group.kind is GroupKind.WEARER else shown.people)

    def _is_held(self, group: Group) -> bool:
        return group.movable is not None and group.movable.instance in self._held

    def _lies(self, group: Group) -> bool:
        return group.actor is None and not self._is_held(group)

    def _is_mover(self, group: Group) -> bool:
        return group.kind is GroupKind.PERSON or self._is_held(group)

    def free(self) -> None:
        """Delete everything."""
        self._mesh.free()
        self._distance.free()
        self._shadow_canvas.free()
        for texture in (self._finishes, self._pictures, self._field, self._shadows, *self._skins.values()):
            texture.free()


def _arms_of(group: Group) -> NDArray[np.bool_]:
    """(C,) which chunks of a group are the wearer's hands and arms."""
    if group.actor is None or group.kind is not GroupKind.WEARER:
        return np.zeros(len(group.chunks.ranges), np.bool_)
    return np.isin(group.actor.labels, HANDS_AND_ARMS)[group.actor.piece_of_chunk]
