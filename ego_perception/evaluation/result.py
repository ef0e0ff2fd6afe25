"""Scores of one run as an object: saved, loaded and shown as a table."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ego_perception.errors import OutputError, SourceError
from ego_perception.evaluation.clouds import THRESHOLDS_M, CloudScore
from ego_perception.evaluation.depth import DepthScore
from ego_perception.evaluation.trajectory import TrajectoryScore


@dataclass(frozen=True)
class Row:
    """One line of the table; `baseline` is what doing nothing gives."""

    group: str
    name: str
    value: str
    baseline: str = ""


@dataclass(frozen=True)
class Metrics:
    """Everything scored in one run.

    Attributes:
        source: name of the recording.
        num_frames: estimates seen.
        states: number of estimates by tracking state.
        num_maps: 1 when the first map served to the end; poses of later maps are scored in the same alignment.
        trajectory: None without three true poses that were estimated.
        depth: scores by row name: `one scale per clip` is the main one.
        constant_depth: one scale per clip for a wall at constant distance.
        clouds: None unless asked for.
        notes: what a reader of the numbers must know.
    """

    source: str
    num_frames: int
    states: dict[str, int] = field(default_factory=dict)
    num_maps: int = 1
    trajectory: TrajectoryScore | None = None
    depth: dict[str, DepthScore] = field(default_factory=dict)
    constant_depth: DepthScore | None = None
    clouds: CloudScore | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain mapping; figures that are not finite become None."""
        return {"schema": 1, **_finite(dataclasses.asdict(self))}

    def save(self, path: Path) -> None:
        """Write JSON.

        Raises:
            OutputError: not writable.
        """
        scratch = path.with_name(path.name + ".part")
        try:
            scratch.write_text(json.dumps(self.to_json(), indent=2, sort_keys=True) + "\n", encoding="utf-8")
            scratch.replace(path)
        except OSError as error:
            raise OutputError(f"metrics '{path}' cannot be written: {error.strerror}") from error

    @classmethod
    def load(cls, path: Path) -> Metrics:
        """Read what `save` wrote.

        Raises:
            SourceError: missing, damaged or of another version.
        """
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SourceError(f"metrics '{path}' cannot be read: {error}") from error

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Metrics:
        """Rebuild from `to_json`.

        Raises:
            ValueError, KeyError, TypeError: another layout.
        """
        fields = dict(content)
        if fields.pop("schema") != 1:
            raise ValueError("its schema is not 1")
        trajectory, clouds, constant = fields["trajectory"], fields["clouds"], fields["constant_depth"]
        if trajectory is not None:
            trajectory = TrajectoryScore(**(trajectory | {"scale_thirds": tuple(trajectory["scale_thirds"])}))
        if clouds is not None:
            curves = {name: tuple(clouds[name]) for name in ("f_published", "f_score")}
            clouds = CloudScore(**(clouds | curves))
        return cls(
            **fields
            | {
                "trajectory": trajectory,
                "clouds": clouds,
                "constant_depth": None if constant is None else DepthScore(**constant),
                "depth": {name: DepthScore(**score) for name, score in fields["depth"].items()},
                "notes": tuple(fields["notes"]),
            }
        )

    def rows(self) -> list[Row]:
        """The table for people, line by line."""
        return [*self._trajectory_rows(), *self._depth_rows(), *self._cloud_rows(), *self._state_rows()]

    def markdown(self) -> str:
        """The table in Markdown."""
        lines = ["| group | score | value | doing nothing |", "|---|---|---|---|"]
        lines += [f"| {row.group} | {row.name} | {row.value} | {row.baseline} |" for row in self.rows()]
        return "\n".join([*lines, "", *(f"* {note}" for note in self.notes)]) + "\n"

    def _trajectory_rows(self) -> list[Row]:
        s = self.trajectory
        if s is None:
            return []
        share = s.ate_share_of_path
        rows = [
            ("ATE RMSE after Sim(3)", _cm(s.ate_rmse_m), _cm(s.standing_still_m)),
            ("ATE RMSE after SE(3), own metres", _cm(s.ate_se3_m), _cm(s.standing_still_m)),
            ("ATE RMSE over path", "" if share is None else _percent(share), ""),
            ("path length", f"{s.path_length_m:.2f} m", ""),
            ("frames with a pose", f"{s.num_poses} of {s.num_frames}, {s.first_pose_frame} before the first", ""),
            ("scale to truth; thirds over it", f"{s.scale:.3f}; " + ", ".join(f"{v:.2f}" for v in s.scale_thirds), ""),
            ("RPE per frame", f"{_cm(s.rpe_frame_m)}, {math.degrees(s.rpe_frame_rad):.2f} deg", ""),
        ]
        if s.rpe_second_m is not None and s.rpe_second_rad is not None:
            rows.append(("RPE per second", f"{_cm(s.rpe_second_m)}, {math.degrees(s.rpe_second_rad):.2f} deg", ""))
        return [Row("trajectory", *row) for row in rows]

    def _depth_rows(self) -> list[Row]:
        base = "" if self.constant_depth is None else _depth_cell(self.constant_depth)
        return [
            Row(
                "depth",
                f"AbsRel / delta<1.25, {name}",
                f"{_depth_cell(score)} (RMSE {_cm(score.rmse_m)}, {_percent(score.coverage)} of pixels)",
                base if name == ONE_SCALE else "",
            )
            for name, score in self.depth.items()
        ]

    def _cloud_rows(self) -> list[Row]:
        s = self.clouds
        if s is None:
            return []
        radii = " / ".join(f"{100 * r:g}" for r in THRESHOLDS_M)
        return [
            Row("cloud", "Chamfer, mean distance", _cm(s.chamfer_m)),
            Row("cloud", "Chamfer, squared sum x 1000", f"{1000 * s.chamfer_squared_m2:.1f} m^2"),
            Row("cloud", f"F-score at {radii} cm", " / ".join(f"{100 * f:.0f}" for f in s.f_score) + " %"),
            Row("cloud", f"F as published at {radii} cm", " / ".join(f"{100 * f:.0f}" for f in s.f_published) + " %"),
        ]

    def _state_rows(self) -> list[Row]:
        states = ", ".join(f"{count} {name.lower()}" for name, count in sorted(self.states.items()))
        return [Row("run", "frames by state", states or "none"), Row("run", "maps", str(self.num_maps))]


ONE_SCALE = "one scale per clip"


def _depth_cell(score: DepthScore) -> str:
    return f"{score.abs_rel:.3f} / {_percent(score.delta1)}"


def _cm(metres: float) -> str:
    return f"{100 * metres:.1f} cm"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
