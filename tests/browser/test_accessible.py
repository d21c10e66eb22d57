"""axe-core over every page in both themes: no serious finding."""

import shutil

import pytest

from core.data.index import build_index, write_dataset
from core.models.checkpoint import list_checkpoints
from core.phantom import write_phantoms
from core.scores.predict import predict
from core.scores.predictions import store_predictions
from tests.browser.server import PAGES, chromium, serve, settle

pytest.importorskip("playwright", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
pytestmark = [
    pytest.mark.skipif(not shutil.which("chromium"), reason="the system has no chromium; apt-get install chromium"),
    pytest.mark.skipif(not list_checkpoints()[0], reason="no checkpoint ships in checkpoints/"),
]
# What Streamlit's own elements cause, by rule and by the part of the page: {rule: selectors}.
STREAMLIT = {
    "list": ("[data-testid='stSidebarNav",),
    "listitem": ("[data-testid='stSidebarNav",),
}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERREAD_HOME", str(home))
        write_phantoms(home / "phantoms", 40, 3, valid_fraction=0.5)
        dataset = write_dataset("demo", build_index(home / "phantoms" / "MURA-v1.1"))
        for checkpoint in list_checkpoints()[0]:
            store_predictions(predict(checkpoint, dataset), checkpoint, dataset)
    with serve(home) as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


def findings(page) -> list[str]:
    """The serious and critical findings on a page, one line each: rule, what is measured, element."""
    found = axe.Axe().run(page).response["violations"]
    lines = []
    for rule in found:
        if rule["impact"] not in ("serious", "critical"):
            continue
        for node in rule["nodes"]:
            inside = page.evaluate(
                '([target, parts]) => parts.some((part) => document.querySelector(target)?.closest(part + "\']"))',
                [node["target"][-1], list(STREAMLIT.get(rule["id"], ()))],
            )
            if not inside:
                measured = "; ".join(check["message"] for check in node["any"][:1])
                lines.append(f"{rule['id']}: {measured}: {node['html'][:200]}")
    return lines


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_no_page_has_a_serious_finding(browser, address, scheme):
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    found = {}
    for name in PAGES:
        page.goto(f"{address}/{name}")
        settle(page)
        if lines := findings(page):
            found[name] = lines
    context.close()
    assert not found, "\n".join(f"{name}: {line}" for name, lines in found.items() for line in lines)
