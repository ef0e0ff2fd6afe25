"""The interfaces: each parses, has a header, says its units, and agrees with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from ego_perception.data import TrackingState

FOLDER = Path(__file__).resolve().parents[2] / "ego_msgs"
MESSAGES = sorted((FOLDER / "msg").glob("*.msg"))
OTHERS = sorted([*(FOLDER / "srv").glob("*.srv"), *(FOLDER / "action").glob("*.action")])
PARTS = {"StageLatency", "Person2D", "BodySample", "Body", "SceneObject", "Contact"}
"""Messages that are only ever sent inside another one, which carries the header."""

FIELD = re.compile(r"^(?P<type>[\w/]+(?:\[\d*\])?)\s+(?P<name>\w+)\s*(?P<constant>=)?(?P<rest>.*)$")
UNIT_OF_SUFFIX = {
    "_ms": "millisecond",
    "_s": "second",
    "_hz": "hertz",
    "_px": "pixel",
    "_bytes": "byte",
    "_db": "decibel",
    "_m": "metre",
}


def fields(text: str) -> list[tuple[str, str, bool, str]]:
    """Type, name, whether it is a constant, and comment of every field."""
    found = []
    for line in text.splitlines():
        code, _, comment = line.partition("#")
        match = FIELD.match(code.strip())
        if match:
            found.append((match["type"], match["name"], match["constant"] is not None, comment.strip()))
    return found


@pytest.fixture(scope="module")
def typestore():
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {}
    for path in MESSAGES:
        types.update(get_types_from_msg(path.read_text(), f"ego_msgs/msg/{path.stem}"))
    store.register(types)
    return store


@pytest.mark.parametrize("path", MESSAGES, ids=lambda p: p.stem)
def test_message_parses_and_has_a_hash(path: Path, typestore) -> None:
    assert typestore.hash_rihs01(f"ego_msgs/msg/{path.stem}").startswith("RIHS01_")


@pytest.mark.parametrize("path", OTHERS, ids=lambda p: p.name)
def test_every_section_of_services_and_actions_parses(path: Path, typestore) -> None:
    sections = re.split(r"^---$", path.read_text(), flags=re.MULTILINE)
    assert len(sections) == (3 if path.suffix == ".action" else 2)
    for number, section in enumerate(sections):
        name = f"ego_msgs/msg/{path.stem}{path.suffix[1:].title()}{number}"
        typestore.register(get_types_from_msg(section, name))
        assert typestore.hash_rihs01(name).startswith("RIHS01_")


@pytest.mark.parametrize("path", MESSAGES, ids=lambda p: p.stem)
def test_message_has_a_header_or_is_a_part_of_one_that_has(path: Path) -> None:
    first = fields(path.read_text())[0]
    assert ((first[0], first[1]) == ("std_msgs/Header", "header")) is (path.stem not in PARTS)
    if path.stem in PARTS:
        users = [other.stem for other in MESSAGES if re.search(rf"^{path.stem}\[\] ", other.read_text(), re.MULTILINE)]
        assert users, "no message holds this part"


@pytest.mark.parametrize("path", [*MESSAGES, *OTHERS], ids=lambda p: p.name)
def test_interface_says_what_it_is_for(path: Path) -> None:
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", [*MESSAGES, *OTHERS], ids=lambda p: p.name)
def test_names_with_a_unit_say_it_again_in_words(path: Path) -> None:
    for _, name, constant, comment in fields(path.read_text()):
        for suffix, unit in UNIT_OF_SUFFIX.items():
            if name.endswith(suffix) and not constant:
                assert unit in comment, f"{name}: {comment!r} does not name the unit {unit}"


@pytest.mark.parametrize("path", MESSAGES, ids=lambda p: p.stem)
def test_numbers_and_arrays_are_explained(path: Path) -> None:
    states = {"state", "source"}
    for kind, name, constant, comment in fields(path.read_text()):
        is_enumeration = name in states or name.endswith("_source")
        if not constant and not is_enumeration and (kind.startswith("float") or "[" in kind):
            assert comment, f"{name} has no comment"


@pytest.mark.parametrize("path", [*MESSAGES, *OTHERS], ids=lambda p: p.name)
def test_ids_are_strings_and_constants_shout(path: Path) -> None:
    for kind, name, constant, _ in fields(path.read_text()):
        assert constant == name.isupper()
        if name in ("id", "scene_id", "model_id"):
            assert kind == "string"


def test_states_equal_those_of_the_estimator() -> None:
    constants = dict(re.findall(r"^uint8 (\w+)=(\d)", (FOLDER / "msg" / "NodeStatus.msg").read_text(), re.MULTILINE))
    for state in TrackingState:
        assert int(constants[state.name]) == state.value


def test_build_file_takes_every_interface() -> None:
    text = (FOLDER / "CMakeLists.txt").read_text()
    for suffix in ("msg", "srv", "action"):
        assert f"{suffix}/*.{suffix}" in text


def test_every_package_used_is_declared() -> None:
    used = {kind.partition("/")[0] for path in [*MESSAGES, *OTHERS] for kind, *_ in fields(path.read_text()) if "/" in kind}
    declared = (FOLDER / "package.xml").read_text()
    cmake = (FOLDER / "CMakeLists.txt").read_text()
    for package in used:
        assert f"<depend>{package}</depend>" in declared
        assert f"find_package({package} REQUIRED)" in cmake
