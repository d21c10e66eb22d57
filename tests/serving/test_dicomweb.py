"""DICOMweb: a study that is sent comes back as a structured report and pictures, valid, once, in the sender's study."""

import http.server
import io
import shutil
import subprocess
import threading
import time

import pytest
from pydicom import dcmread
from pydicom.uid import ComputedRadiographyImageStorage, generate_uid

from core.serving.decoding import Upload
from core.serving.dicomweb import split_related
from core.serving.outbox import ArchiveRefusal, Outbox, post_to_archive
from core.serving.reader import load
from tests.refusals import refused
from tests.serving.conftest import png
from tests.serving.test_reader import dicom

STUDY = "1.2.826.0.1.3680043.8.498.1"


def image(number: int = 1, **values) -> bytes:
    """A radiograph of one study with its own instance."""
    facts = {
        "SOPClassUID": ComputedRadiographyImageStorage,
        "SOPInstanceUID": generate_uid(entropy_srcs=[str(number), str(values)]),
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": STUDY + ".1",
        "Modality": "CR",
        "Manufacturer": "Maker",
        "PatientID": "P1",
        "AccessionNumber": "A1",
        "BodyPartExamined": "WRIST",
        "Rows": 128,
        "InstanceNumber": number,
    }
    return dicom(**(facts | values))


def related(*parts: bytes) -> dict:
    """The content and headers of a STOW-RS request."""
    body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    return {"content": body, "headers": {"content-type": 'multipart/related; type="application/dicom"; boundary=b'}}


@pytest.fixture
def archive(tmp_path, serving, checkpoint):
    """A service whose reports go to a list, and that list."""
    got: list = []
    outbox = Outbox(tmp_path / "outbox", lambda content: got.append(dcmread(io.BytesIO(content))), wait=0.05)
    return serving(outbox=outbox), got, outbox


def wait_for(found, count: int) -> None:
    for _ in range(600):
        if len(found()) >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"expected {count}, found {len(found())}")


def texts(report) -> str:
    """All texts of a structured report."""
    return "\n".join(str(element.value) for element in report.iterall() if element.keyword == "TextValue")


def test_a_study_comes_back_as_a_report_and_a_picture_of_each_view(point, archive, checkpoint):
    client, got, _ = archive
    answer = client.post("/dicomweb/studies", **related(image(1), image(2)))
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/dicom+json"
    assert len(answer.json()["00081199"]["Value"]) == 2 and "00081198" not in answer.json()
    wait_for(lambda: got, 3)
    report = next(one for one in got if one.Modality == "SR")
    pictures = [one for one in got if one.Modality != "SR"]
    sent = dcmread(io.BytesIO(image(1)))
    for made in got:
        assert (made.StudyInstanceUID, made.PatientID, made.AccessionNumber) == (STUDY, "P1", "A1")
        assert made.PatientName == sent.PatientName and made.SeriesInstanceUID != sent.SeriesInstanceUID
        assert "research use only" in made.SeriesDescription
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    text = texts(report)
    assert point.id in text and point.rule in text and checkpoint.weights_hash in text
    values = [float(element.value) for element in report.iterall() if element.keyword == "NumericValue"]
    read = load(checkpoint.folder).read([Upload("1", image(1)), Upload("2", image(2))])
    assert values == pytest.approx([read.score, *(view.score for view in read.views)], abs=1e-5)
    meanings = {str(element.value) for element in report.iterall() if element.keyword == "CodeMeaning"}
    assert {"Abnormal", "Normal"} & meanings
    assert all(one.pixel_array.shape[2] == 3 for one in pictures)


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dciodvfy (Debian: dicom3tools) is not installed")
def test_what_is_made_is_valid_dicom(point, archive, tmp_path):
    client, got, _ = archive
    client.post("/dicomweb/studies", **related(image(1), image(2)))
    wait_for(lambda: got, 3)
    for number, made in enumerate(got):
        file = tmp_path / f"{number}.dcm"
        made.save_as(file)
        done = subprocess.run(["dciodvfy", file], capture_output=True, text=True)
        assert not [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


def test_a_view_that_cannot_be_used_is_named_in_the_report(archive):
    client, got, _ = archive
    client.post("/dicomweb/studies", **related(image(1), image(2, PixelData=b"")))
    wait_for(lambda: got, 2)
    report = next(one for one in got if one.Modality == "SR")
    assert "Radiograph 2 of 2 was not used" in texts(report)


def test_a_study_of_which_nothing_can_be_used_has_a_report_that_says_so(archive):
    client, got, _ = archive
    client.post("/dicomweb/studies", **related(image(1, PixelData=b"")))
    wait_for(lambda: got, 1)
    assert "was not used" in texts(got[0])
    assert not [one for one in got[0].iterall() if one.keyword == "NumericValue"]


def test_the_same_study_is_reported_once_and_reports_are_not_read_again(archive):
    client, got, outbox = archive
    for _ in range(2):
        client.post("/dicomweb/studies", **related(image(1)))
    wait_for(lambda: got, 2)
    again = io.BytesIO()
    got[0].save_as(again, enforce_file_format=True)
    assert client.post("/dicomweb/studies", **related(again.getvalue())).status_code == 200
    assert outbox.send_all() and len(got) == 2


def test_two_bones_of_one_study_are_two_reports(archive):
    client, got, _ = archive
    client.post("/dicomweb/studies", **related(image(1), image(2, BodyPartExamined="HAND")))
    wait_for(lambda: [one for one in got if one.Modality == "SR"], 2)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (lambda: related(b"not dicom"), 422),
        (lambda: related(b"not dicom", image(1)), 202),
        (lambda: related(image(1, StudyInstanceUID="")), 422),
        (lambda: {"content": b"x", "headers": {"content-type": "application/dicom"}}, 415),
        (lambda: {"content": b"x", "headers": {"content-type": "multipart/related; boundary=b"}}, 400),
        (lambda: related(), 422),
    ],
)
def test_bad_requests(serving, sent, status):
    assert serving().post("/dicomweb/studies", **sent()).status_code == status


