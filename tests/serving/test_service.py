"""The service over HTTP: the same numbers, batches across clients, bounds, tokens, deadlines, and silence in logs."""

import asyncio
import hashlib
import json
import logging
import pathlib
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.data.index import read_index
from core.errors import OverreadError
from core.scores.source import source_of
from core.serving import service
from core.serving.answers import of_the_region
from core.serving.batching import Batcher, TooLate
from core.serving.decoding import DecodedView, Upload
from core.serving.limits import Limits
from core.serving.reader import load
from core.serving.service import Busy, Service, StudyRequest, served_models
from core.serving.tokens import find_token, new_token, read_tokens
from core.workflows.trust import make_records, study_task
from tests.refusals import refused
from tests.serving.conftest import make_checkpoint, png
from tests.serving.dying_decoder import die_on_request
from tests.serving.test_reader import dicom, study_files

PROBLEM = "application/problem+json"


def files(*contents, names=None):
    return [("files", ((names or {}).get(number, f"{number}.png"), one)) for number, one in enumerate(contents)]


def test_a_study_is_answered_as_the_reader_answers_it(serving, checkpoint, point):
    answer = serving().post("/v1/studies", files=files(png(1), png(2))).json()
    expected = load(checkpoint.folder).read([Upload("0.png", png(1)), Upload("1.png", png(2))]).to_dict()
    assert answer["study"]["score"] == pytest.approx(expected["study"].pop("score"), abs=1e-6)
    assert answer["study"]["decision"] == expected["study"]["decision"]
    assert answer["point"] == expected["point"] and answer["model"] == expected["model"]
    assert [view["score"] for view in answer["views"]] == pytest.approx(
        [view["score"] for view in expected["views"]], abs=1e-6
    )
    assert set(answer["timing_ms"]) == {"decode", "score", "total"}


def test_a_bad_view_is_named_and_a_study_of_bad_views_is_a_problem(serving):
    client = serving()
    answer = client.post("/v1/studies", files=files(png(), b"text")).json()
    assert [view["usable"] for view in answer["views"]] == [True, False]
    refusal = client.post("/v1/studies", files=files(b"text"))
    assert refusal.status_code == 422 and refusal.headers["content-type"] == PROBLEM
    assert refusal.json()["code"] == "study-unusable" and refusal.json()["views"][0]["why"]


def test_a_batch_has_an_answer_or_a_problem_for_each_study(serving):
    client = serving()
    sent = files(png(1), png(2), b"text", names={0: "a/1.png", 1: "a/2.png", 2: "b/1.png"})
    answers = client.post("/v1/batches", files=sent).json()["studies"]
    assert [one["name"] for one in answers] == ["a", "b"]
    assert len(answers[0]["views"]) == 2 and answers[1]["problem"]["code"] == "study-unusable"
    assert client.post("/v1/batches", files=files(png())).json()["code"] == "request-malformed"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"files": files(*[png()] * 4)}, 413, "study-too-large"),
        ({"files": files(bytes(90_000))}, 413, "request-too-large"),
        ({"files": files(png()), "data": {"model": "other"}}, 404, "model-unknown"),
        ({"files": [("other", ("1.png", png()))]}, 422, "study-empty"),
        ({"content": b"{}", "headers": {"content-type": "application/json"}}, 415, "media-type-unsupported"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "request-malformed"),
        ({"files": files(png()), "headers": {"x-deadline-ms": "soon"}}, 400, "deadline-invalid"),
        ({"files": files(png()), "headers": {"x-deadline-ms": "0.0001"}}, 504, "deadline-passed"),
        ({"files": files(png()), "headers": {"content-encoding": "gzip"}}, 415, "media-type-unsupported"),
    ],
)
def test_bad_requests_are_problem_documents(serving, sent, status, code):
    answer = serving(Limits(files=3, request_bytes=80_000)).post("/v1/studies", **sent)
    assert (answer.status_code, answer.json()["code"], answer.headers["content-type"]) == (status, code, PROBLEM)
    assert answer.json()["status"] == status and answer.json()["detail"]


