"""Stamps: a finished step is done, an interrupted one is known, a changed input runs again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ego_perception.setup.stamps import Stamps, key_of, write_atomically


@pytest.fixture
def stamps(tmp_path: Path) -> Stamps:
    return Stamps(tmp_path / "stamps")


def test_finished_step_is_done_for_its_key_only(stamps: Stamps) -> None:
    assert not stamps.is_done("a", "1")
    with stamps.running("a", "1") as was_cut_short:
        assert not was_cut_short
        assert not stamps.is_done("a", "1")
    assert stamps.is_done("a", "1")
    assert not stamps.is_done("a", "2")
    assert not stamps.is_done("b", "1")


def test_step_that_runs_again_is_not_done_meanwhile(stamps: Stamps) -> None:
    with stamps.running("a", "1"):
        pass
    with pytest.raises(ValueError), stamps.running("a", "2"):
        raise ValueError
    assert not stamps.is_done("a", "1")
    assert not stamps.is_done("a", "2")


def test_orderly_failure_is_no_interruption(stamps: Stamps) -> None:
    with pytest.raises(ValueError), stamps.running("a", "1"):
        raise ValueError
    with stamps.running("a", "1") as was_cut_short:
        assert not was_cut_short


def test_interruption_is_remembered_until_the_step_ends_well(stamps: Stamps) -> None:
    with pytest.raises(KeyboardInterrupt), stamps.running("a", "1"):
        raise KeyboardInterrupt
    assert not stamps.is_done("a", "1")
    with pytest.raises(ValueError), stamps.running("a", "1") as was_cut_short:
        assert was_cut_short
        raise ValueError
    with stamps.running("a", "1") as was_cut_short:
        assert was_cut_short
    with stamps.running("a", "2") as was_cut_short:
        assert not was_cut_short


def test_key_depends_on_names_contents_and_texts(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("x")
    second.write_text("x")
    keys = {
        key_of(),
        key_of([first]),
        key_of([second]),
        key_of([first, second]),
        key_of([second, first]),
        key_of([first], "x"),
        key_of([], "ab"),
        key_of([], "a", "b"),
    }
    assert len(keys) == 8
    before = key_of([first])
    assert key_of([first]) == before
    first.write_text("y")
    assert key_of([first]) != before


def test_atomic_write_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "file"
    write_atomically(file, "old")
    write_atomically(file, "new")
    assert file.read_text() == "new"
    assert list(file.parent.iterdir()) == [file]
