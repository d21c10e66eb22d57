"""A server as the repository configures it: only this machine reaches it, and it reaches nobody."""

import json
import re
import shutil
import socket
import urllib.request
from pathlib import Path

import pytest

from core.data.index import build_index, write_dataset
from core.models.checkpoint import list_checkpoints
from core.phantom import write_phantoms
from core.scores.predict import predict
from core.scores.predictions import store_predictions
from tests.browser.server import PAGES, chromium, serve, settle

pytest.importorskip("playwright", reason="playwright is not installed")
pytestmark = [
    pytest.mark.skipif(not shutil.which("chromium"), reason="the system has no chromium; apt-get install chromium"),
    pytest.mark.skipif(not list_checkpoints()[0], reason="no checkpoint ships in checkpoints/"),
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="this system has no /proc/net"),
]
# Python imports this file first and then reports every connection that it makes and every name that it looks up.
WATCH = """
import json, os, sys
def watch(event, given):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        where = given[0] if event == "socket.getaddrinfo" else given[1]
        with open(os.environ["WATCHED"], "a") as out:
            out.write(json.dumps([event, repr(where)]) + "\\n")
sys.addaudithook(watch)
"""
LOCAL = re.compile(r"127\.0\.0\.1|::1|localhost|None|''|^'/|^b'\\x00")


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


def listening(port: int) -> set[str]:
    """The addresses on which any process of this machine listens at a port."""
    found = set()
    for table, family, size in (("tcp", socket.AF_INET, 4), ("tcp6", socket.AF_INET6, 16)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            place, state = line.split()[1], line.split()[3]
            if state == "0A" and int(place.split(":")[1], 16) == port:
                words = [bytes.fromhex(place[at : at + 8])[::-1] for at in range(0, 2 * size, 8)]
                found.add(socket.inet_ntop(family, b"".join(words)))
    return found


def test_the_configured_server_listens_on_this_machine_only_and_connects_nowhere(home, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    watched = tmp_path / "watched.jsonl"
    with serve(home, WATCHED=str(watched), PYTHONPATH=str(tmp_path)) as address, chromium() as browser:
        assert listening(int(address.rsplit(":", 1)[1])) == {"127.0.0.1"}
        page = browser.new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        for name in PAGES:
            page.goto(f"{address}/{name}")
            settle(page)
        outside = [
            url for url in asked if not url.startswith((address, "data:", "blob:", address.replace("http", "ws")))
        ]
        assert not outside and len(asked) > len(PAGES)
    reached = [json.loads(line) for line in watched.read_text().splitlines()] if watched.exists() else []
    assert not [one for one in reached if not LOCAL.search(one[1])]


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
