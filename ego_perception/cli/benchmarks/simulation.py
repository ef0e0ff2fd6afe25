"""How fast EgoSim makes training frames, against MuJoCo's own picture of the same room and people in the same run."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np

from ego_perception.cli.benchmarks.row import BenchmarkRow
from ego_perception.errors import SimulationError
from ego_perception.simulation import EgoSimConfig
from ego_perception.simulation.config import PeopleConfig, ProductsConfig

WIDTH, HEIGHT = 320, 240
PRODUCTS: Final = {
    "image and depth": ProductsConfig(bodies=False),
    "with clean plates": ProductsConfig(clean=True, bodies=False),
    "all of a training frame": ProductsConfig(clean=True, background=True, flow=True, bodies=True),
}
"""Classes, instances and poses belong to all of them. "All": clean, clean with shadow, background, their depth, optical and
scene flow, and other people with visibility. Without vertices, extra cameras and photo effects."""
TARGET_FPS: Final = 12.0
_PEER_SAMPLES: Final = 4
_MOST_SEEDS: Final = 20


def simulation_rows(seed: int, seconds: float) -> list[BenchmarkRow]:
    """Frames per second with one and with two processes."""
    rows = []
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for processes in (1, 2):
            rates = pool.starmap(frame_rates, [(seed + i, seconds) for i in range(processes)], chunksize=1)
            total = {name: sum(rate[name] for rate in rates) for name in rates[0]}
            peer = total.pop(_PEER)
            for name, fps in total.items():
                is_aim = processes == 2 and name == list(PRODUCTS)[-1]
                figure = f"EgoSim {WIDTH}x{HEIGHT}, {name}, {processes} process{'es' if processes > 1 else ''}: frames/s"
                target, reached = (f">= {TARGET_FPS:g}", fps >= TARGET_FPS) if is_aim else ("", None)
                rows.append(BenchmarkRow(figure, fps, _PEER, peer, target, reached))
    return rows


_PEER: Final = f"MuJoCo RGB alone, MSAA {_PEER_SAMPLES}, its shadows"


def frame_rates(seed: int, seconds: float) -> dict[str, float]:
    """Frames per second of each set of products, and of the peer, measured in turn in this process."""
    with _clip_with_two_people(seed) as simulator, MujocoPicture(simulator) as peer:
        indices = np.linspace(0, len(simulator) - 1, 40).astype(int).tolist()
        actions: dict[str, Callable[[int], Any]] = {}
        for name, products in PRODUCTS.items():
            chosen = [field for field, value in vars(products).items() if value]
            actions[name] = partial(simulator.frame, products=chosen)
        actions[_PEER] = peer.frame
        spent, count = dict.fromkeys(actions, 0.0), 0
        for action in actions.values():
            action(indices[0])
        while sum(spent.values()) < seconds:
            for name, action in actions.items():
                start = time.perf_counter()
                action(indices[count % len(indices)])
                spent[name] += time.perf_counter() - start
            count += 1
    return {name: count / total for name, total in spent.items()}


def _clip_with_two_people(seed: int) -> Any:
    """The first clip from a seed on in whose room there is place for somebody beside the wearer."""
    from ego_perception.simulation import EgoSim

    for candidate in range(seed, seed + _MOST_SEEDS):
        config = EgoSimConfig(seed=candidate, width=WIDTH, height=HEIGHT, duration_s=20.0, people=PeopleConfig(others=1))
        with contextlib.suppress(SimulationError):
            return EgoSim(config)
    raise SimulationError(f"no room of the {_MOST_SEEDS} seeds from {seed} on has place for two people; give another --seed")


class MujocoPicture:
    """The same room, people and camera drawn by MuJoCo's classic renderer with its own shadows: colour and nothing else."""

    def __init__(self, simulator: Any) -> None:
        from ego_perception.simulation.actor import add_actor
        from ego_perception.simulation.backend import mujoco
        from ego_perception.simulation.mjcf import compile_spec, room_spec

        self._simulator, self._mujoco = simulator, mujoco
        spec = room_spec(simulator.room, offscreen=(WIDTH, HEIGHT), shadow_map_px=simulator.config.shadow_map_px)
        spec.visual.quality.offsamples = _PEER_SAMPLES
        for actor in simulator.actors:
            add_actor(spec, actor)
        self._model = compile_spec(spec)
        self._data = mujoco.MjData(self._model)
        self._renderer = mujoco.Renderer(self._model, HEIGHT, WIDTH, max_geom=6000)

    def frame(self, index: int) -> np.ndarray:
        """Draw one frame of the clip."""
        from ego_perception.simulation.actor import pose_actor

        t = index / self._simulator.config.fps
        world, T = self._simulator.stage.world_at(t), self._simulator.stage.camera_pose(t)
        for actor in self._simulator.actors:
            pose_actor(self._model, self._data, actor, world.bodies[actor.name])
        model = self._model
        model.cam_fovy[0], model.cam_pos[0] = self._simulator.config.fov_y_deg, T[:3, 3]
        self._mujoco.mju_mat2Quat(model.cam_quat[0], (T[:3, :3] * np.array([1.0, -1.0, -1.0])).ravel())
        self._mujoco.mj_kinematics(model, self._data)
        self._mujoco.mj_camlight(model, self._data)
        self._renderer.update_scene(self._data, camera=0)
        return np.asarray(self._renderer.render())

    def __enter__(self) -> MujocoPicture:
        return self

    def __exit__(self, *error: object) -> None:
        self._renderer.close()
