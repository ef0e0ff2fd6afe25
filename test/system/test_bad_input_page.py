"""docs/bad_input.md names tests; each of them exists, so that the page cannot promise what nobody checks."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "bad_input.md"
ROWS = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "|---" not in line]
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")

REQUIRED = (
    "truncated", "undecodable", "zero size", "wrong encoding", "wrong step", "NaN", "black", "saturated", "frozen",
    "change of resolution", "missing `camera_info`", "late `camera_info`", "another shape", "zero or impossible focal length",
    "duplicate", "jump backwards", "jump forwards", "bag in a loop", "bag without metadata", "cut short", "unknown types",
    "empty", "a video that is no video", "of another network", "unknown or out-of-range parameter", "parameter file", "--set",
    "full disk", "unwritable output", "no subscribers", "a killed node", "no mask", "mask of another size", "all hole",
    "no hole", "scene cut", "static camera", "a model that throws", "a model that hangs",
    "no GL back-end", "without free floor", "damaged, cut or lost clip",
    "full disk while a data set is written", "interrupted recording", "negative or zero sizes",
)  # fmt: skip


@cache
def functions_of(path: Path) -> frozenset[str]:
    """Names of the test functions of a file, also of those in classes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("file", "name"), sorted({named for row in ROWS for named in NAMED.findall(row)}))
def test_every_test_that_the_page_names_exists(file: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in functions_of(TESTS / file)


def test_every_row_names_a_test() -> None:
    rows = [row for row in ROWS if not row.startswith("| input |")]
    assert len(rows) > 40
    assert [row for row in rows if not NAMED.search(row.rsplit("|", 2)[1])] == []


@pytest.mark.parametrize("words", REQUIRED)
def test_every_kind_of_bad_input_has_its_row(words: str) -> None:
    assert any(words in row.split("|")[1] for row in ROWS)
