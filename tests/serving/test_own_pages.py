"""A service without tokens serves programs and pages of its own machine, and no page of another one."""

import pytest

from core.host_names import is_from_foreign_page
from core.serving.tokens import new_token
from tests.serving.conftest import png
from tests.serving.test_service import files


@pytest.mark.parametrize(
    ("origin", "foreign"),
    [
        ("http://localhost:8501", False),
        ("http://127.0.0.1:3000", False),
        ("https://[::1]", False),
        ("https://evil.example", True),
        ("http://localhost.evil.example", True),
        ("http://evil.example@localhost.evil.example", True),
        ("http://localhost:1@evil.example", True),
        ("null", True),
        ("", True),
        ("http://[", True),
    ],
)
def test_a_page_of_another_machine_is_told_from_those_of_this_one(origin, foreign):
    assert is_from_foreign_page([(b"host", b"127.0.0.1:8000"), (b"origin", origin.encode())]) == foreign
    assert not is_from_foreign_page([(b"host", b"127.0.0.1:8000")])


def test_a_page_of_the_proxy_in_front_is_no_foreign_one():
    proxied = [(b"host", b"bones.example.org"), (b"x-forwarded-for", b"192.0.2.1")]
    assert not is_from_foreign_page([*proxied, (b"origin", b"https://bones.example.org")])
    assert is_from_foreign_page([*proxied, (b"origin", b"https://evil.example")])


def test_a_form_of_a_foreign_page_is_refused_before_it_is_read(serving):
    client = serving()
    answer = client.post("/v1/studies", files=files(png()), headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "page-foreign") and "--tokens" in answer.json()[
        "detail"
    ]
    sent = client.post("/v1/studies", files=files(png()), headers={"Origin": "http://localhost:8501"})
    assert sent.status_code == 200 and client.post("/v1/studies", files=files(png())).status_code == 200


def test_a_service_of_its_own_machine_answers_under_its_own_names(serving):
    client = serving(local=True)
    for name, status in (("evil.example", 403), ("localhost:8000", 200), ("127.0.0.1", 200)):
        assert client.get("/v1/models", headers={"Host": name}).status_code == status
    proxied = {"Host": "bones.example.org", "X-Forwarded-For": "192.0.2.1"}
    assert client.get("/v1/models", headers=proxied).status_code == 200


def test_with_tokens_the_token_decides(serving):
    text, ward = new_token("ward", ["score"])
    client = serving(tokens=[ward], local=True)
    foreign = {"Host": "evil.example", "Origin": "https://evil.example"}
    assert client.get("/v1/models", headers=foreign).status_code == 401
    assert client.get("/v1/models", headers={**foreign, "Authorization": f"Bearer {text}"}).status_code == 200
