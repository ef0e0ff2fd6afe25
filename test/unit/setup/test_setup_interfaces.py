"""Interfaces: the rewrite of exported CMake files, and the generated tf2_msgs package."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from ego_perception.errors import SetupError
from ego_perception.setup import interfaces

EXPORT = (
    'INTERFACE_INCLUDE_DIRECTORIES "${_IMPORT_PREFIX}/include/std_msgs;/opt/python/cp311-cp311/include/python3.11;'
    '/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/_core/include"\n'
)


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    folder = tmp_path / "share" / "std_msgs" / "cmake"
    folder.mkdir(parents=True)
    (folder / "std_msgs__rosidl_generator_py_pyExport.cmake").write_text(EXPORT)
    (folder / "other.cmake").write_text(EXPORT)
    return tmp_path


def test_rewrite_points_at_the_headers_of_this_machine(prefix: Path) -> None:
    assert interfaces.rewrite_exports(prefix, Path(r"/py \1 include"), Path("/np/include")) == 1
    text = next(prefix.rglob("*_pyExport.cmake")).read_text()
    assert text == 'INTERFACE_INCLUDE_DIRECTORIES "${_IMPORT_PREFIX}/include/std_msgs;/py \\1 include;/np/include"\n'
    assert next(prefix.rglob("other.cmake")).read_text() == EXPORT


def test_rewrite_twice_changes_nothing_more(prefix: Path) -> None:
    interfaces.rewrite_exports(prefix, Path("/py"), Path("/np"))
    assert interfaces.rewrite_exports(prefix, Path("/py"), Path("/np")) == 0


def test_rewrite_does_not_write_through_a_hard_link(prefix: Path) -> None:
    """The installer's cache shares its files with the environment by hard links; the cache must keep the original."""
    file = next(prefix.rglob("*_pyExport.cmake"))
    cached = prefix / "cached"
    cached.hardlink_to(file)
    interfaces.rewrite_exports(prefix, Path("/py"), Path("/np"))
    assert cached.read_text() == EXPORT


def test_tf2_message_has_the_hash_of_every_other_machine(tmp_path: Path) -> None:
    folder = interfaces.write_tf2_msgs(tmp_path / "tf2_msgs")
    known = get_typestore(Stores.ROS2_JAZZY)
    ours = get_typestore(Stores.ROS2_JAZZY)
    name = "tf2_msgs/msg/TFMessage"
    del ours.fielddefs[name]
    ours.register(get_types_from_msg((folder / "msg" / "TFMessage.msg").read_text(), name))
    assert ours.hash_rihs01(name) == known.hash_rihs01(name)


def test_tf2_package_is_well_formed(tmp_path: Path) -> None:
    folder = interfaces.write_tf2_msgs(tmp_path / "tf2_msgs")
    package = ElementTree.parse(folder / "package.xml").getroot()
    assert package.findtext("name") == "tf2_msgs"
    assert package.findtext("member_of_group") == "rosidl_interface_packages"
    assert "msg/TFMessage.msg" in (folder / "CMakeLists.txt").read_text()


def test_package_is_found_through_the_ament_index(tmp_path: Path) -> None:
    assert not interfaces.has_package(tmp_path, "tf2_msgs")
    marker = tmp_path / "share/ament_index/resource_index/packages/tf2_msgs"
    marker.parent.mkdir(parents=True)
    marker.touch()
    assert interfaces.has_package(tmp_path, "tf2_msgs")


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake")
def test_failed_build_names_the_folder_to_delete_and_the_log(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "CMakeLists.txt").write_text('message(FATAL_ERROR "wrong on purpose")\n')
    with pytest.raises(SetupError) as caught:
        interfaces.build(source, tmp_path / "build here", tmp_path / "prefix", tmp_path / "logs" / "it")
    assert "build here" in str(caught.value)
    assert "wrong on purpose" in str(caught.value)
    assert (tmp_path / "logs" / "it.configure.log").is_file()
