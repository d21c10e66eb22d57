"""The service as a process of its own, used and misused over a socket as any client on this machine could."""

import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.uid import generate_uid

from core import paths
from core.data.index import build_index, write_dataset
from core.metrics.thresholds import NONE
from core.models.checkpoint import Checkpoint
from core.scores.operating_points import POINTS, lock, withdraw
from core.scores.source import source_of
from core.scores.view import View
from core.serving.decision_log import LINES, log_table, verify_log
from core.serving.run import ServiceOptions, make_service
from core.serving.tokens import new_token
from core.workflows.thresholds import Criterion, choose_threshold
from tests.conftest import REPOSITORY
from tests.refusals import refused
from tests.serving.conftest import make_checkpoint, png
from tests.serving.test_dicomweb import image
from tests.serving.test_orthanc import free_port
from tests.serving.test_reader import dicom

WAITING = 2
PLANTED = "Qxzplanted"
_TEXTS = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"}


@dataclass(frozen=True)
class Started:
    """A running service. archive_port: nothing listens there until a test does."""

    port: int
    archive_port: int
    token: str
    home: Path
    log: Path
    process: subprocess.Popen

    def send(self, route: str, body: bytes = b"", kind: str = "", token: str | None = None) -> tuple[int, dict, dict]:
        """Status, headers and JSON of the answer to a POST, or to a GET where there is no body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.token if token is None else token}", "Content-Type": kind}
        connection.request("POST" if body else "GET", route, body or None, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        found = json.loads(text) if "json" in answer.headers["content-type"] else {"text": text.decode()}
        return answer.status, dict(answer.headers), found

    def study(self, *files: bytes, token: str | None = None, names: str = "{}.png") -> tuple[int, dict, dict]:
        """The answer for one study."""
        return self.send("/v1/studies", form(files, names), "multipart/form-data; boundary=line", token)

    def open_studies(self) -> float:
        """Studies that hold a place in the queue."""
        text = self.send("/metrics")[2]["text"]
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith("overread_open_studies ")))


def form(files, names: str = "{}.png") -> bytes:
    parts = b""
    for number, data in enumerate(files):
        name = names.format(number)
        parts += f'--line\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        parts += data + b"\r\n"
    return parts + b"--line--\r\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory, mura):
    """A checkpoint with a locked point in a workspace of the module."""
    folder = tmp_path_factory.mktemp("outside")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERREAD_HOME", str(folder / "workspace"))
        patch.setattr(paths, "CHECKPOINTS", folder / "checkpoints")
        checkpoint = make_checkpoint(folder / "checkpoints" / "tiny")
        view = View(source_of(checkpoint, write_dataset("tree", build_index(mura, folds=4))), "valid")
        lock(choose_threshold(view, Criterion("youden", bound=NONE)), "Ada", "")
        yield checkpoint, folder


def command(checkpoint: Checkpoint, *more: str) -> list[str]:
    return [sys.executable, "-m", "core", "serve", str(checkpoint.folder), "--runtime", "torch", *more]


@pytest.fixture(scope="module")
def service(made):
    """The service, with a token, a log, an archive that is down, and places for WAITING studies."""
    checkpoint, folder = made
    text, token = new_token("ward", ["read", "score"])
    (folder / "tokens").write_text(token.line() + "\n")
    port, archive, log = free_port(), free_port(), folder / "stderr"
    options = ["--port", str(port), "--tokens", str(folder / "tokens"), "--log", "--waiting", str(WAITING)]
    options += ["--archive", f"http://127.0.0.1:{archive}/dicom-web"]
    with log.open("wb") as stderr:
        environment = {**os.environ, "OVERREAD_HOME": str(folder / "workspace")}
        process = subprocess.Popen(command(checkpoint, *options), stderr=stderr, cwd=REPOSITORY, env=environment)
    started = Started(port, archive, text, folder / "workspace", log, process)
    until(lambda: process.poll() is not None or reachable(started))
    assert process.poll() is None, log.read_text()
    yield started
    process.terminate()
    assert process.wait(90) == -signal.SIGTERM  # it ends by the signal, once it has stopped


def reachable(started: Started) -> bool:
    try:
        return started.send("/health/ready")[0] == 200
    except OSError:
        return False


def until(true, seconds: float = 120) -> None:
    """Wait until something is true; the test fails where it never is."""
    for _ in range(int(seconds / 0.05)):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not become true")


def bomb() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (10_000, 10_000)).save(buffer, "png")
    return buffer.getvalue()


def without_pixels() -> bytes:
    dataset = dcmread(io.BytesIO(dicom()))
    del dataset.PixelData
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def test_a_bad_file_is_named_and_the_other_is_scored(service):
    bad = {"text": b"text", "empty": b"", "truncated": png()[:400], "bomb": bomb(), "no pixels": without_pixels()}
    status, _, answer = service.study(png(), *bad.values())
    assert status == 200 and [view["usable"] for view in answer["views"]] == [True] + [False] * 5
    whys = dict(zip(bad, (view["why"] for view in answer["views"][1:])))
    assert "empty" in whys["empty"] and "10,000 x 10,000" in whys["bomb"] and all(whys.values())
    assert answer["study"]["decision"] in ("normal", "abnormal") and answer["point"]["threshold"]
    for name, data in bad.items():
        status, headers, problem = service.study(data)
        assert (status, problem["code"]) == (422, "study-unusable"), name
        assert headers["content-type"] == "application/problem+json"


def test_a_study_that_cannot_be_one_is_refused(service):
    status, _, problem = service.study(*[png()] * 200)
    assert (status, problem["code"]) == (413, "study-too-large")
    status, _, problem = service.study(dicom(PatientID=f"{PLANTED}1"), dicom(PatientID=f"{PLANTED}2"))
    assert (status, problem["code"]) == (422, "patients-mixed") and PLANTED not in json.dumps(problem)


@pytest.mark.parametrize("token", ["", "wrong", "x" * 4000])
def test_a_wrong_token_opens_nothing_but_health(service, token):
    for route in ("/v1/studies", "/v1/batches", "/dicomweb/studies", "/v2/models/tiny/infer"):
        status, _, problem = service.send(route, b"{}", "application/json", token)
        assert (status, problem["status"]) == (401, 401)
    assert service.send("/v1/models", token=token)[0] == service.send("/metrics", token=token)[0] == 401
    assert service.send("/health/live", token=token)[0] == 200


@contextmanager
def half_sent(service, count: int):
    """Clients that have sent half of a study each, and keep the connection."""
    body = form([png()])
    head = f"POST /v1/studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}\r\n"
    head += f"Content-Type: multipart/form-data; boundary=line\r\nContent-Length: {len(body)}\r\n\r\n"
    clients = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(count)]
    for client in clients:
        client.sendall(head.encode() + body[:300])
    until(lambda: service.open_studies() == count)
    yield clients, body[300:]
    for client in clients:
        client.close()


def test_a_full_queue_says_when_to_come_back_and_empties_when_clients_leave(service):
    with half_sent(service, WAITING) as (clients, _):
        status, headers, problem = service.study(png())
        assert (status, problem["code"]) == (429, "service-busy") and int(headers["retry-after"]) >= 1
        clients[0].close()  # leaves half-way
        until(lambda: service.open_studies() == WAITING - 1)
        assert service.study(png())[0] == 200
    until(lambda: service.open_studies() == 0)


def test_a_slow_client_is_answered_and_holds_up_no_other(service):
    with half_sent(service, 1) as ((client,), rest):
        assert service.study(png())[0] == 200
        for place in range(0, len(rest), 400):
            client.sendall(rest[place : place + 400])
        assert client.recv(12) == b"HTTP/1.1 200"


def test_reports_wait_for_an_archive_that_is_down_and_are_sent_once(service):
    study = generate_uid()
    sent = image(StudyInstanceUID=study, PatientName=PLANTED, AccessionNumber="77")
    body = b"--line\r\nContent-Type: application/dicom\r\n\r\n" + sent + b"\r\n--line--\r\n"
    kind = 'multipart/related; type="application/dicom"; boundary=line'
    for _ in range(2):
        assert service.send("/dicomweb/studies", body, kind)[0] == 200
    outbox = service.home / "outbox"
    until(lambda: "cannot be reached" in service.log.read_text())
    waiting = len(list(outbox.glob("*.dcm")))
    assert waiting >= 1
    received: list[bytes] = []

    class Archive(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", service.archive_port), Archive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        until(lambda: not list(outbox.glob("*.dcm")))
        assert service.send("/dicomweb/studies", body, kind)[0] == 200
        assert service.study(png())[0] == 200
        assert not list(outbox.glob("*.dcm"))
    finally:
        server.shutdown()
        server.server_close()
    assert len(received) == waiting == len((outbox / "sent.txt").read_text().split())
    assert all(study.encode() in one and PLANTED.encode() in one for one in received)  # in the sender's study


def test_nothing_of_a_header_is_in_any_log_or_measurement(service):
    dataset = dcmread(io.BytesIO(dicom()))
    dataset.PatientID = dataset.PatientName = PLANTED
    for element in dataset.iterall():
        kept = ("Photometric", "TransferSyntax", "Modality", "PatientID", "SpecificCharacterSet")
        if element.VR in _TEXTS and not element.keyword.startswith(kept):
            element.value = PLANTED
    for keyword in ("InstitutionName", "ReferringPhysicianName", "OperatorsName", "PatientComments", "PatientAddress"):
        assert dictionary_VR(keyword) in _TEXTS
        setattr(dataset, keyword, PLANTED)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    status, _, answer = service.study(buffer.getvalue(), names=PLANTED + "{}.dcm")
    assert status == 200 and PLANTED in answer["views"][0]["file"]  # its own name, returned to the sender alone
    service.study(b"text", names=PLANTED + "{}.dcm")
    service.send(f"/{PLANTED}?{PLANTED}={PLANTED}")
    service.send(f"/v2/models/{PLANTED}/infer", b"{}", "application/json")
    kept = [service.log, *(file for file in service.home.rglob("*") if file.is_file() and file.suffix != ".dcm")]
    assert service.home / "decisions" / LINES in kept
    assert not [file for file in kept if PLANTED.encode() in file.read_bytes()]
    assert "its text left out" in service.log.read_text()  # of a library that had written a name
    assert PLANTED not in service.send("/metrics")[2]["text"]
    assert PLANTED not in json.dumps(service.send("/v1/models")[2])


def test_decisions_can_be_recomputed_from_the_log(service):
    service.study(png(3), png(4))
    assert verify_log(service.home / "decisions").problem == ""
    table = log_table(service.home / "decisions")
    decided = table[table["decision"].notna()]
    assert len(decided) and (decided["decision"].eq("abnormal") == (decided["score"] >= decided["threshold"])).all()


def altered(text: str) -> str:
    """The points with one digit of the threshold changed."""
    (point,) = json.loads(text)["points"]
    before = f'"threshold": {point["threshold"]!r}'
    assert before in text
    digit = before[-3]
    return text.replace(before, f"{before[:-3]}{(int(digit) + 1) % 10}{before[-2:]}")


def test_a_point_that_was_altered_withdrawn_or_made_for_others_starts_nothing(made, tmp_path, monkeypatch):
    checkpoint, folder = made
    monkeypatch.setenv("OVERREAD_HOME", str(folder / "workspace"))
    source = source_of(checkpoint)
    file, other = source.file_to_write(POINTS), source_of(make_checkpoint(tmp_path / "other", seed=5))
    whole = file.read_text()
    (point,) = json.loads(whole)["points"]
    file.write_text(altered(whole))
    with refused("operating-point-altered", "threshold"):
        make_service(options(checkpoint))
    file.write_text(whole)
    other.file_to_write(POINTS).parent.mkdir(parents=True)
    other.file_to_write(POINTS).write_text(whole)
    with refused("point-of-other-scores"):
        make_service(options(other.model))
    withdraw(source, "latest", "A test.", "Ada")
    with refused("operating-point-withdrawn", "Ada"):
        make_service(options(checkpoint, point["hash"][:12]))
    file.write_text(whole)


def options(checkpoint: Checkpoint, point: str = "latest") -> ServiceOptions:
    return ServiceOptions((str(checkpoint.folder),), (point,), (), "127.0.0.1", 0, None, False, 2, "", "", "torch")
