"""`python -m core dashboard`: what it starts, and what it says where something is missing. tests/browser starts it."""

import importlib.util
import sys

import pytest

from core import paths
from core.commands.dashboard import server_command
from tests.conftest import REPOSITORY
from tests.refusals import refused


def test_it_starts_the_first_page_at_this_address_with_further_options():
    command = server_command("0.0.0.0", 8600, "--server.baseUrlPath", "bones")
    assert command[:4] == [sys.executable, "-m", "streamlit", "run"]
    assert command[4:] == [
        str(REPOSITORY / "dashboard" / "Home.py"),
        *("--server.address", "0.0.0.0", "--server.port", "8600"),
        *("--server.baseUrlPath", "bones"),
    ]


def test_a_copy_without_the_pages_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    with refused("pages-missing", str(tmp_path)):
        server_command("127.0.0.1", 8501)


def test_a_copy_without_streamlit_says_so(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "streamlit" else found(name))
    with refused("streamlit-missing", "pip install streamlit"):
        server_command("127.0.0.1", 8501)


@pytest.mark.parametrize("port", ["0", "70000"])
def test_a_port_that_does_not_exist_is_wrong_use(port):
    from typer.testing import CliRunner

    from core.__main__ import app

    assert CliRunner().invoke(app, ["dashboard", "--port", port]).exit_code == 2
