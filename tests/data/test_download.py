"""Downloads from a server that breaks off, lies about the length, redirects, is overloaded, or sends another file."""

import hashlib
import json
import os
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from core.data import download as downloads
from core.data.download import Patience, RemoteFile, download, read_json
from tests.refusals import refused

QUICK = Patience(tries=3, wait=0, longest_wait=0, silence=5)
CONTENT = os.urandom(700_000)


@dataclass
class Server:
    """The server's answer to each path, in the order of the requests, and the headers it was sent."""

    address: str = ""
    plans: dict[str, list] = field(default_factory=dict)
    asked: list[dict] = field(default_factory=list)

    def plan(self, path: str, *answers) -> str:
        """Answers to the requests of a path, one after another; the last one repeats."""
        self.plans[path] = list(answers)
        return self.address + path


def whole(handler, content: bytes = CONTENT, tag: str = '"one"', stop: int | None = None) -> None:
    """Send the file, or the range asked for; `stop`: break off after that many bytes of this answer."""
    start, status = 0, 200
    wanted = handler.headers.get("Range")
    if wanted and handler.headers.get("If-Range") == tag:
        start, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
    handler.send_response(status)
    handler.send_header("ETag", tag)
    handler.send_header("Content-Length", str(len(content) - start))
    if status == 206:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    handler.end_headers()
    handler.wfile.write(content[start:][:stop])


def broken_off(handler) -> None:
    whole(handler, stop=250_000)


