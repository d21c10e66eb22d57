"""A server as the repository configures it: only this machine reaches it, and it reaches nobody."""

import shutil
import urllib.request
from pathlib import Path

import pytest

from core.data.index import build_index, write_dataset
from core.models.checkpoint import list_checkpoints
from core.phantom import write_phantoms
from core.scores.predict import predict
from core.scores.predictions import store_predictions
from tests.browser.server import chromium, serve, settle

pytest.importorskip("playwright", reason="playwright is not installed")
pytestmark = [
    pytest.mark.skipif(not shutil.which("chromium"), reason="the system has no chromium; apt-get install chromium"),
    pytest.mark.skipif(not list_checkpoints()[0], reason="no checkpoint ships in checkpoints/"),
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="this system has no /proc/net"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERREAD_HOME", str(home))
        write_phantoms(home / "phantoms", 30, 3, valid_fraction=0.5)
        dataset = write_dataset("demo", build_index(home / "phantoms" / "MURA-v1.1"))
        checkpoint = list_checkpoints()[0][0]
        store_predictions(predict(checkpoint, dataset), checkpoint, dataset)
    return home


def test_every_answer_carries_the_policy(home):
    with serve(home) as address:
        for path in ("/", "/errors", "/_stcore/health", "/static/nothing.js"):
            request = urllib.request.Request(f"{address}{path}")
            try:
                answer = urllib.request.urlopen(request)
            except urllib.error.HTTPError as error:
                answer = error
            policy = answer.headers["content-security-policy"]
            assert "default-src 'self'" in policy and "http" not in policy, path


def test_a_server_that_is_open_to_a_network_without_a_login_says_so(home):
    with serve(home, "--server.address", "0.0.0.0") as address, chromium() as browser:
        assert "Warning: This server can be reached from the network" in (home / "server.log").read_text()
        page = browser.new_page()
        page.goto(address)
        settle(page)
        assert "Open to the network" in page.locator(".stMain").inner_text()
    with serve(home) as address:
        assert "Warning" not in (home / "server.log").read_text()
