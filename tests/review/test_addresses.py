"""The address of a database: read as people write it, and shown without its secrets."""

import pytest

from core.review.addresses import read_address, shown_address, without_secrets
from core.review.database import open_store
from tests.refusals import refused


@pytest.mark.parametrize(
    ("url", "password", "host"),
    [
        ("postgresql://me:sEcret-1@db.example/reads", "sEcret-1", "db.example"),
        ("postgresql://me:sEcret@1@db.example/reads", "sEcret@1", "db.example"),
        ("postgresql://me:sEcret%401@db.example/reads", "sEcret@1", "db.example"),
        ("postgresql://me:sEcret/1?x@db.example:5433/reads", "sEcret/1?x", "db.example"),
        ("postgresql://db.example/reads?user=me&password=sEcret-1", None, "db.example"),
        ("postgresql://db.example/reads?password=sEcret@1", None, "db.example"),
        ("postgresql://me:other@db.example/reads?sslpassword=sEcret-1", "other", "db.example"),
    ],
)
def test_a_password_is_read_whole_and_never_shown(url, password, host):
    address = read_address(url)
    assert (address.password, address.host, address.database) == (password, host, "reads")
    said = f"could not connect with {url} as sEcret@1 or sEcret-1 or sEcret/1?x"
    for text in (shown_address(address), without_secrets(said, address).split(" as ")[0]):
        assert "sEcret" not in text and "db.example" in text


@pytest.mark.parametrize("login", ["me:sEcret@1@", "me:sEcret-1@", ""])
@pytest.mark.parametrize("options", ["", "?password=sEcret-2"])
def test_an_error_of_the_database_shows_no_secret(workspace, login, options):
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with refused("database-failed", "127.0.0.1:1") as caught:
        open_store(f"postgresql://{login}127.0.0.1:1/none{options}", timeout=1)
    assert "sEcret" not in str(caught.value)
