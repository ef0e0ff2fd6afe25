"""The atlas: charts without folds or overlaps, texels that know their place on the body."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.body.atlas import REGIONS, SIZE, Atlas, build_atlas, face_regions, vertex_normals
from ego_perception.body.landmarks import LANDMARKS
from ego_perception.body.model import BodyModel, load_body


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return load_body()


@pytest.fixture(scope="module")
def atlas(model: BodyModel) -> Atlas:
    return build_atlas(model)


def flat_area(atlas: Atlas) -> np.ndarray:
    uv = atlas.texcoords[atlas.faces] * SIZE
    e1, e2 = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    return (e1[:, 0] * e2[:, 1] - e1[:, 1] * e2[:, 0]) / 2


def test_every_face_keeps_its_vertices(model: BodyModel, atlas: Atlas) -> None:
    assert (atlas.corner[atlas.faces] == model.faces).all()
    assert atlas.texcoords.min() >= 0 and atlas.texcoords.max() <= 1
    assert len(atlas.corner) < 1.3 * len(model.v_template)


def test_charts_share_no_vertex(atlas: Atlas) -> None:
    owner = np.full(len(atlas.corner), -1)
    for chart in range(atlas.chart.max() + 1):
        members = np.unique(atlas.faces[atlas.chart == chart])
        assert (owner[members] == -1).all()
        owner[members] = chart


def test_nothing_is_folded_over(atlas: Atlas) -> None:
    area = flat_area(atlas)
    assert (area > 0).mean() > 0.999
    assert area[area < 0].sum() > -2.0  # texels


def test_charts_do_not_overlap(atlas: Atlas) -> None:
    # The faces' areas sum to the painted texels; borders are covered generously, so there are a few more.
    assert 1.0 <= len(atlas.texel) / flat_area(atlas).sum() < 1.25


def test_angles_are_kept(model: BodyModel, atlas: Atlas) -> None:
    solid, flat = model.v_template[model.faces], atlas.texcoords[atlas.faces]

    def cosines(corners: np.ndarray) -> np.ndarray:
        u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        return (u * v).sum(axis=1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)

    off = np.rad2deg(np.abs(np.arccos(cosines(solid).clip(-1, 1)) - np.arccos(cosines(flat).clip(-1, 1))))
    assert np.median(off) < 6


def test_hands_and_face_get_the_finest_texels(model: BodyModel, atlas: Atlas) -> None:
    corners = model.v_template[model.faces]
    solid = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    density = {
        name: np.sqrt(flat_area(atlas)[atlas.region == i].sum() / solid[atlas.region == i].sum())
        for i, name in enumerate(REGIONS)
    }
    assert density["left_hand"] > density["head"] > density["trunk"] >= density["left_leg"]
    assert density["left_hand"] > 700  # texels per metre


def test_texels_know_their_place(model: BodyModel, atlas: Atlas) -> None:
    nearest = [np.linalg.norm(atlas.points - model.v_template[v], axis=1).min() for v in LANDMARKS.values()]
    assert max(nearest) < 0.004
    np.testing.assert_allclose(np.linalg.norm(atlas.normals, axis=1), 1, atol=1e-4)
    hand = atlas.texel_region == REGIONS.index("left_hand")
    assert atlas.points[hand, 0].min() > 0.6


def test_image_shows_the_colours_at_their_texels_and_fills_the_gaps(atlas: Atlas) -> None:
    colours = np.zeros((len(atlas.texel), 3))
    colours[:, 0] = 255 * (atlas.points[:, 0] > 0)
    image = atlas.image(colours)
    assert image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8
    assert (image.reshape(-1, 3)[atlas.texel] == colours).all()
    chart_row, chart_column = np.divmod(atlas.texel[np.argmax(atlas.points[:, 0])], SIZE)
    around = image[max(chart_row - 2, 0) : chart_row + 3, max(chart_column - 2, 0) : chart_column + 3, 0]
    assert (around == 255).all()


def test_regions_are_symmetric_and_split_at_the_wrist(model: BodyModel) -> None:
    region = face_regions(model)
    count = {name: int((region == i).sum()) for i, name in enumerate(REGIONS)}
    for part in ("arm", "hand", "leg", "foot"):
        assert count[f"left_{part}"] > 50
        assert abs(count[f"left_{part}"] - count[f"right_{part}"]) < 0.05 * count[f"left_{part}"]
    centre = model.v_template[model.faces].mean(axis=1)
    wrist = (model.joint_regressor @ model.v_template)[20]
    assert (centre[region == REGIONS.index("left_hand"), 0] > wrist[0]).all()


def test_building_twice_gives_the_same_bytes(model: BodyModel, atlas: Atlas) -> None:
    again = build_atlas.__wrapped__(model)
    assert again.texcoords.tobytes() == atlas.texcoords.tobytes()
    assert again.points.tobytes() == atlas.points.tobytes() and again.source.tobytes() == atlas.source.tobytes()


def test_normals_of_an_octahedron_point_away_from_its_middle() -> None:
    vertices = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)
    faces = np.array([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]])
    np.testing.assert_allclose(vertex_normals(vertices, faces), vertices, atol=1e-12)


def test_a_vertex_without_faces_has_no_normal() -> None:
    vertices = np.vstack([np.eye(3), np.zeros(3)])
    assert (vertex_normals(vertices, np.array([[0, 1, 2]]))[3] == 0).all()
