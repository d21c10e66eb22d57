"""What the browser tests share: a scored workspace, its server, a browser, and pages that fail on any error."""

import re
import shutil

import pytest

from core.models.checkpoint import list_checkpoints
from tests.browser.reading import make_workspace
from tests.browser.server import chromium, serve, settle

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
    return make_workspace(tmp_path_factory.mktemp("scored"))


@pytest.fixture(scope="session")
def scored_by_all(tmp_path_factory):
    """The same with the scores of every shipped checkpoint. Copied, never written to."""
    return make_workspace(tmp_path_factory.mktemp("scored_by_all"), every_checkpoint=True)


@pytest.fixture(scope="module")
def home(scored, tmp_path_factory):
    """A workspace of the test file: a copy of the scored one."""
    return shutil.copytree(scored, tmp_path_factory.mktemp("home") / "workspace")


@pytest.fixture(scope="module")
def address(home):
    """The address of a server over the workspace of the test file."""
    with serve(home) as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    """One browser for a test file; each reader gets a context of it."""
    with chromium() as found:
        yield found


@pytest.fixture
def new_page(browser):
    """new_page(width, height, **options of the context) -> page. Any console error or exception box fails the test."""
    contexts, complaints = [], []

    def heard(said) -> None:
        if said.type == "error":
            complaints.append(f"{said.text} {said.location.get('url')}")

    def make(width: int = 1440, height: int = 900, **options):
        given = {"viewport": {"width": width, "height": height}, "color_scheme": "dark", **options}
        context = browser.new_context(**given)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", heard)
        return page

    yield make
    for context in contexts:
        for page in context.pages:
            assert page.locator(".stException").count() == 0, page.locator(".stException").first.inner_text()
        context.close()
    assert not [line for line in complaints if not PROBES.search(line)]


@pytest.fixture
def open_as(new_page, address):
    """Open a page as a reader, each in a browser context of its own: open_as(path, name, width, height) -> page."""

    def open_page(path: str, name: str = "", width: int = 1440, height: int = 900, **options):
        page = new_page(width, height, **options)
        if name:
            page.add_init_script(f"localStorage.setItem('overread.reviewer', {name!r})")
        page.goto(f"{address}{path}")
        settle(page)
        if name:
            # The browser returns the name in a second run, which may interrupt that of a click.
            page.wait_for_function("() => !document.querySelector('.st-key-reader_field')")
            settle(page)
        return page

    return open_page
