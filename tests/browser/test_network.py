"""A server as the repository configures it: only this machine reaches it, and it reaches nobody."""

import urllib.request
from pathlib import Path

import pytest

from tests.browser.server import listening, serve, settle

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="this system has no /proc/net")


def test_every_answer_carries_the_policy(home, tmp_path):
    # By the command, from a folder without settings: it finds the pages and their settings by itself.
    with serve(home, by_command=tmp_path) as address:
        assert listening(int(address.rsplit(":", 1)[1])) == {"127.0.0.1"}
        for path in ("/", "/errors", "/_stcore/health", "/static/nothing.js"):
            request = urllib.request.Request(f"{address}{path}")
            try:
                answer = urllib.request.urlopen(request)
            except urllib.error.HTTPError as error:
                answer = error
            policy = answer.headers["content-security-policy"]
            assert "default-src 'self'" in policy and "http" not in policy, path


@pytest.mark.slow
def test_a_server_that_is_open_to_a_network_without_a_login_says_so(home, browser):
    with serve(home, "--server.address", "0.0.0.0") as address:
        assert "Warning: This server can be reached from the network" in (home / "server.log").read_text()
        page = browser.new_page()
        page.goto(address)
        settle(page)
        assert "Open to the network" in page.locator(".stMain").inner_text()
        page.close()
    with serve(home) as address:
        assert "Warning" not in (home / "server.log").read_text()
