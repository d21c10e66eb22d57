"""A real archive, end to end: a study in Orthanc gets its report. Skipped without Orthanc."""

import io
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import pytest
import uvicorn
from pydicom import dcmread

from core.serving.app import create_app
from core.serving.outbox import Outbox, post_to_archive
from core.serving.reader import load
from core.serving.service import Service, served_models
from core.serving.tokens import new_token
from tests.conftest import REPOSITORY
from tests.serving.test_dicomweb import STUDY, image

PLUGINS = Path("/usr/share/orthanc/plugins")
pytestmark = pytest.mark.skipif(
    not (shutil.which("Orthanc") and list(PLUGINS.glob("*DicomWeb*"))),
    reason="Orthanc with its DICOMweb plug-in (Debian: orthanc, orthanc-dicomweb) is not installed",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call(address: str, content: bytes | None = None) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(address, content), timeout=30) as answer:
        return answer.read()


@pytest.fixture
def ports(tmp_path, checkpoint, point):
    """Overread and Orthanc, each configured with the other, by the recipe in deploy/orthanc."""
    overread, orthanc = free_port(), free_port()
    text, token = new_token("orthanc", ["score"])
    recipe = json.loads((REPOSITORY / "deploy/orthanc/orthanc.json").read_text())
    recipe |= {"HttpPort": orthanc, "StableAge": 2, "DicomServerEnabled": False}
    server = recipe["DicomWeb"]["Servers"]["overread"]
    server["Url"] = server["Url"].replace("8000", str(overread))
    server["HttpHeaders"]["Authorization"] = f"Bearer {text}"
    shutil.copy(REPOSITORY / "deploy/orthanc/overread.lua", tmp_path)
    (tmp_path / "orthanc.json").write_text(json.dumps(recipe))
    outbox = Outbox(tmp_path / "outbox", post_to_archive(f"http://127.0.0.1:{orthanc}/dicom-web/"), wait=0.2)
    reader = load(checkpoint.folder)
    service = Service({reader.name: served_models([reader])[0]}, decoders=1)
    config = uvicorn.Config(create_app(service, [token], outbox), port=overread, log_level="warning")
    serving = uvicorn.Server(config)
    thread = threading.Thread(target=serving.run)
    thread.start()
    with open(tmp_path / "log", "w") as log:
        archive = subprocess.Popen(["Orthanc", "orthanc.json"], cwd=tmp_path, stdout=log, stderr=log)
    yield orthanc, tmp_path / "log"
    archive.terminate()
    archive.wait(20)
    serving.should_exit = True
    thread.join()


def wait_for(found, seconds: float = 90.0):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            if result := found():
                return result
        except OSError:
            pass
        time.sleep(0.2)
    return None


def test_a_study_in_the_archive_has_its_report_beside_it(ports, point):
    port, log = ports
    root = f"http://127.0.0.1:{port}"
    assert wait_for(lambda: call(f"{root}/system")), log.read_text()
    for number in (1, 2):
        call(f"{root}/instances", image(number))

    def made():
        found = json.loads(call(f"{root}/instances"))
        files = [dcmread(io.BytesIO(call(f"{root}/instances/{one}/file"))) for one in found]
        own = [file for file in files if file.Manufacturer == "Overread"]
        return own if len(own) == 3 else None

    objects = wait_for(made)
    assert objects, log.read_text()
    assert {one.StudyInstanceUID for one in objects} == {STUDY}
    report = next(one for one in objects if one.Modality == "SR")
    assert point.id in "\n".join(str(one.value) for one in report.iterall() if one.keyword == "TextValue")
    time.sleep(5)  # the report makes the study stable once more, and it must not be reported again
    assert len(json.loads(call(f"{root}/instances"))) == 5