def status(code: int, **headers):
    def answer(handler) -> None:
        handler.send_response(code)
        for name, value in {"Content-Length": "0", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return answer


def document(value) -> object:
    def answer(handler) -> None:
        content = json.dumps(value).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@pytest.fixture
def server():
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            made.asked.append({"path": self.path, **self.headers})
            answers = made.plans[self.path]
            (answers.pop(0) if len(answers) > 1 else answers[0])(self)
            self.close_connection = True

        def log_message(self, *arguments):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.address = f"http://127.0.0.1:{running.server_port}"
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    running.shutdown()
    running.server_close()
    thread.join()


def remote(url: str, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile(url, "set.zip", len(content), hashlib.md5(content).hexdigest())


def left(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_file_arrives_once(server, tmp_path):
    file = remote(server.plan("/set", whole))
    told = []
    download(file, tmp_path / "set.zip", lambda *said: told.append(said), QUICK)
    assert (tmp_path / "set.zip").read_bytes() == CONTENT and left(tmp_path) == ["set.zip"]
    assert told and told[-1][0] == told[-1][1] - 1 == 0
    download(file, tmp_path / "set.zip", None, QUICK)
    assert len(server.asked) == 1


def test_a_connection_that_breaks_off_is_continued_by_range(server, tmp_path):
    file = remote(server.plan("/set", broken_off))
    download(file, tmp_path / "set.zip", None, QUICK)
    assert (tmp_path / "set.zip").read_bytes() == CONTENT
    ranges = [asked.get("Range") for asked in server.asked]
    assert ranges == [None, "bytes=250000-", "bytes=500000-"]
    assert {asked.get("If-Range") for asked in server.asked} == {None, '"one"'}


def test_what_has_arrived_is_kept_for_the_next_call(server, tmp_path):
    file = remote(server.plan("/set", broken_off, status(503)))
    with refused("download-no-network", "503", "250 kB"):
        download(file, tmp_path / "set.zip", None, QUICK)
    assert left(tmp_path) == ["set.zip.part", "set.zip.part.json"]
    server.plan("/set", whole)
    download(file, tmp_path / "set.zip", None, QUICK)
    assert server.asked[-1]["Range"] == "bytes=250000-" and left(tmp_path) == ["set.zip"]


def test_a_file_that_has_changed_since_is_fetched_from_its_beginning(server, tmp_path):
    other = os.urandom(len(CONTENT))
    server.plan("/set", broken_off, lambda handler: whole(handler, other, '"two"'))
    file = remote(server.address + "/set", other)
    download(file, tmp_path / "set.zip", None, QUICK)
    assert (tmp_path / "set.zip").read_bytes() == other and server.asked[1]["If-Range"] == '"one"'


def test_a_record_that_has_changed_since_drops_what_had_arrived(server, tmp_path):
    old = remote(server.plan("/set", broken_off, status(503)))
    with refused("download-no-network"):
        download(old, tmp_path / "set.zip", None, QUICK)
    other = os.urandom(300_000)
    server.plan("/set", lambda handler: whole(handler, other, '"two"'))
    download(remote(server.address + "/set", other), tmp_path / "set.zip", None, QUICK)
    assert (tmp_path / "set.zip").read_bytes() == other and "Range" not in server.asked[-1]


def test_a_range_that_begins_elsewhere_is_not_appended(server, tmp_path):
    def elsewhere(handler):
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 7-99/{len(CONTENT)}")
        handler.end_headers()
        handler.wfile.write(CONTENT[7:100])

    file = remote(server.plan("/set", broken_off, elsewhere, whole))
    download(file, tmp_path / "set.zip", None, QUICK)
    assert (tmp_path / "set.zip").read_bytes() == CONTENT


def test_a_server_without_tags_is_asked_for_the_whole_file_again(server, tmp_path):
    def untagged(handler, stop=None):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENT[:stop])

    file = remote(server.plan("/set", lambda handler: untagged(handler, 1000), untagged))
    download(file, tmp_path / "set.zip", None, QUICK)
    assert (tmp_path / "set.zip").read_bytes() == CONTENT and "Range" not in server.asked[1]


def test_more_bytes_than_the_record_names_are_refused(server, tmp_path):
    file = remote(server.plan("/set", whole), CONTENT[:-1])
    with refused("download-size", f"{len(CONTENT) - 1:,}"):
        download(file, tmp_path / "set.zip", None, QUICK)
    assert "set.zip" not in left(tmp_path) and (tmp_path / "set.zip.part").stat().st_size == 0


def test_fewer_bytes_than_the_record_names_are_asked_for_and_then_given_up(server, tmp_path):
    file = remote(server.plan("/set", whole), CONTENT + b"1")
    with refused("download-no-network", f"{len(CONTENT):,}"):
        download(file, tmp_path / "set.zip", None, QUICK)
    assert "set.zip" not in left(tmp_path)


def test_another_file_of_the_same_size_is_removed(server, tmp_path):
    other = os.urandom(len(CONTENT))
    file = remote(server.plan("/set", lambda handler: whole(handler, other)))
    with refused("download-hash", hashlib.md5(other).hexdigest(), file.md5):
        download(file, tmp_path / "set.zip", None, QUICK)
    assert left(tmp_path) == []


def test_redirects_are_followed_but_not_for_ever(server, tmp_path):
    server.plan("/file", whole)
    file = remote(server.plan("/set", status(302, Location="/file")))
    download(file, tmp_path / "set.zip", None, QUICK)
    assert (tmp_path / "set.zip").read_bytes() == CONTENT
    round_ = remote(server.plan("/round", status(302, Location="/round")))
    with refused("download-refused", "302"):
        download(round_, tmp_path / "round.zip", None, QUICK)
    assert len(server.asked) < 20


def test_a_redirect_to_an_address_without_encryption_is_refused():
    redirects = downloads._Redirects()
    request = downloads.urllib.request.Request("https://example.org/a")
    with refused("download-redirect", "http://example.org/b"):
        redirects.redirect_request(request, None, 302, "Found", {}, "http://example.org/b")


def test_an_overloaded_server_is_asked_again_and_its_wait_is_kept(server, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(downloads.time, "sleep", waits.append)
    patient = Patience(tries=5, wait=1, longest_wait=9, silence=5)
    server.plan("/set", status(503), status(429, Retry_After="7"), status(503, Retry_After="3600"), whole)
    download(remote(server.address + "/set"), tmp_path / "set.zip", None, patient)
    assert waits == [1, 7, 9]


def test_a_missing_file_is_refused_at_once(server, tmp_path):
    with refused("download-refused", 404):
        download(remote(server.plan("/set", status(404))), tmp_path / "set.zip", None, QUICK)
    assert len(server.asked) == 1


def test_without_a_network_it_is_one_sentence(server, tmp_path):
    gone = "http://127.0.0.1:9/set"
    with refused("download-no-network", gone, "3 tries"):
        download(remote(gone), tmp_path / "set.zip", None, QUICK)
    assert left(tmp_path) == []


def test_a_silent_server_is_given_up(server, tmp_path):
    release = threading.Event()
    file = remote(server.plan("/set", lambda handler: release.wait(20)))
    try:
        with refused("download-no-network"):
            download(file, tmp_path / "set.zip", None, Patience(tries=2, wait=0, silence=0.2))
    finally:
        release.set()


def test_a_full_disk_is_one_sentence(server, tmp_path, monkeypatch):
    from collections import namedtuple

    monkeypatch.setattr("core.data.archives.shutil.disk_usage", lambda folder: namedtuple("usage", "free")(1000))
    with refused("disk-full", "set.zip"):
        download(remote(server.plan("/set", whole)), tmp_path / "set.zip", None, QUICK)
    assert server.asked == []


def test_a_stop_keeps_what_has_arrived(server, tmp_path):
    def stop(done, total, what):
        raise KeyboardInterrupt

    file = remote(server.plan("/set", whole))
    with pytest.raises(KeyboardInterrupt):
        download(file, tmp_path / "set.zip", stop, QUICK)
    assert (tmp_path / "set.zip.part").stat().st_size > 0
    download(file, tmp_path / "set.zip", None, QUICK)
    assert (tmp_path / "set.zip").read_bytes() == CONTENT and "Range" in server.asked[-1]


@pytest.mark.parametrize("answer", [document([1]), whole, lambda handler: whole(handler, b"{" + b" " * 5_000_000)])
def test_a_record_that_is_none_is_refused(server, answer):
    with refused("download-record", "/record"):
        read_json(server.plan("/record", answer), QUICK)
    assert read_json(server.plan("/right", status(503), document({"a": 1})), QUICK) == {"a": 1}
