"""Furnishing: what belongs into a living room, bedroom, kitchen or office, and where it finds room there.

Wall furniture stands with its back at a wall, away from doors and not in front of windows. What belongs together stands
together: sofa, coffee table and television; bed and nightstands; desk and chair; counter and fridge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ego_perception.simulation import furniture, kitchen, storage
from ego_perception.simulation.assembly import Assembly, Rect
from ego_perception.simulation.interior import Room
from ego_perception.simulation.materials import MaterialBook
from ego_perception.simulation.shell import Opening, WallFrame
from ego_perception.simulation.textures import Rng

WALKWAY_M = 0.62
"""Free width kept in front of what stands at a wall."""
MAX_TAKEN = 0.5
"""Share of the floor that furniture may cover."""
KINDS = ("living", "bedroom", "kitchen", "office", "mixed")

Template = Callable[[Rng, MaterialBook], Assembly]
Spot = tuple[WallFrame, float]


class Furnisher:
    """Places assemblies in one room, by rejection, and remembers the floor that must stay free."""

    def __init__(self, rng: Rng, room: Room, walls: Sequence[WallFrame], openings: Sequence[Sequence[Opening]]) -> None:
        self.rng, self.room, self.walls, self.openings = rng, room, walls, openings
        self._reserved: list[Rect] = []

    def furnish(self) -> None:
        """Furnish the room according to its kind."""
        {
            "living": self._living,
            "bedroom": self._bedroom,
            "kitchen": self._kitchen,
            "office": self._office,
            "mixed": self._mixed,
        }[self.room.kind]()

    def fits(self, a: Assembly, x: float, y: float, yaw: float) -> bool:
        """Whether there is free floor for an assembly that is left uncovered by all walkways."""
        rect = a.footprint(x, y, yaw)
        if not self.room.is_free(rect.grown(-0.004)):
            return False
        return a.is_walkable or (self.leaves_floor(rect) and not any(rect.overlaps(r) for r in self._reserved))

    def leaves_floor(self, rect: Rect) -> bool:
        """False for what would leave hardly any floor to walk on."""
        area = sum((o.rect.x1 - o.rect.x0) * (o.rect.y1 - o.rect.y0) for o in self.room.obstacles if not o.is_walkable)
        area += (rect.x1 - rect.x0) * (rect.y1 - rect.y0)
        return area < MAX_TAKEN * 4 * self.room.half[0] * self.room.half[1]

    def at_wall(self, a: Assembly, frame: WallFrame, t: float, *, walkway: float = WALKWAY_M) -> bool:
        """Put an assembly's origin at `t` along a wall if it fits there, and keep the floor in front of it free."""
        box = a.footprint()
        if t + box.x0 < -frame.half or t + box.x1 > frame.half:
            return False
        if any(o.hides(t + box.x0, t + box.x1, a.height) for o in self.openings[frame.index]):
            return False
        x, y = frame.to_room(t)
        front = self._in_front(a, frame, t, walkway)
        solid = [o.rect for o in self.room.obstacles if not o.is_walkable and o.height > 0.05]
        if any(front.overlaps(rect) for rect in solid) or not self.fits(a, x, y, frame.yaw_rad):
            return False
        self.room.place(a, x, y, frame.yaw_rad)
        self._reserved.append(front)
        return True

    def _in_front(self, a: Assembly, frame: WallFrame, t: float, depth: float) -> Rect:
        box = a.footprint()
        corners = [frame.to_room(t + s, y) for s in (box.x0, box.x1) for y in (box.y0, box.y0 - depth)]
        xs, ys = [c[0] for c in corners], [c[1] for c in corners]
        return Rect(min(xs), min(ys), max(xs), max(ys))

    def somewhere(self, a: Assembly, *, walls: Sequence[WallFrame] | None = None, walkway: float = WALKWAY_M) -> Spot | None:
        """Put an assembly anywhere along the walls; None where 30 draws found no room."""
        box = a.footprint()
        choices = list(walls or self.walls)
        for _ in range(30):
            frame = choices[int(self.rng.integers(len(choices)))]
            low, high = -frame.half - box.x0, frame.half - box.x1
            if low > high:
                continue
            t = float(self.rng.uniform(low, high))
            if self.rng.random() < 0.4:  # corners are popular
                t = low + 0.03 if self.rng.random() < 0.5 else high - 0.03
            if self.at_wall(a, frame, min(max(t, low), high), walkway=walkway):
                return frame, t
        return None

    def beside(self, a: Assembly, spot: Spot, neighbour: Assembly, *, gap: float = 0.03, walkway: float = WALKWAY_M) -> bool:
        """Put an assembly directly left or right of one that stands at a wall."""
        frame, t = spot
        mine, other = a.footprint(), neighbour.footprint()
        places = [t + other.x1 + gap - mine.x0, t + other.x0 - gap - mine.x1]
        if self.rng.random() < 0.5:
            places.reverse()
        return any(self.at_wall(a, frame, place, walkway=walkway) for place in places)

    def free(self, a: Assembly, x: float, y: float, yaw: float, *, gap: float = 0.0) -> bool:
        """Put an assembly on the open floor if it fits there."""
        rect = a.footprint(x, y, yaw)
        if not self.room.is_free(rect) or not (a.is_walkable or self.leaves_floor(rect)):
            return False
        wide = rect.grown(gap)
        if any(wide.overlaps(o.rect) for o in self.room.obstacles if not o.is_walkable):
            return False
        self.room.place(a, x, y, yaw)
        return True

    def anywhere(
        self, a: Assembly, *, gap: float, near_wall: bool = False, any_yaw: bool = False
    ) -> tuple[float, float, float] | None:
        """Put an assembly on the open floor, `gap` metres from everything; None where 40 draws found no room."""
        hx, hy = self.room.half
        for _ in range(40):
            yaw = float(self.rng.uniform(0, 2 * math.pi)) if any_yaw else float(self.rng.integers(2)) * math.pi / 2
            x, y = float(self.rng.uniform(-0.92, 0.92)) * hx, float(self.rng.uniform(-0.92, 0.92)) * hy
            if near_wall and abs(x) < hx - 0.55 and abs(y) < hy - 0.55:
                continue
            rect = a.footprint(x, y, yaw)
            if near_wall and any(rect.overlaps(r) for r in self._reserved):
                continue
            if self.free(a, x, y, yaw, gap=gap):
                return x, y, yaw
        return None

    def _make(self, template: Template) -> Assembly:
        return template(self.rng, self.room.book)

    def _fill(self, templates: Sequence[Template], count: int) -> None:
        for _ in range(count):
            self.somewhere(self._make(templates[int(self.rng.integers(len(templates)))]))

    def _extras(self, templates: Sequence[Template], count: int) -> None:
        for _ in range(count):
            self.anywhere(self._make(templates[int(self.rng.integers(len(templates)))]), gap=0.04, near_wall=True, any_yaw=True)

    def _rug(self, probability: float) -> None:
        if self.rng.random() < probability:
            self.anywhere(self._make(furniture.carpet), gap=0.0)

    def _living(self) -> None:
        self._sofa_group()
        if self.rng.random() < 0.5:
            self._dining()
        self._fill((storage.shelf, storage.shelf, storage.cabinet, storage.dresser), int(self.rng.integers(4, 7)))
        self._extras((furniture.floor_lamp, furniture.plant, armchair, furniture.plant, furniture.stool, furniture.carton), 5)

    def _sofa_group(self) -> None:
        """A sofa that looks at a television across a coffee table on a rug; an armchair at its side."""
        sofa = self._make(furniture.sofa)
        spot = self.somewhere(sofa, walkway=1.15)
        if spot is None:
            return
        frame, t = spot
        self._reserved.pop()
        depth = -sofa.footprint().y0
        low_table = self._make(furniture.coffee_table)
        half = low_table.footprint()
        if self.rng.random() < 0.75:
            rug = furniture.carpet(self.rng, self.room.book, (half.x1 + 0.42, half.y1 + 0.38))
            self.free(rug, *frame.to_room(t, -depth - half.y1 - 0.32), frame.yaw_rad)
        self.free(low_table, *frame.to_room(t, -depth - half.y1 - 0.34), frame.yaw_rad)
        screen = self._make(storage.tv_stand)
        opposite = self.walls[(frame.index + 2) % 4]
        for shift in (0.0, 0.3, -0.3, 0.6, -0.6):
            if self.at_wall(screen, opposite, shift - t):
                break
        else:
            self.somewhere(screen)
        if self.rng.random() < 0.6:
            seat = armchair(self.rng, self.room.book)
            side = 1.0 if self.rng.random() < 0.5 else -1.0
            for s in (side, -side):
                reach = half.x1 + 0.45 - seat.footprint().y0
                place = frame.to_room(t + s * reach, -depth - half.y1 - 0.3)
                if self.free(seat, *place, frame.yaw_rad - s * math.pi / 2 + float(self.rng.normal(0, 0.1)), gap=0.02):
                    break
        self.beside(self._make(furniture.floor_lamp), (frame, t), sofa, gap=0.05, walkway=0.0)

    def _bedroom(self) -> None:
        bed = self._make(furniture.bed)
        spot = self.somewhere(bed, walkway=0.5)
        if spot is not None:
            for _ in range(2):
                self.beside(self._make(storage.nightstand), spot, bed, walkway=0.5)
            if self.rng.random() < 0.7:
                frame, t = spot
                rug = furniture.carpet(self.rng, self.room.book)
                box, mat = bed.footprint(), rug.footprint()
                for s in (-1.0, 1.0):
                    if self.free(rug, *frame.to_room(t + s * (box.x1 + mat.y1 + 0.08), -1.3), frame.yaw_rad + math.pi / 2):
                        break
        if "rug" not in self.room.names:
            self._rug(0.6)
        self.somewhere(self._make(storage.cabinet))
        self.somewhere(self._make(storage.dresser))
        if self.rng.random() < 0.5:
            self._workplace()
        self._fill((storage.shelf, storage.dresser, storage.cabinet), int(self.rng.integers(2, 5)))
        self._extras((furniture.plant, armchair, furniture.chair, furniture.floor_lamp, furniture.stool), 4)

    def _kitchen(self) -> None:
        self._counter_run()
        if self.rng.random() < 0.3:
            block = self._make(kitchen.island)
            if self.anywhere(block, gap=0.75) is None:
                self._dining()
        else:
            self._dining()
        self._fill((storage.dresser, storage.shelf, storage.cabinet), int(self.rng.integers(3, 6)))
        self._extras((furniture.stool, furniture.plant, furniture.carton, furniture.chair), 4)
        self._rug(0.3)

    def _counter_run(self, widths: Sequence[float] = (1.3, 1.1, 0.9, 0.65)) -> None:
        """A counter as long as fits, a fridge at its end, and often a second run around the corner."""
        for width in widths:
            run = kitchen.counter(self.rng, self.room.book, width, has_sink=True)
            spot = self.somewhere(run, walkway=0.85)
            if spot is None:
                continue
            if not self.beside(self._make(kitchen.fridge), spot, run, gap=0.01, walkway=0.85):
                self.somewhere(self._make(kitchen.fridge))
            if self.rng.random() < 0.6:
                more = kitchen.counter(self.rng, self.room.book, float(self.rng.uniform(0.45, 0.8)), has_sink=False)
                if not self.beside(more, spot, run, gap=0.0, walkway=0.85):
                    self.somewhere(more, walkway=0.85)
            return

    def _dining(self) -> None:
        """A table in the open floor with chairs around it."""
        table = self._make(furniture.table)
        at = self.anywhere(table, gap=0.8) or self.anywhere(table, gap=0.55)
        if at is not None:
            chairs_around(self.rng, self.room, table, at, count=int(self.rng.integers(2, 5)))

    def _workplace(self) -> None:
        desk = self._make(storage.desk)
        spot = self.somewhere(desk, walkway=0.95)
        if spot is None:
            return
        self._reserved.pop()
        frame, t = spot
        seat = self._make(furniture.office_chair)
        box = seat.footprint()
        x, y = frame.to_room(
            t + float(self.rng.normal(0, 0.08)), desk.footprint().y0 - box.y1 - float(self.rng.uniform(0.0, 0.12))
        )
        self.free(seat, x, y, frame.yaw_rad + math.pi + float(self.rng.normal(0, 0.12)))

    def _office(self) -> None:
        for _ in range(1 + int(self.rng.random() < 0.5)):
            self._workplace()
        self._fill((storage.shelf,), 2)
        self.somewhere(self._make(storage.cabinet))
        if self.rng.random() < 0.6:
            self._dining()
        else:
            self._sofa_group()
        self._fill((storage.shelf, storage.dresser, storage.cabinet, armchair), int(self.rng.integers(3, 6)))
        self._extras((furniture.plant, furniture.floor_lamp, furniture.carton, furniture.chair), 4)
        self._rug(0.5)

    def _mixed(self) -> None:
        """A studio: some of everything."""
        self._counter_run((0.8, 0.6))
        if self.rng.random() < 0.5:
            self.somewhere(self._make(furniture.bed), walkway=0.5)
        else:
            self._sofa_group()
        self._dining()
        self._fill((storage.shelf, storage.dresser, storage.cabinet), int(self.rng.integers(3, 6)))
        self._extras((furniture.plant, furniture.floor_lamp, furniture.stool, armchair), 4)
        self._rug(0.5)


def armchair(rng: Rng, book: MaterialBook) -> Assembly:
    """A sofa for one."""
    return furniture.sofa(rng, book, seats=1)


def chairs_around(rng: Rng, room: Room, table: Assembly, at: tuple[float, float, float], *, count: int) -> None:
    """Chairs at the sides of a table, some pushed in and some not."""
    x, y, yaw = at
    box = table.footprint()
    seat = furniture.chair(rng, room.book)
    for k in range(count):
        if rng.random() < 0.1:  # one from another room
            seat = furniture.chair(rng, room.book)
        angle = yaw + k * math.pi / 2
        reach = (box.y1 if k % 2 == 0 else box.x1) + float(rng.uniform(-0.05, 0.3))
        cx, cy = x - reach * math.sin(angle), y + reach * math.cos(angle)
        turn = angle + float(rng.normal(0, 0.12))
        rect = seat.footprint(cx, cy, turn)
        inside = max(abs(rect.x0), abs(rect.x1)) < room.half[0] and max(abs(rect.y0), abs(rect.y1)) < room.half[1]
        if inside and not any(rect.overlaps(o.rect) for o in room.obstacles if o.kind not in ("table", "rug")):
            room.place(seat, cx, cy, turn)
