"""Result folders to look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.result_folder import write_result

from ego_perception.viz.content import ResultContent


@pytest.fixture(scope="session")
def result_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished result with truth; read only."""
    return write_result(tmp_path_factory.mktemp("viz") / "with truth")


@pytest.fixture(scope="session")
def content(result_folder: Path) -> ResultContent:
    """The same, opened."""
    return ResultContent(result_folder)
