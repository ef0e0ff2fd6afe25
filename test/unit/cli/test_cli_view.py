"""`ego view` says where the page is, and what is wrong with a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.result_folder import write_result

from ego_perception.cli.main import main
from ego_perception.viz.viewer import ViewerHandle


def test_it_prints_the_address_opens_the_browser_and_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(ViewerHandle, "wait", lambda self: None)
    with pytest.raises(SystemExit) as end:
        main(["view", str(write_result(tmp_path / "out", num_frames=2)), "--port", "0"])
    assert end.value.code == 0
    assert len(opened) == 1
    assert opened[0] in capsys.readouterr().out.replace("\n", "")


def test_no_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webbrowser.open", lambda url: pytest.fail("opened a browser"))
    monkeypatch.setattr(ViewerHandle, "wait", lambda self: None)
    with pytest.raises(SystemExit) as end:
        main(["view", str(write_result(tmp_path / "out", num_frames=2)), "--port", "0", "--no-browser"])
    assert end.value.code == 0


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_folder_that_is_no_result_is_one_clear_line(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["view", str(tmp_path / name), "--no-browser"])
    assert end.value.code == 1
    error = capsys.readouterr().err
    assert "is no result folder" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--port", "70000"], ["--speed", "2"]])
def test_wrong_usage(tmp_path: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["view", str(tmp_path), *arguments])
    assert end.value.code == 2