def test_an_object_of_another_study_than_the_address_fails(serving):
    answer = serving().post(f"/dicomweb/studies/{STUDY}", **related(image(1), image(2, StudyInstanceUID="1.2.3")))
    assert answer.status_code == 202
    assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xA901]


def test_parts_are_split_and_a_body_that_is_cut_is_refused():
    sent = related(b"one", b"two\r\nthree")
    kind = sent["headers"]["content-type"]
    assert split_related(kind, sent["content"]) == [b"one", b"two\r\nthree"]
    with refused("media-type-unsupported"):
        split_related("text/plain", b"")


def test_an_archive_that_is_down_gets_each_report_later_and_once(tmp_path):
    up, got = threading.Event(), []

    def post(content):
        if not up.is_set():
            raise ConnectionError
        got.append(content)

    outbox = Outbox(tmp_path, post, wait=0.02)
    assert outbox.put("1.1", b"a") and outbox.put("1.2", b"b")
    assert not outbox.send_all() and len(outbox.waiting) == 2
    outbox.stop()
    after_restart = Outbox(tmp_path, post, wait=0.02)
    after_restart.start()
    up.set()
    wait_for(lambda: got, 2)
    wait_for(lambda: [] if after_restart.waiting else [1], 1)
    after_restart.stop()
    assert sorted(got) == [b"a", b"b"] and not after_restart.put("1.1", b"a")


def test_a_report_that_the_archive_refuses_holds_up_no_other(tmp_path):
    got = []

    def post(content):
        if content == b"bad":
            raise ArchiveRefusal("status 400")
        got.append(content)

    outbox = Outbox(tmp_path, post)
    outbox.put("1.1", b"bad")
    outbox.put("1.2", b"good")
    assert outbox.send_all() and got == [b"good"]
    assert (tmp_path / "refused" / "1.1.dcm").read_bytes() == b"bad"


def test_posting_to_an_archive_over_http(tmp_path):
    seen, status = [], [200]

    class Archive(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.append((self.path, self.headers["authorization"], split_related(self.headers["content-type"], body)))
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Archive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    post = post_to_archive(f"http://127.0.0.1:{server.server_port}/dicom-web/", "secret")
    post(b"report")
    assert seen == [("/dicom-web/studies", "Bearer secret", [b"report"])]
    status[0] = 400
    with pytest.raises(ArchiveRefusal):
        post(b"report")
    status[0] = 503
    with pytest.raises(OSError):
        post(b"report")
    server.shutdown()
    server.server_close()


def test_without_an_archive_studies_are_read_and_nothing_is_queued(serving):
    client = serving(log=True)
    assert client.post("/dicomweb/studies", **related(image(1))).status_code == 200
    assert (client.app.state.service.log.folder / "decisions.jsonl").read_text().count("\n") == 1
    assert client.post("/v1/studies", files=[("files", ("1.png", png()))]).status_code == 200
