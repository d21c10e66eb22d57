"""What the browser tests share: a scored workspace, its server, a browser, and pages that fail on any error."""

import re
import shutil

import pytest

from core.models.checkpoint import list_checkpoints
from tests.browser.pages import BARE, Pages
from tests.browser.reading import make_workspace, score_by_all
from tests.browser.server import chromium, serve, settle
from tests.once import made_once

# Streamlit requests these below the page's path first, then at the root.
PROBES = re.compile(r"/_stcore/(host-config|health)$")


@pytest.fixture(scope="session", autouse=True)
def _needs_a_browser() -> None:
    pytest.importorskip("playwright", reason="playwright is not installed")
    if not shutil.which("chromium"):
        pytest.skip("the system has no chromium; apt-get install chromium")
    if not list_checkpoints()[0]:
        pytest.skip("no checkpoint ships in checkpoints/")


@pytest.fixture(scope="session")
def scored(tmp_path_factory):
    """A workspace with a small set of phantoms that the first checkpoint has scored. Copied, never written to."""
    return made_once(tmp_path_factory, "scored", make_workspace)


@pytest.fixture(scope="session")
def scored_by_all(scored, tmp_path_factory):
    """The same with the scores of every shipped checkpoint. Copied, never written to."""
    return made_once(tmp_path_factory, "scored_by_all", lambda folder: score_by_all(scored, folder))


@pytest.fixture(scope="module")
def home(scored, tmp_path_factory):
    """A workspace of the test file: a copy of the scored one."""
    return shutil.copytree(scored, tmp_path_factory.mktemp("home") / "workspace")


@pytest.fixture(scope="module")
def address(home):
    """The address of a server over the workspace of the test file."""
    with serve(home) as found:
        yield found


@pytest.fixture(scope="package")
def browser():
    """One browser for all files; each reader gets a context of it."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="package")
def pages(browser):
    """The pages that tests take one after the other."""
    return Pages(browser)


@pytest.fixture
def new_page(pages):
    """new_page(width, height, **options of the context) -> page. Any console error or exception box fails the test."""
    yield pages.take
    complaints = pages.give_back()
    assert not [line for line in complaints if not PROBES.search(line)]


@pytest.fixture
def open_as(new_page, address):
    """Open a page as a reader, each in a browser context of its own: open_as(path, name, width, height) -> page."""

    def open_page(path: str, name: str = "", width: int = 1440, height: int = 900, **options):
        page = new_page(width, height, **options)
        if name:
            remember_reader(page, address, name)
        page.goto(f"{address}{path}")
        settle(page)
        if name:
            # The browser returns the name in a second run, which may interrupt that of a click.
            page.wait_for_function("() => !document.querySelector('.st-key-reader_field')")
            settle(page)
        return page

    return open_page


def remember_reader(page, address: str, name: str) -> None:
    """Let the browser know the name of its reader before it opens any page."""
    page.goto(f"{address}{BARE}")
    page.evaluate("name => localStorage.setItem('overread.reviewer', name)", name)
