"""The small workspace of the dashboard's tests, and the command line run in this process."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from core.__main__ import app
from tests.dashboard.conftest import House, built, enter, films  # noqa: F401


@pytest.fixture
def own(built, tmp_path, monkeypatch) -> House:  # noqa: F811
    """A copy of the workspace and its checkpoints that a test may write to."""
    copy = House(tmp_path / "home", tmp_path / "checkpoints")
    shutil.copytree(built.home, copy.home)
    shutil.copytree(built.checkpoints, copy.checkpoints)
    enter(copy, monkeypatch)
    return copy


def run_command(*arguments, status: int = 0) -> dict:
    """The JSON object that `python -m core ... --json` prints."""
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == status, (done.output, done.exception)
    return json.loads(done.stdout)
