"""A picture plane for the body: where each face lies in a texture, and the rest-pose point, normal and region of each texel.

With it clothes are painted as a function of the place on the body, so that a cuff is sharp however coarse the mesh is. The
mesh is cut into charts, each flattened with least-squares conformal maps (Levy et al., ACM TOG 2002) and packed by its outline.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from ego_perception.body.model import BodyModel
from ego_perception.body.skeleton import joint_index

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

SIZE: Final = 768
"""Side of the texture, texels."""
_MARGIN: Final = 3
"""Empty texels around each chart, filled from its border."""
_CELL: Final = 6
"""Charts are placed on a grid of this many texels."""
_DENSITY: Final = {"hand": 3.2, "head": 1.9, "arm": 1.15, "trunk": 1.0, "leg": 0.85, "foot": 0.85}
"""Texels per length, relative to the trunk."""
_HAND_PULL_M: Final = 0.02
"""Distance over which a flattened hand may drift from its plain projection."""
_PIN: Final = 1e3
REGIONS: Final = (
    "trunk", "head", "left_arm", "right_arm", "left_hand", "right_hand", "left_leg", "right_leg", "left_foot", "right_foot",
)  # fmt: skip
"""Parts of the body that faces are sorted into; arms begin at the shoulder joints, hands at the wrists."""


@dataclass(frozen=True, eq=False)
class Atlas:
    """Texture coordinates and texel geometry of one mesh; metres, mean shape at rest.

    Attributes:
        corner: (U,) mesh vertex of each texture vertex; a vertex on a cut has several.
        texcoords: (U, 2) in 0..1, row 0 of the texture at 0.
        faces: (F, 3) into `corner`, in the order of the mesh.
        region: (F,) index into `REGIONS`.
        chart: (F,) number of the chart.
        texel: (N,) index of each painted texel in the flattened texture; the arrays below belong to these.
        points, normals: (N, 3) float32.
        texel_region: (N,) index into `REGIONS`.
        source: (SIZE, SIZE) which painted texel fills each texel of the texture.
    """

    corner: Ids
    texcoords: Array
    faces: Ids
    region: NDArray[np.uint8]
    chart: Ids
    texel: Ids
    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    texel_region: NDArray[np.uint8]
    source: NDArray[np.int32]

    def image(self, colours: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Make the (SIZE, SIZE, 3) uint8 texture of (N, 3) colours in 0..255; gaps take the nearest colour."""
        return np.clip(colours + 0.5, 0, 255).astype(np.uint8)[self.source]


