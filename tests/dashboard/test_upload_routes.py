"""The routes that take pieces of an upload: only with a ticket of an open page, bounded, and in one sentence if not."""

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.data.arriving import PIECE, read_arrival
from dashboard.shared.upload.routes import renewed_ticket, upload_routes

FILES = {"files": [{"name": "tree.zip", "size": 6, "modified": 5}]}


@pytest.fixture
def client(workspace):
    return TestClient(Starlette(routes=upload_routes()))


def test_a_file_arrives_in_pieces_and_continues_in_another_session(client):
    ticket = renewed_ticket("", "browser:one")
    begun = client.post(f"/arriving/{ticket}", json=FILES).json()
    assert begun["have"] == [0]
    place = f"/arriving/{ticket}/{begun['id']}/0"
    assert client.put(place, params={"offset": 0}, content=b"abc").json() == {"have": 3}
    assert client.put(place, params={"offset": 0}, content=b"abc").json() == {"have": 3}
    later = renewed_ticket("lost", "browser:one")  # the page was opened again
    assert client.post(f"/arriving/{later}", json=FILES).json() == {"id": begun["id"], "have": [3]}
    assert client.put(f"/arriving/{later}/{begun['id']}/0", params={"offset": 3}, content=b"def").json() == {"have": 6}
    assert read_arrival(begun["id"]).complete
    assert client.delete(f"/arriving/{later}/{begun['id']}").status_code == 200
    assert client.put(place, params={"offset": 0}, content=b"abc").json()["code"] == "upload-gone"


def test_a_ticket_is_kept_for_its_visitor_alone(workspace):
    ticket = renewed_ticket("", "browser:one")
    assert renewed_ticket(ticket, "browser:one") == ticket != renewed_ticket(ticket, "browser:two")


def test_nobody_uploads_without_a_ticket_or_into_the_upload_of_another(client):
    mine, other = renewed_ticket("", "browser:one"), renewed_ticket("", "browser:two")
    begun = client.post(f"/arriving/{mine}", json=FILES).json()
    answers = [
        client.post("/arriving/guessed", json=FILES),
        client.put(f"/arriving/{other}/{begun['id']}/0", params={"offset": 0}, content=b"abc"),
        client.delete(f"/arriving/{other}/{begun['id']}"),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "upload-ticket")] * 3
    assert read_arrival(begun["id"]).have == (0,)


@pytest.mark.parametrize(
    ("files", "code", "status"),
    [
        ([{"name": "mura.zip", "size": 3 << 30, "modified": 0}], "upload-too-large", 413),
        ([{"name": "../x.zip", "size": 1, "modified": 0}], "zip-unsafe-name", 400),
        ([{"name": "x.zip", "size": -1, "modified": 0}], "no-file", 400),
        ([{"name": "x.zip"}], "no-file", 400),
        ([], "no-file", 400),
        ("nothing", "no-file", 400),
    ],
)
def test_what_cannot_be_taken_is_one_sentence_before_a_byte_is_sent(client, workspace, files, code, status):
    answer = client.post(f"/arriving/{renewed_ticket('', 'browser:one')}", json={"files": files})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["error"].endswith(".") and not (workspace / "uploads").exists()


def test_a_piece_that_is_too_large_or_has_no_place_is_refused(client):
    ticket = renewed_ticket("", "browser:one")
    begun = client.post(f"/arriving/{ticket}", json=FILES).json()
    place = f"/arriving/{ticket}/{begun['id']}/0"
    assert client.put(place, params={"offset": 0}, content=b"0" * (PIECE + 1)).status_code == 413
    assert client.put(place, content=b"abc").json()["code"] == "upload-offset"
    assert client.put(place, params={"offset": 0}, content=b"1234567").status_code == 413
    assert read_arrival(begun["id"]).have == (0,)