def test_a_study_of_two_patients_is_refused(serving):
    sent = files(dicom(PatientID="Planted^A"), dicom(PatientID="Planted^B"))
    answer = serving().post("/v1/studies", files=sent)
    assert answer.status_code == 422 and answer.json()["code"] == "patients-mixed"
    assert "Planted" not in answer.text


def test_unknown_routes_and_methods_are_problem_documents(serving):
    client = serving()
    assert client.get("/nothing").headers["content-type"] == PROBLEM
    assert client.get("/v1/studies").status_code == 405 and client.get("/v1/studies").json()["code"] == "http-405"


def test_tokens_have_scopes(serving):
    text, reads = new_token("dashboard", ["read"])
    score_text, scores = new_token("ward", ["score"])
    admin_text, admin = new_token("owner", ["admin"])
    client = serving(tokens=(reads, scores, admin))
    assert client.get("/health/live").status_code == client.get("/health/ready").status_code == 200
    unknown = client.get("/v1/models")
    assert unknown.status_code == 401 and unknown.headers["www-authenticate"] == "Bearer"

    def status(method, route, token, **sent):
        return client.request(method, route, headers={"Authorization": f"Bearer {token}"}, **sent).status_code

    assert status("GET", "/v1/models", text) == 200 and status("GET", "/metrics", text) == 200
    assert status("POST", "/v1/studies", text, files=files(png())) == 403
    assert status("POST", "/v1/studies", score_text, files=files(png())) == 200
    assert status("POST", "/v2/models/tiny/infer", text, content=b"{}") == 403
    # Who may send a study may know for which model, and no measurements.
    assert status("GET", "/v1/models", score_text) == status("GET", "/v2/models/tiny", score_text) == 200
    assert status("GET", "/metrics", score_text) == 403
    assert status("GET", "/v1/models", admin_text) == 200
    assert status("GET", "/v1/models", "wrong") == 401


def test_tokens_are_kept_as_hashes_and_a_bad_line_is_refused_without_its_text(tmp_path, monkeypatch):
    text, token = new_token("ward", ["score"])
    assert text not in token.line()
    file = tmp_path / "tokens"
    file.write_text(f"# a comment\n\n{token.line()}\n")
    assert read_tokens(file) == (token,)
    assert find_token(read_tokens(file), f"Bearer {text}") == token
    assert find_token(read_tokens(file), f"Basic {text}") is None and find_token((token,), "") is None
    monkeypatch.setenv("OVERREAD_TOKENS", token.line())
    assert read_tokens() == (token,)
    file.write_text(f"ward score {text}\n")
    with refused("token-invalid") as caught:
        read_tokens(file)
    assert text not in str(caught.value)
    file.write_text("")
    monkeypatch.delenv("OVERREAD_TOKENS")
    with refused("tokens-empty"):
        read_tokens(file)


def test_each_of_several_gpus_has_its_own_copy_of_the_network(checkpoint, monkeypatch):
    """Without GPUs: three are claimed, and each copy stays on the processor under the name of its GPU."""
    moved = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(service, "move_to_device", lambda model, where: moved.append(str(where)) or model)
    reader = load(checkpoint.folder)
    claimed = replace(reader, classifier=replace(reader.classifier, device=torch.device("cuda", 0)))
    (served,) = served_models([claimed])
    assert moved == ["cuda:1", "cuda:2"] and len(served.batchers) == 3
    copies = [batcher.scorer for batcher in served.batchers]
    assert len({id(copy.model) for copy in copies}) == 3
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    held = threading.Event()

    class Held:
        def __init__(self, copy):
            self.copy = replace(copy, device=torch.device("cpu"))

        def scores(self, pixels, batch_size):
            held.wait(10)
            return self.copy.scores(pixels, batch_size)

    for batcher in served.batchers:
        batcher.scorer = Held(batcher.scorer)
    used, waiting = [], []
    for _ in range(6):
        used.append(served.least_busy())
        waiting.append(used[-1].submit(pixels))
        time.sleep(0.01)  # a copy may take a request out of its queue; it is busy all the same
    assert used[:3] == list(served.batchers) == used[3:]
    held.set()
    for one in waiting:
        assert one.result(10) == pytest.approx(reader.score(pixels), abs=1e-6)
    for batcher in served.batchers:
        batcher.close()
        assert batcher.unanswered == 0