@lru_cache(maxsize=2)
def build_atlas(model: BodyModel) -> Atlas:
    """Flatten and pack the mesh of a body; takes about a second, once per process."""
    chart, label = _charts(model)
    flats = [_flatten(model, np.flatnonzero(chart == c), REGIONS[v // 2], v % 2) for c, v in enumerate(label)]
    texcoords = _pack([flat for _, _, flat in flats], [local for _, local, _ in flats])
    corner = np.concatenate([ids for ids, _, _ in flats])
    faces = np.zeros_like(model.faces)
    start = 0
    for c, (ids, local, _) in enumerate(flats):
        faces[chart == c] = local + start
        start += len(ids)
    region = (np.array(label)[chart] // 2).astype(np.uint8)
    return _with_texels(model, corner, texcoords, faces, region, chart)


def face_regions(model: BodyModel) -> NDArray[np.uint8]:
    """Region of each face, (F,) index into `REGIONS`."""
    rest = model.joint_regressor @ model.v_template
    centre = model.v_template[model.faces].mean(axis=1)
    bone = model.weights[model.faces].sum(axis=1).argmax(axis=1)
    out = np.zeros(len(centre), np.uint8)
    out[np.isin(bone, [joint_index("head"), joint_index("neck")]) & (centre[:, 1] > rest[joint_index("neck")][1])] = 1
    for side, sign in (("left", 1.0), ("right", -1.0)):
        along = sign * centre[:, 0]
        joint = {name: sign * rest[joint_index(f"{side}_{name}")][0] for name in ("shoulder", "wrist")}
        limb = np.isin(bone, [joint_index(f"{side}_{n}") for n in ("collar", "shoulder", "elbow", "wrist", "hand")])
        out[limb & (along > joint["shoulder"])] = REGIONS.index(f"{side}_arm")
        out[limb & (along > joint["wrist"])] = REGIONS.index(f"{side}_hand")
        hip, ankle = rest[joint_index(f"{side}_hip")], rest[joint_index(f"{side}_ankle")]
        leg = np.isin(bone, [joint_index(f"{side}_{n}") for n in ("hip", "knee", "ankle", "foot")]) & (along > 0)
        out[leg & (centre[:, 1] < hip[1] - 0.06)] = REGIONS.index(f"{side}_leg")
        out[leg & (centre[:, 1] < ankle[1] + 0.01)] = REGIONS.index(f"{side}_foot")
    return out


def _charts(model: BodyModel) -> tuple[Ids, list[int]]:
    """Cut each region in two halves, each in one piece: front and back, or top and bottom of arms, hands and feet.

    Returns:
        (F,) chart of each face, and for each chart twice its region plus the half.
    """
    region = face_regions(model)
    corners = model.v_template[model.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    neighbours = _face_neighbours(model.faces)
    for _ in range(6):  # small dents do not become charts of their own
        normals = 0.5 * normals + normals[neighbours].sum(axis=1) / 6
    label = np.empty(len(region), np.int64)
    for index, name in enumerate(REGIONS):
        inside = region == index
        label[inside] = 2 * index + (normals[inside, _facing(name)] < 0)
    for _ in range(6):  # a face with two neighbours beyond the cut goes to them: a straighter cut
        around = np.sort(label[neighbours], axis=1)
        label = np.where((around[:, :2] == around[:, 1:]).any(axis=1), around[:, 1], label)
    return _connected(label, neighbours)


def _facing(region: str) -> int:
    """The axis that a region's two halves face."""
    return 1 if region.rpartition("_")[2] in ("arm", "hand", "foot") else 2


def _connected(label: Ids, neighbours: Ids) -> tuple[Ids, list[int]]:
    """Give islands to the chart around them, then number the charts."""
    rows, columns = np.repeat(np.arange(len(label)), 3), neighbours.ravel()
    for _ in range(8):
        same = label[rows] == label[columns]
        graph = sp.coo_matrix((np.ones(same.sum()), (rows[same], columns[same])), (len(label), len(label)))
        count, component = connected_components(graph, directed=False)
        size = np.bincount(component, minlength=count)
        largest = np.zeros(label.max() + 1, np.int64)
        np.maximum.at(largest, label, size[component])
        is_island = size[component] < largest[label]
        if not is_island.any():
            break
        border = is_island[rows] & ~is_island[columns]
        for c in np.unique(component[is_island]):
            around = label[columns[border & (component[rows] == c)]]
            if len(around):
                label[component == c] = np.bincount(around).argmax()
    values, chart = np.unique(label, return_inverse=True)
    return chart.astype(np.int64), [int(v) for v in values]


def _face_neighbours(faces: Ids) -> Ids:
    """The three faces across the edges of each face of a closed mesh, (F, 3)."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    pairs = order.reshape(-1, 2)
    across = np.empty(len(order), np.int64)
    across[pairs[:, 0]], across[pairs[:, 1]] = pairs[:, 1] % len(faces), pairs[:, 0] % len(faces)
    return across.reshape(3, -1).T


def _flatten(model: BodyModel, face_ids: Ids, region: str, side: int) -> tuple[Ids, Ids, Array]:
    """Flatten one chart: its mesh vertices, its faces among them, and (n, 2) coordinates in trunk texels' metres."""
    ids, local = np.unique(model.faces[face_ids], return_inverse=True)
    local = local.reshape(-1, 3)
    points = model.v_template[ids]
    flat = _conformal(points, local, region, side)
    corners, uv = points[local], flat[local]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum()
    e1, e2 = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    flat_area = np.abs(e1[:, 0] * e2[:, 1] - e1[:, 1] * e2[:, 0]).sum()
    density = _DENSITY[region.rpartition("_")[2]]
    flat = flat * density * np.sqrt(area / flat_area)
    centred = flat - flat.mean(axis=0)
    angle = 0.5 * np.arctan2(2 * (centred[:, 0] @ centred[:, 1]), (centred**2).sum(axis=0) @ [1.0, -1.0])
    c, s = np.cos(angle), np.sin(angle)
    flat = centred @ np.array([[c, -s], [s, c]])
    return ids, local, flat - flat.min(axis=0)


def _conformal(points: Array, faces: Ids, region: str, side: int) -> Array:
    """Least-squares conformal map with two vertices pinned to where a plain projection puts them.

    Hands are drawn towards the projection everywhere; the map alone would shrink their fingers to nothing.
    """
    keep = [a for a in range(3) if a != _facing(region)]
    plane = points[:, keep] * ([1.0, 1.0] if side else [-1.0, 1.0])
    x, y = _local_frames(points[faces])
    twice = np.maximum(x[:, 1] * y[:, 2], 1e-14)
    root, rows, n = np.sqrt(twice), np.arange(len(faces)), len(points)
    nodes = np.concatenate([faces[:, corner] for corner in range(3)])
    edges = [((corner + 2) % 3, (corner + 1) % 3) for corner in range(3)]
    shape, place = (len(faces), n), (np.tile(rows, 3), nodes)
    real = sp.coo_matrix((np.concatenate([(x[:, j] - x[:, i]) / root for j, i in edges]), place), shape)
    imag = sp.coo_matrix((np.concatenate([(y[:, j] - y[:, i]) / root for j, i in edges]), place), shape)
    system = sp.csc_matrix(sp.bmat([[real, -imag], [imag, real]]))
    pull = np.zeros(n)
    if region.endswith("hand"):
        pull = np.bincount(faces.ravel(), weights=np.repeat(twice, 3) / 3, minlength=n) / _HAND_PULL_M**2
    else:
        far = plane - plane.mean(axis=0)
        direction = np.linalg.svd(far, full_matrices=False)[2][0]
        pull[[np.argmin(far @ direction), np.argmax(far @ direction)]] = _PIN
    both = np.tile(pull, 2)
    solution: Array = splu(sp.csc_matrix(system.T @ system + sp.diags(both))).solve(both * plane.T.ravel())
    return solution.reshape(2, n).T


def _local_frames(corners: Array) -> tuple[Array, Array]:
    """Coordinates of each face's corners in its own plane, first corner at the origin: x (F, 3), y (F, 3)."""
    e1, e2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    length = np.linalg.norm(e1, axis=1)
    along = np.einsum("ij,ij->i", e1, e2) / length
    height = np.linalg.norm(np.cross(e1, e2), axis=1) / length
    zero = np.zeros_like(length)
    return np.stack([zero, length, along], axis=1), np.stack([zero, zero, height], axis=1)


def _pack(flats: list[Array], triangles: list[Ids]) -> Array:
    """Place charts by their outlines, at the largest common scale that fits; returns the texture coordinates."""
    flats = [flat if np.ptp(flat[:, 0]) >= np.ptp(flat[:, 1]) else flat[:, ::-1] * [1.0, -1.0] for flat in flats]
    flats = [flat - flat.min(axis=0) for flat in flats]
    total = sum(float(np.prod(flat.max(axis=0))) for flat in flats)
    low, high = 0.5 * SIZE / np.sqrt(total), 2.0 * SIZE / np.sqrt(total)
    places = _places(flats, triangles, low)
    for _ in range(9):
        middle = (low + high) / 2
        tried = _places(flats, triangles, middle)
        if tried:
            low, places = middle, tried
        else:
            high = middle
    texels = [flat * low + place for flat, place in zip(flats, places, strict=True)]
    return np.concatenate(texels) / SIZE


def _places(flats: list[Array], triangles: list[Ids], scale: float) -> list[Array]:
    """Corner of each chart at one scale, larger charts first, each at the free place nearest to the top; empty if none fits."""
    cells = SIZE // _CELL
    taken = np.zeros((cells, cells), np.float32)
    places: list[Array] = [np.zeros(2) for _ in flats]
    for i in sorted(range(len(flats)), key=lambda i: -float(np.prod(flats[i].max(axis=0)))):
        mask = _outline(flats[i] * scale, triangles[i])
        height, width = mask.shape
        if height > cells or width > cells:
            return []
        overlap = cv2.filter2D(taken, -1, mask, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
        free = np.flatnonzero(overlap[: cells - height + 1, : cells - width + 1].ravel() < 0.5)
        if not len(free):
            return []
        row, column = divmod(int(free[0]), cells - width + 1)
        taken[row : row + height, column : column + width] += mask
        places[i] = np.array([column, row]) * float(_CELL) + _MARGIN
    return places


def _outline(flat: Array, faces: Ids) -> NDArray[np.float32]:
    """Cells that a chart and its margin touch."""
    width, height = (int(v) // _CELL + 1 for v in flat.max(axis=0) + 2 * _MARGIN)
    picture = np.zeros((height * _CELL, width * _CELL), np.uint8)
    cv2.fillPoly(picture, list(np.round(flat[faces] + _MARGIN).astype(np.int32)), 1)
    picture = np.asarray(cv2.dilate(picture, np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), np.uint8)), np.uint8)
    return picture.reshape(height, _CELL, width, _CELL).max(axis=(1, 3)).astype(np.float32)


def _with_texels(model: BodyModel, corner: Ids, texcoords: Array, faces: Ids, region: NDArray[np.uint8], chart: Ids) -> Atlas:
    owner = _rasterise(texcoords[faces] * SIZE)
    texel = np.flatnonzero(owner.ravel() >= 0)
    face = owner.ravel()[texel]
    centre = np.stack([texel % SIZE + 0.5, texel // SIZE + 0.5], axis=1)
    weights = _barycentric(texcoords[faces[face]] * SIZE, centre)
    ids = model.faces[face]
    points = np.einsum("nk,nka->na", weights, model.v_template[ids])
    normals = np.einsum("nk,nka->na", weights, vertex_normals(model.v_template, model.faces)[ids])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    row, column = distance_transform_edt(owner < 0, return_distances=False, return_indices=True)
    number = np.full(SIZE * SIZE, -1, np.int32)
    number[texel] = np.arange(len(texel))
    source = number[(row * SIZE + column).ravel()].reshape(SIZE, SIZE)
    return Atlas(
        corner,
        texcoords,
        faces,
        region,
        chart,
        texel,
        points.astype(np.float32),
        normals.astype(np.float32),
        region[face],
        source,
    )


def _rasterise(triangles: Array) -> NDArray[np.int32]:
    """Face of each texel, -1 where there is none; a face covers the texels that it touches."""
    owner = np.full((SIZE, SIZE), -1, np.int32)
    shift = 4
    corners = np.round((triangles - 0.5) * (1 << shift)).astype(np.int32)
    for index, corner in enumerate(corners):
        cv2.fillConvexPoly(owner, corner, index, lineType=cv2.LINE_8, shift=shift)
    return owner


def _barycentric(triangles: Array, points: Array) -> Array:
    """Weights of the corners at each point, moved into the triangle where the point lies outside."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    u, v, w = b - a, c - a, points - a
    det = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    det = np.where(np.abs(det) < 1e-12, 1e-12, det)
    s = (w[:, 0] * v[:, 1] - w[:, 1] * v[:, 0]) / det
    t = (u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]) / det
    weights = np.clip(np.stack([1 - s - t, s, t], axis=1), 0.0, 1.0)
    return weights / weights.sum(axis=1, keepdims=True)


def vertex_normals(vertices: Array, faces: Ids) -> Array:
    """Unit normals (V, 3), faces weighted by their area."""
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    out = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(out, faces[:, k], normals)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
