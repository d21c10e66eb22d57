"""The login through a provider on this machine, and what the roles of secrets.toml let a person do."""

import pytest

from tests.browser.server import free_port, serve, settle

pytest.importorskip("authlib", reason="Authlib, which st.login needs, is not installed")
pytestmark = pytest.mark.slow


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


def test_the_page_that_was_asked_for_opens_and_the_buttons_follow_the_role(home, tmp_path, browser):
    from tests.browser.oidc import provider

    port = free_port()
    with provider(free_port()) as known:
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
