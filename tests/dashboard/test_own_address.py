"""A server that listens on every interface asks no other host for its own address."""

import http.server
import threading
from contextlib import contextmanager

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.browser.server import serve


@contextmanager
def outside():
    """A proxy that stands for every other host; yields the list of what it was asked for."""
    asked: list[str] = []

    class Asked(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(502)

        do_CONNECT = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Asked)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def test_neither_the_start_nor_a_page_of_another_host_asks_for_the_public_address(tmp_path):
    with outside() as (proxy, asked):
        variables = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "http_proxy": proxy, "https_proxy": proxy}
        with serve(tmp_path, "--server.address", "0.0.0.0", **variables, NO_PROXY="", no_proxy="") as address:
            stream = address.replace("http", "ws") + "/_stcore/stream"
            with pytest.raises(InvalidStatus) as refused:
                connect(stream, origin="http://overread.example", proxy=None)
            assert refused.value.response.status_code == 403
            with connect(stream, origin=address, proxy=None):
                pass
        log = (tmp_path / "server.log").read_text()
        assert asked == []
        assert f"URL: {address.replace('127.0.0.1', 'localhost')}" in log
        assert "External" not in log
