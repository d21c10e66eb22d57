"""A server on this machine without a login answers under the names of this machine only."""

import http.client

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from core.host_names import is_foreign
from tests.browser.server import serve


@pytest.mark.parametrize(
    ("host", "foreign"),
    [
        ("localhost:8501", False),
        ("LOCALHOST", False),
        ("bones.localhost:8501", False),
        ("127.0.0.1:8501", False),
        ("127.3.2.1", False),
        ("[::1]:8501", False),
        ("", False),
        ("evil.example:8501", True),
        ("127.0.0.1.evil.example", True),
        ("localhost.evil.example", True),
        ("192.0.2.7:8501", True),
        ("[2001:db8::1]:8501", True),
    ],
)
def test_a_foreign_name_is_told_from_those_of_this_machine(host, foreign):
    headers = [(b"host", host.encode())]
    assert is_foreign(headers) == foreign
    assert not is_foreign([*headers, (b"x-forwarded-for", b"192.0.2.1")])


def get(address: str, host: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    connection.request("GET", "/", headers={"Host": host, **headers})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_a_page_that_points_its_name_to_this_machine_gets_neither_pages_nor_a_connection(tmp_path):
    with serve(tmp_path) as address:
        status, text = get(address, "evil.example")
        assert status == 403 and "evil.example" in text and "--server.allowedHosts" in text
        assert get(address, "localhost")[0] == 200
        assert get(address, "bones.example.org", **{"X-Forwarded-For": "192.0.2.1"})[0] == 200
        stream = address.replace("http", "ws") + "/_stcore/stream"
        with pytest.raises(InvalidStatus) as refused:
            # As a browser does: host and origin are those of the page, the connection goes to this machine.
            connect(
                stream.replace("127.0.0.1", "evil.example"),
                origin=address.replace("127.0.0.1", "evil.example"),
                sock=socket_to(address),
            )
        assert refused.value.response.status_code == 403
        with connect(stream, origin=address, proxy=None):
            pass


def test_a_name_that_is_allowed_or_a_server_on_a_network_is_not_refused(tmp_path):
    for flags in (["--server.allowedHosts", "bones.example.org"], ["--server.address", "0.0.0.0"]):
        with serve(tmp_path, *flags) as address:
            assert get(address, "bones.example.org")[0] == 200


def socket_to(address: str):
    import socket

    host, _, port = address.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)))
