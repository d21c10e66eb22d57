"""A viewer reads every page, and no button that writes can be pressed; the reason is in its tooltip."""

import pytest

from core import roles
from dashboard.shared import roles as visitors
from tests.dashboard.conftest import PAGES, House, open_page
from tests.dashboard.test_review_pages import missed, read


@pytest.fixture
def viewer(house: House, monkeypatch) -> House:
    """The visitor may only look."""
    # The first run of the app replaces it; monkeypatch puts back what was there before.
    monkeypatch.setattr(roles, "decide", roles.decide)
    monkeypatch.setattr(visitors, "visitors_role", lambda: roles.VIEWER)
    return house


def locked(app, key: str) -> bool:
    """Whether all buttons whose keys begin like this are disabled, with the reason."""
    found = [button for button in app.button if str(button.key).startswith(key)]
    assert found, key
    return all(button.disabled and "Your role is viewer" in button.help for button in found)


@pytest.mark.parametrize("page", PAGES)
def test_a_viewer_opens_every_page(viewer, films, page):
    app = open_page(page, data="demo", model="alpha")
    assert not app.exception and not [one for one in app.error if "role" in one.value]


def test_no_button_of_a_viewer_writes(viewer, films):
    assert locked(open_page("runs", data="demo", model="alpha"), "job_start")
    assert locked(open_page("threshold", data="demo", model="alpha"), "lock_open")
    assert locked(read(missed()[0]), "enter_")
