"""The clips of a dataset out of EgoSim: some frames of a walk, or unrelated views of a room; equal seeds give equal clips."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame, FrameTruth
from ego_perception.parameters import to_dict
from ego_perception.simulation.config import EgoSimConfig, PeopleConfig, PhotoConfig, ProductsConfig
from ego_perception.simulation.dataset import DatasetConfig, RenderedClip
from ego_perception.simulation.hand_views import glimpses_of_hands, start_with_hands
from ego_perception.simulation.renderer import Renderer, Rendering
from ego_perception.simulation.sim import EgoSim
from ego_perception.simulation.textures import Rng
from ego_perception.simulation.viewpoints import random_viewpoint

HARD_SHARE: Final = 0.65
WALK_S: Final[dict[str, float]] = {"walk": 12.0, "hands": 30.0, "glimpses": 15.0, "random": 12.0}
"""Length of the walk that a clip is cut out of: clips show its middle as often as its beginning, or the stretch with most of
the wearer's hands. Short for glimpses, because planning takes most of the time and rooms count more than frames of one room."""
MOST_TILT_DEG: Final = 35.0
"""There the camera also looks down further, by up to this, as cameras of people who film their hands do."""
NUM_EXTRA_VIEWS: Final = 2
SCENE_POINTS: Final = 20_000
"""Most points of the static scene in a clip; all of them would take more room than its pictures."""
_STREAM: Final = 3


class SimClips:
    """Renders clips with EgoSim; see `dataset.ClipRenderer`."""

    def check(self) -> None:
        """Open a GL context once.

        Raises:
            SimulationError: no usable GL back-end.
        """
        _open_context_once()

    def render(self, seed: int, config: DatasetConfig) -> RenderedClip:
        """Render the clip of a seed.

        Raises:
            SimulationError: the room is impossible, has no place for the people asked for, or shows no hands if `views` asks
                for them.
        """
        sim_config, start = clip_config(seed, config)
        with EgoSim(sim_config) as sim:
            if config.views == "random":
                frames = list(random_views(sim, np.random.default_rng([seed, _STREAM, 1]), config.frames_per_clip))
            elif config.views == "glimpses":
                chosen = glimpses_of_hands(sim, config.frames_per_clip, np.random.default_rng([seed, _STREAM, 3]))
                start, frames = chosen[0], [sim.frame(i) for i in chosen]
            else:
                if config.views == "hands":
                    start = start_with_hands(sim, config.frames_per_clip, start / len(sim))
                frames = [sim.frame(start + i) for i in range(config.frames_per_clip)]
            scene = sim.scene_truth(0.06).thinned(SCENE_POINTS)
            return RenderedClip(frames, scene, {"config": to_dict(sim_config), "first_frame": start})


@functools.cache
def _open_context_once() -> None:
    Renderer(16, 16).close()


def clip_config(seed: int, config: DatasetConfig) -> tuple[EgoSimConfig, int]:
    """Draw what one clip looks like.

    Returns:
        The simulator's configuration, and the number of the first frame of the clip in its walk.
    """
    rng = np.random.default_rng([seed, _STREAM])
    hard = rng.random() < HARD_SHARE
    low, high = config.fov_y_deg
    fov_y_deg = float(rng.uniform(low, high))
    share = float(rng.random())
    shows_hands = config.views in ("hands", "glimpses")
    num_walk_frames = max(config.frames_per_clip, math.floor(WALK_S[config.views] * config.fps))
    tilt_deg = float(np.random.default_rng([seed, _STREAM, 2]).uniform(0.0, MOST_TILT_DEG))
    wanted = set(config.products)
    products = ProductsConfig(
        **{name: name in wanted for name in ("clean", "background", "flow", "bodies", "vertices")},
        clean_of="arms" if shows_hands else "wearer",
        extra_views=NUM_EXTRA_VIEWS if "extra_views" in wanted else 0,
    )
    sim_config = EgoSimConfig(
        seed=seed,
        preset=("hard" if hard else "default") if config.preset == "mix" else config.preset,
        width=config.width,
        height=config.height,
        fov_y_deg=fov_y_deg,
        fps=config.fps,
        duration_s=num_walk_frames / config.fps,
        camera_tilt_deg=tilt_deg if shows_hands else 0.0,
        people=PeopleConfig(wearer=config.views != "random"),
        products=products if config.views != "random" else ProductsConfig(bodies=False),
        photo=random_photo(rng) if config.photo == "mix" else PhotoConfig(),
    )
    return sim_config, int(share * (num_walk_frames - config.frames_per_clip + 1))


def random_photo(rng: Rng) -> PhotoConfig:
    """Draw a camera: each effect is off in some clips and of usual strength in the others."""

    def some(largest: float, share: float = 0.6) -> float:
        return float(rng.uniform(0.0, largest)) if rng.random() < share else 0.0

    return PhotoConfig(
        lens=str(rng.choice(["pinhole", "radtan", "fisheye"], p=[0.7, 0.2, 0.1])),
        rolling_shutter_s=some(0.025),
        exposure_time_s=some(0.02),
        exposure_drift=some(0.15),
        white_balance_drift=some(0.06),
        noise=some(6.0),
        vignette=some(0.4),
        jpeg_quality=int(rng.integers(50, 96)) if rng.random() < 0.5 else 0,
    )


def random_views(sim: EgoSim, rng: Rng, count: int) -> Iterator[Frame]:
    """Unrelated views of one room at random times; what the single-image depth network learns from."""
    for index, (T, view) in enumerate(useful_views(sim, rng, count)):
        truth = FrameTruth(depth=view.depth, T_world_cam=T)
        yield Frame(sim.stamp_ns(index), view.rgb, camera=sim.camera, index=index, truth=truth)


def useful_views(sim: EgoSim, rng: Rng, count: int) -> Iterator[tuple[NDArray[np.float64], Rendering]]:
    """Draw views until enough show more than a bare or too close surface; the last draws are taken as they are."""
    patience = 8 * count
    while count > 0:
        T = random_viewpoint(rng, sim.scene.room)
        view = sim.render_view(T, float(rng.uniform(0.0, sim.config.duration_s)))
        low, middle, high = np.percentile(view.depth[view.depth > 0], (3, 50, 95)) if view.depth.any() else (0.0, 0.0, 0.0)
        is_dull = low < 0.2 or middle < 0.4 or (high < 1.4 * low and rng.random() < 0.8)
        patience -= 1
        if is_dull and patience > 0:
            continue
        count -= 1
        yield T, view