def test_requests_of_several_clients_are_scored_together(checkpoint):
    reader = load(checkpoint.folder)
    held = threading.Event()

    class Slow:
        def scores(self, pixels, batch_size):
            held.wait(10)
            return reader.classifier.scores(pixels, batch_size)

    batcher = Batcher(Slow(), largest=8)
    pixels = [np.full((1, 16, 16), value, np.uint8) for value in range(6)]
    first = batcher.submit(pixels[0])
    while batcher.waiting:
        time.sleep(0.001)  # the first request is alone in its batch
    others = [batcher.submit(one) for one in pixels[1:]]
    held.set()
    outputs = [one.result(10) for one in (first, *others)]
    batcher.close()
    assert list(batcher.batches) == [1, 5]
    for one, found in zip(pixels, outputs):
        assert found == pytest.approx(reader.score(one), abs=1e-6)


def test_a_request_that_is_too_late_or_whose_client_left_is_not_computed(checkpoint):
    reader, computed, held = load(checkpoint.folder), [], threading.Event()

    class Counting:
        def scores(self, pixels, batch_size):
            held.wait(10)
            computed.append(len(pixels))
            return reader.classifier.scores(pixels, batch_size)

    batcher, one = Batcher(Counting()), np.zeros((1, 16, 16), np.uint8)
    first = batcher.submit(one)
    while batcher.waiting:
        time.sleep(0.001)
    late, left = batcher.submit(one, time.monotonic() - 1), batcher.submit(one)
    assert left.cancel()
    held.set()
    first.result(10)
    with pytest.raises(TooLate):
        late.result(10)
    batcher.close()
    assert computed == [1]
    with pytest.raises(OverreadError):
        batcher.submit(one)


def test_a_failing_network_fails_its_requests_and_the_service_lives_on(serving, checkpoint, monkeypatch):
    client = serving()
    served = client.app.state.service.find()
    scores = type(served.reader.classifier).scores
    monkeypatch.setattr(
        type(served.reader.classifier), "scores", lambda *_: (_ for _ in ()).throw(RuntimeError("secret"))
    )
    answer = client.post("/v1/studies", files=files(png()))
    assert answer.status_code == 500 and "secret" not in answer.text
    monkeypatch.setattr(type(served.reader.classifier), "scores", scores)
    assert client.post("/v1/studies", files=files(png())).status_code == 200


def test_a_full_queue_says_when_to_come_back(serving, checkpoint):
    client = serving(Limits(waiting=2))
    service = client.app.state.service
    with service.admission(), service.admission():
        answer = client.post("/v1/studies", files=files(png()))
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
    assert answer.json()["code"] == "service-busy"
    assert client.post("/v1/studies", files=files(png())).status_code == 200
    with service.admission(), pytest.raises(Busy), service.admission(5):
        pass


def test_a_decoder_that_dies_costs_one_file(checkpoint, monkeypatch):
    reader = load(checkpoint.folder)
    service = Service({reader.name: served_models([reader])[0]}, limits=Limits(seconds=600), decoders=1)
    service.start()
    monkeypatch.setattr("core.serving.decoding_pool.decode_view", die_on_request)

    async def both():
        dead = await service.read(StudyRequest((Upload("die", png()), Upload("good", png()))))
        alive = await service.read(StudyRequest((Upload("good", png()),)))
        await service.stop()
        return dead, alive

    dead, alive = asyncio.run(both())
    assert alive.usable
    assert [view.code for view in dead.views] == ["decoder-stopped", ""]


def test_nothing_of_a_file_is_in_logs_or_measurements(serving, caplog):
    caplog.set_level(logging.DEBUG)
    caplog.handler.addFilter(lambda record: not record.name.startswith("httpx"))  # the client's own log
    client = serving(log=True)
    tags = ["PatientName", "PatientID", "AccessionNumber", "InstitutionName", "ReferringPhysicianName", "StudyID"]
    tags += ["StudyDescription", "OtherPatientIDs", "PatientAddress", "PatientComments", "OperatorsName"]
    planted = dicom(**{tag: "Planted" for tag in tags})
    client.post("/v1/studies", files=[("files", ("Planted.dcm", planted)), ("files", ("Planted.txt", b"Planted"))])
    client.post("/v1/studies", files=[("files", ("Planted.txt", b"Planted"))], data={"model": "Planted"})
    client.get("/Planted?Planted=1")
    kept = client.app.state.service.log.folder / "decisions.jsonl"
    assert kept.exists()
    for text in (caplog.text, client.get("/metrics").text, kept.read_text(), client.get("/v1/models").text):
        assert "Planted" not in text


