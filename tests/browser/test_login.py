"""The login through a provider on this machine, and what the roles of secrets.toml let a person do."""

import shutil

import pytest

from core.data.index import build_index, write_dataset
from core.models.checkpoint import list_checkpoints
from core.phantom import write_phantoms
from core.scores.predict import predict
from core.scores.predictions import store_predictions
from tests.browser.server import chromium, free_port, serve, settle

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("authlib", reason="Authlib, which st.login needs, is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("chromium"), reason="the system has no chromium; apt-get install chromium"),
    pytest.mark.skipif(not list_checkpoints()[0], reason="no checkpoint ships in checkpoints/"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERREAD_HOME", str(home))
        write_phantoms(home / "phantoms", 30, 3, valid_fraction=0.5)
        dataset = write_dataset("demo", build_index(home / "phantoms" / "MURA-v1.1"))
        checkpoint = list_checkpoints()[0][0]
        store_predictions(predict(checkpoint, dataset), checkpoint, dataset)
    return home


def secrets_file(folder, port: int, provider: str):
    """A secrets.toml with this provider and three roles."""
    file = folder / "secrets.toml"
    file.write_text(
        f"""
[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "a secret of this test only, with more than 32 characters"
client_id = "overread"
client_secret = "of this test"
server_metadata_url = "{provider}/.well-known/openid-configuration"

[roles]
owner = ["ana@clinic.example"]
reviewer = ["*@clinic.example"]
"""
    )
    return file


def test_the_page_that_was_asked_for_opens_and_the_buttons_follow_the_role(home, tmp_path):
    from tests.browser.oidc import provider

    port = free_port()
    with provider(free_port()) as known, chromium() as browser:
        file = secrets_file(tmp_path, port, known.address)
        with serve(home, "--secrets.files", str(file), port=port) as address:
            found = {}
            for email in ("ana@clinic.example", "bo@clinic.example", "eve@elsewhere.example"):
                known.person = {"sub": email, "email": email, "email_verified": True, "name": email}
                page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
                page.goto(f"{address}/threshold?threshold=0.25")
                page.get_by_role("button", name="Log in").click()
                page.wait_for_url("**/threshold?*threshold=0.25*", timeout=60_000)
                settle(page)
                button = page.get_by_role("button", name="Lock this threshold")
                button.wait_for()
                found[email] = button.is_enabled()
                assert page.locator(".stException").count() == 0
    assert found == {"ana@clinic.example": True, "bo@clinic.example": False, "eve@elsewhere.example": False}
