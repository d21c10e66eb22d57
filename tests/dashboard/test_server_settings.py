"""The settings of the server of the pages, as Streamlit reads them."""

import os
import subprocess
import sys

from tests.conftest import REPOSITORY

CODE = (
    "import streamlit.config as c; print(*[c.get_option('server.' + name) for name in ('fileWatcherType', 'address')])"
)


def test_a_server_that_users_start_watches_no_source_files_and_listens_on_this_machine_alone():
    variables = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}
    done = subprocess.run([sys.executable, "-c", CODE], cwd=REPOSITORY, env=variables, capture_output=True, text=True)
    assert done.stdout.split() == ["none", "127.0.0.1"], done.stderr


def test_the_servers_of_the_tests_have_the_settings_of_the_users():
    """Except for the port: otherwise what is measured is not what runs."""
    for name in ("server.py", "test_meeting_of_six.py"):
        assert "fileWatcherType" not in (REPOSITORY / "tests" / "browser" / name).read_text()