def test_measurements_count_what_was_answered(serving):
    client = serving()
    client.post("/v1/studies", files=files(png(), b"text"))
    text = client.get("/metrics").text
    assert 'overread_studies_total{decision="none",model="tiny"} 1.0' in text
    assert 'overread_unusable_radiographs_total{code="image-unreadable"} 1.0' in text
    assert 'overread_requests_total{route="/v1/studies",status="200"} 1.0' in text


def test_a_shadow_scores_the_same_studies_and_is_only_logged(serving, tmp_path, checkpoint):
    other = load(make_checkpoint(tmp_path / "checkpoints" / "shadow", seed=3).folder)
    client = serving(log=True, shadows=[other])
    answer = client.post("/v1/studies", files=files(png())).json()
    assert answer["model"]["name"] == "tiny"
    log = client.app.state.service.log.folder / "decisions.jsonl"
    for _ in range(500):
        records = [json.loads(line) for line in log.read_text().splitlines()]
        if len(records) == 2:
            break
        time.sleep(0.01)
    assert [(record["model"], record["shadow"]) for record in records] == [("tiny", False), ("shadow", True)]
    assert records[0]["input"] == records[1]["input"] and records[0]["score"] != records[1]["score"]
    assert "shadow" not in client.get("/v1/models").text


def test_the_openapi_description_names_every_route_and_has_examples(serving):
    described = serving().get("/openapi.json").json()
    routes = {"/v1/studies", "/v1/batches", "/v1/models", "/health/live", "/health/ready", "/metrics", "/v2"}
    assert routes <= set(described["paths"])
    example = described["paths"]["/v1/studies"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    assert example["study"]["decision"] == "abnormal"


def test_maps_come_with_the_verdict_that_pages_show(serving, checkpoint, tree):
    paths = next(iter(study_files(tree).values()))
    contents = [pathlib.Path(path).read_bytes() for path in paths]
    answer = serving().post("/v1/studies", files=files(*contents), data={"maps": "true"}).json()
    source = source_of(checkpoint, tree)
    index = read_index(tree.name)
    rows = index[[f"{tree.root}/{path}" in paths for path in index["path"]]]
    records = make_records(source, study_task(source, rows))
    for view, content in zip(answer["views"], contents):
        record = records[hashlib.sha1(content).hexdigest()]
        assert view["map"]["verdict"] == record.verdict and view["map"]["png"]
    assert answer["timing_ms"]["total"] > 0
    assert "map" not in serving().post("/v1/studies", files=files(*contents)).json()["views"][0]


def test_a_field_that_says_neither_yes_nor_no_and_an_empty_batch_are_refused(serving):
    client = serving()
    for word in ("maybe", "2", "ja"):
        answer = client.post("/v1/studies", files=files(png()), data={"maps": word})
        assert answer.status_code == 400 and "true or false" in answer.json()["detail"], word
    for word in ("", "false", "0"):
        assert client.post("/v1/studies", files=files(png()), data={"maps": word}).status_code == 200
    answer = client.post("/v1/batches", files={"other": ("a.png", png())})
    assert answer.status_code == 422 and answer.json()["code"] == "study-empty"


def test_a_bone_that_the_model_was_never_evaluated_on_is_refused(checkpoint):
    views = [DecodedView("a.png", "x", pixels=np.zeros((4, 4), np.uint8)), DecodedView("b.png", "y").refused("r", "c")]
    found = of_the_region(views, "knee", frozenset({"elbow", "wrist"}), "model")
    assert [view.code for view in found] == ["bone-unknown", "c"] and "elbow, wrist" in found[0].why
    assert of_the_region(views, "wrist", frozenset({"elbow", "wrist"}), "model")[0].usable
    # A model whose bones are not known takes every one.
    assert of_the_region(views, "knee", frozenset(), "model")[0].usable
