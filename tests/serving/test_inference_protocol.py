"""The Open Inference Protocol: Triton's client works unchanged over a real socket, with and without raw tensors."""

import base64
import json
import struct
import threading
import time

import numpy as np
import pytest
import uvicorn

from core.serving.app import create_app
from core.serving.decoding import Upload, decode_view
from core.serving.inference_tensors import parse_request
from core.serving.limits import Limits
from core.serving.reader import load
from core.serving.service import Service, served_models
from tests.refusals import refused
from tests.serving.conftest import png

http = pytest.importorskip("tritonclient.http")


@pytest.fixture
def address(checkpoint, point):
    """The address of a running server."""
    reader = load(checkpoint.folder)
    service = Service({reader.name: served_models([reader])[0]}, limits=Limits(studies=8), decoders=1)
    server = uvicorn.Server(uvicorn.Config(create_app(service), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def tensor(name, values):
    made = http.InferInput(name, [len(values)], "BYTES")
    made.set_data_from_numpy(np.array(values, dtype=object), binary_data=True)
    return made


def test_the_client_of_triton_works_unchanged(address, checkpoint, point):
    client, reader = http.InferenceServerClient(address), load(checkpoint.folder)
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("tiny") and client.is_model_ready("tiny", reader.version)
    assert client.get_server_metadata()["name"] == "overread"
    described = client.get_model_metadata("tiny")
    assert described["versions"] == [reader.version] and described["inputs"][0]["datatype"] == "BYTES"
    images = [png(seed) for seed in range(4)]
    studies = [b"a", b"b", b"a", b"c"]
    expected = [reader.read([Upload("1", images[number]) for number in group]) for group in ([0, 2], [1], [3])]
    for binary in (True, False):
        outputs = [http.InferRequestedOutput(name, binary_data=binary) for name in ("score", "decision", "view_score")]
        found = client.infer("tiny", [tensor("image", images), tensor("study", studies)], outputs=outputs)
        assert found.as_numpy("score") == pytest.approx([answer.score for answer in expected], abs=1e-6)
        decisions = [one.decode() if isinstance(one, bytes) else one for one in found.as_numpy("decision")]
        assert decisions == [answer.decision for answer in expected]
        each = [reader.read([Upload("1", image)]).score for image in images]
        assert found.as_numpy("view_score") == pytest.approx(each, abs=1e-6)
    alone = client.infer("tiny", [tensor("image", images)], model_version=reader.version, request_id="7")
    assert alone.get_response()["id"] == "7" and alone.as_numpy("score").shape == (1,)


def test_what_the_client_of_kserve_sends_is_answered(serving, checkpoint, point):
    client, images = serving(), [png(1), png(2)]
    expected = load(checkpoint.folder).read([Upload("1", image) for image in images])
    # As kserve 0.21 sends them: the model's name is repeated in the body.
    tensor = {"name": "image", "shape": [2], "datatype": "BYTES"}
    texts = [base64.b64encode(image).decode() for image in images]
    inputs = [tensor | {"parameters": {"content_type": "base64"}, "data": texts}]
    body = {"id": "19c7b912", "model_name": "tiny", "inputs": inputs}
    plain = client.post("/v2/models/tiny/infer", json=body).json()
    raw = b"".join(struct.pack("<I", len(image)) + image for image in images)
    head = json.dumps(body | {"inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}]}).encode()
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    binary = client.post("/v2/models/tiny/infer", content=head + raw, headers=headers).json()
    for answer in (plain, binary):
        assert answer["model_name"] == "tiny" and answer["id"] == "19c7b912"
        assert answer["outputs"][0]["data"] == pytest.approx([expected.score], abs=1e-6)
    assert client.get("/v2/health/ready").json() == client.get("/v2/models/tiny/ready").json() == {"ready": True}
    assert client.get("/v2/health/live").json() == {"live": True}


def test_radiographs_that_the_client_decoded_are_scored_as_they_are(address, checkpoint, point):
    client, reader = http.InferenceServerClient(address), load(checkpoint.folder)
    squares = np.stack([decode_view(Upload("1", png(seed)), reader.spec).pixels for seed in range(3)])
    expected = [reader.read([Upload("1", png(seed))]) for seed in range(3)]
    assert client.get_model_metadata("tiny")["inputs"][1]["shape"] == [-1, 16, 16]
    for binary in (True, False):
        pixels = http.InferInput("pixels", [3, 16, 16], "UINT8")
        pixels.set_data_from_numpy(squares, binary_data=binary)
        found = client.infer("tiny", [pixels, tensor("study", [b"a", b"b", b"c"])])
        assert found.as_numpy("score") == pytest.approx([answer.score for answer in expected], abs=1e-6)
        assert found.as_numpy("view_score") == pytest.approx([answer.score for answer in expected], abs=1e-6)
    whole = client.infer("tiny", [pixels])
    assert whole.as_numpy("score").shape == (1,) and whole.as_numpy("view_score").shape == (3,)


@pytest.mark.parametrize(
    ("shape", "kind", "data"),
    [
        ([1, 8, 8], "UINT8", [0] * 64),
        ([1, 16, 16], "FP32", [0.0] * 256),
        ([1, 16, 16], "UINT8", [0] * 255),
        ([1, 16, 16], "UINT8", [300] * 256),
        ([1, 16, 16], "UINT8", ["x"] * 256),
        ([-1, 16, 16], "UINT8", []),
        ([0, 16, 16], "UINT8", []),
        ([float("inf"), 16, 16], "UINT8", [0] * 256),
        ([1, 16, 16], "UINT8", [10**400] * 256),
    ],
)
def test_pixels_that_do_not_fit_the_model_are_refused(shape, kind, data):
    body = json.dumps({"inputs": [{"name": "pixels", "datatype": kind, "shape": shape, "data": data}]}).encode()
    with refused("request-malformed"):
        parse_request(body, "", 16)


def test_errors_reach_the_client_with_their_sentence(address):
    client = http.InferenceServerClient(address)
    assert not client.is_model_ready("other")
    with pytest.raises(Exception, match="no model 'other'"):
        client.infer("other", [tensor("image", [png()])])
    with pytest.raises(Exception, match="expected one of image"):
        client.infer("tiny", [tensor("picture", [png()])])
    with pytest.raises(Exception, match="at most 8"):
        client.infer("tiny", [tensor("image", [png()] * 9), tensor("study", [str(n).encode() for n in range(9)])])
    found = client.infer("tiny", [tensor("image", [b"text", png()]), tensor("study", [b"bad", b"good"])])
    assert list(np.isnan(found.as_numpy("score"))) == [True, False]
    assert b"not recognised" in found.as_numpy("why")[0]


def test_images_as_base64_in_json(serving):
    one = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"content_type": "base64"}}
    body = {"id": "x", "inputs": [{**one, "data": [base64.b64encode(png()).decode()]}]}
    answer = serving().post("/v2/models/tiny/infer", json=body).json()
    by_name = {output["name"]: output["data"] for output in answer["outputs"]}
    assert answer["id"] == "x" and 0 < by_name["score"][0] < 1 and by_name["decision"] == [""]


IMAGE = {"name": "image", "datatype": "BYTES", "shape": [1]}


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (b"{", None),
        (b"[" * 100_000, None),
        (b"[]", None),
        (b'{"inputs": 3}', None),
        (b'{"inputs": []}', None),
        (json.dumps({"inputs": [{"name": "image"}]}).encode(), None),
        (json.dumps({"inputs": [{**IMAGE, "data": []}]}).encode(), None),
        (json.dumps({"inputs": [{**IMAGE, "data": [3]}]}).encode(), None),
        (json.dumps({"inputs": [{**IMAGE, "datatype": "FP32", "data": ["a"]}]}).encode(), None),
        (json.dumps({"inputs": [{**IMAGE, "shape": [-1], "data": ["a"]}]}).encode(), None),
        (json.dumps({"inputs": [{**IMAGE, "data": ["a"]}], "outputs": [{"name": "x"}]}).encode(), None),
        (json.dumps({"inputs": [{**IMAGE, "data": ["a"]}], "outputs": 3}).encode(), None),
        (json.dumps({"inputs": [{**IMAGE, "parameters": {"binary_data_size": 9}}]}).encode(), None),
        (json.dumps({"inputs": [{**IMAGE, "parameters": {"binary_data_size": -9}}]}).encode(), None),
        (json.dumps({"inputs": [{**IMAGE, "parameters": {"content_type": "base64"}, "data": ["!"]}]}).encode(), None),
        (b"{}", "9999"),
        (b"{}", "two"),
    ],
)
def test_malformed_requests_are_problem_documents(serving, body, header):
    headers = {"inference-header-content-length": header} if header else {}
    answer = serving().post("/v2/models/tiny/infer", content=body, headers=headers)
    assert answer.status_code == 400 and answer.json()["error"] and answer.json()["code"] == "request-malformed"


def test_raw_data_that_end_early_are_refused(serving):
    raw = struct.pack("<I", 50) + b"short"
    head = json.dumps({"inputs": [{**IMAGE, "parameters": {"binary_data_size": len(raw)}}]}).encode()
    headers = {"inference-header-content-length": str(len(head))}
    answer = serving().post("/v2/models/tiny/infer", content=head + raw, headers=headers)
    assert answer.status_code == 400 and "end within" in answer.json()["detail"]
