"""PointCloud2: known bytes, round trips, and clouds of other layouts."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ego_perception.errors import FrameError
from ego_perception.messages import cloud_message, unpack_cloud
from ego_perception.messages.point_cloud import resize_colours


def test_bytes_of_one_point_are_known(factory):
    cloud = cloud_message(factory, np.float32([[[1.0, -2.0, 3.5]]]), np.uint8([[[0x11, 0x22, 0x33]]]), 5, "cam")
    assert bytes(cloud.data) == struct.pack("<fffI", 1.0, -2.0, 3.5, 0x00112233)
    assert [(f.name, f.offset, f.datatype, f.count) for f in cloud.fields] == [
        ("x", 0, 7, 1),
        ("y", 4, 7, 1),
        ("z", 8, 7, 1),
        ("rgb", 12, 7, 1),
    ]
    assert (cloud.point_step, cloud.row_step, cloud.height, cloud.width, cloud.is_bigendian) == (16, 16, 1, 1, False)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99), st.booleans())
@settings(max_examples=40, deadline=None)
def test_organised_clouds_survive(height, width, seed, with_hole):
    from ego_perception.bag import RosbagsFactory

    rng = np.random.default_rng(seed)
    points = rng.normal(size=(height, width, 3)).astype(np.float32)
    rgb = rng.integers(0, 256, (height, width, 3), np.uint8)
    if with_hole:
        points[0, 0] = np.nan
    cloud = cloud_message(RosbagsFactory(), points, rgb, 1, "cam")
    assert cloud.is_dense is (not with_hole)
    found, colours = unpack_cloud(cloud)
    np.testing.assert_array_equal(found.reshape(points.shape), points)
    np.testing.assert_array_equal(colours.reshape(rgb.shape), rgb)


def test_stride_keeps_the_grid(factory):
    points = np.arange(5 * 7 * 3, dtype=np.float32).reshape(5, 7, 3)
    cloud = cloud_message(factory, points, None, 1, "cam", stride=3)
    assert (cloud.height, cloud.width) == (2, 3)
    np.testing.assert_array_equal(unpack_cloud(cloud)[0], points[::3, ::3])


def test_map_points_are_unorganised_and_white(factory):
    points = np.float32([[1, 2, 3], [4, 5, 6]])
    cloud = cloud_message(factory, points, None, 1, "odom", stride=2)
    assert (cloud.height, cloud.width) == (1, 2)
    found, colours = unpack_cloud(cloud)
    np.testing.assert_array_equal(found, points)
    assert (colours == 255).all()


def test_empty_map_is_a_valid_cloud(factory):
    cloud = cloud_message(factory, np.zeros((0, 3), np.float32), None, 1, "odom")
    assert (cloud.width, cloud.is_dense, len(cloud.data)) == (0, True, 0)
    assert unpack_cloud(cloud)[0].shape == (0, 3)


def test_packed_colour_is_never_a_nan(factory):
    rgb = np.full((1, 1, 3), 255, np.uint8)
    data = cloud_message(factory, np.zeros((1, 1, 3), np.float32), rgb, 1, "").data
    assert np.isfinite(np.frombuffer(data, "<f4")).all()


@pytest.mark.parametrize("big", [False, True])
def test_other_layouts_are_read(factory, big):
    """Fields in another order, doubles, padding at the end of points and rows, either byte order."""
    order = ">" if big else "<"
    dtype = np.dtype(
        {
            "names": ["z", "x", "y"],
            "formats": [f"{order}f8", f"{order}f4", f"{order}i2"],
            "offsets": [2, 12, 20],
            "itemsize": 24,
        }
    )
    values = np.zeros((2, 3), dtype)
    values["x"], values["y"], values["z"] = 1.5, [[1, 2, 3], [4, 5, 6]], -2.25
    rows = [values[i].tobytes() + b"\xee" * 8 for i in range(2)]

    def field(name, offset, kind):
        return factory.make("sensor_msgs/msg/PointField", name=name, offset=offset, datatype=kind, count=1)

    cloud = factory.make(
        "sensor_msgs/msg/PointCloud2",
        height=2,
        width=3,
        is_bigendian=big,
        point_step=24,
        row_step=80,
        fields=[field("z", 2, 8), field("x", 12, 7), field("y", 20, 3)],
        data=np.frombuffer(b"".join(rows), np.uint8),
    )
    points, colours = unpack_cloud(cloud)
    assert colours is None
    np.testing.assert_array_equal(points[..., 1], [[1, 2, 3], [4, 5, 6]])
    assert (points[..., 0] == 1.5).all()
    assert (points[..., 2] == -2.25).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fields": []}, "no field 'x'"),
        ({"data": np.zeros(15, np.uint8)}, "15 bytes"),
        ({"row_step": 8}, "row step 8"),
        ({"height": 9}, "9 rows"),
        ({"point_step": 8, "row_step": 16}, "lies outside"),
    ],
)
def test_broken_clouds_are_refused(factory, changes, words):
    cloud = cloud_message(factory, np.zeros((1, 1, 3), np.float32), None, 1, "")
    for name, value in changes.items():
        setattr(cloud, name, value)
    with pytest.raises(FrameError, match=words):
        unpack_cloud(cloud)


def test_unknown_datatype_is_refused(factory):
    cloud = cloud_message(factory, np.zeros((1, 1, 3), np.float32), None, 1, "")
    cloud.fields[0].datatype = 99
    with pytest.raises(FrameError, match="datatype 99"):
        unpack_cloud(cloud)


def test_wrong_shapes_are_refused(factory):
    with pytest.raises(FrameError, match="points have shape"):
        cloud_message(factory, np.zeros((2, 2), np.float32), None, 1, "")
    with pytest.raises(FrameError, match="colours have shape"):
        cloud_message(factory, np.zeros((2, 2, 3), np.float32), np.zeros((2, 1, 3), np.uint8), 1, "")


def test_colours_follow_the_depth_size():
    rgb = np.zeros((4, 4, 3), np.uint8)
    rgb[:, 2:] = 200
    assert resize_colours(rgb, 4, 4) is rgb
    np.testing.assert_array_equal(resize_colours(rgb, 2, 2)[:, 1], np.full((2, 3), 200))
    assert resize_colours(rgb, 8, 8).shape == (8, 8, 3)
