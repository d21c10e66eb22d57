"""Helpers of the browser tests of reading: a small workspace, and questions to the film viewer."""

import shutil
from pathlib import Path

import pytest

from core.data.index import build_index, read_dataset, write_dataset
from core.models.checkpoint import list_checkpoints
from core.phantom import write_phantoms
from core.review.database import open_store
from core.review.store import verdicts_table
from core.scores.predict import predict
from core.scores.predictions import store_predictions
from core.scores.source import source_of
from tests.browser.server import settle

# The viewer is inside a component, and its elements are found by playwright but not by document.querySelector.
VIEWER = "[...document.querySelectorAll('*')].map(e => e.shadowRoot).find(r => r?.querySelector('.viewer'))"
# Shares of the window that the drawn parts of the films cover, and their boxes in pixels.
DRAWN = f"""() => [...{VIEWER}.querySelectorAll('.film')].filter(film => film.querySelector('.shown')).map(film => {{
    const frame = film.getBoundingClientRect(), shown = film.querySelector('.shown').getBoundingClientRect();
    const left = Math.max(frame.left, shown.left, 0), right = Math.min(frame.right, shown.right, innerWidth);
    const top = Math.max(frame.top, shown.top, 0), bottom = Math.min(frame.bottom, shown.bottom, innerHeight);
    return [left, top, Math.max(left, right), Math.max(top, bottom)];
}})"""


def make_workspace(home: Path, patients: int = 40) -> Path:
    """A small phantom set scored by the first checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERREAD_HOME", str(home))
        write_phantoms(home / "phantoms", patients, 3, valid_fraction=0.5)
        dataset = write_dataset("demo", build_index(home / "phantoms" / "MURA-v1.1"))
        store_predictions(predict(source_of(list_checkpoints()[0][0], dataset)))
    return home


def score_by_all(scored: Path, home: Path) -> Path:
    """A copy of such a workspace, with the scores of all checkpoints that ship."""
    shutil.copytree(scored, home, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERREAD_HOME", str(home))
        for checkpoint in list_checkpoints()[0][1:]:
            store_predictions(predict(source_of(checkpoint, read_dataset("demo"))))
    return home


def stored_verdicts(home, **filters):
    """The verdicts of the workspace."""
    return verdicts_table(open_store(f"sqlite:///{home}/review.sqlite"), **filters)


def open_case(page) -> str:
    """The name of the open case, from its films."""
    return page.locator(".viewer").get_attribute("data-case")


def open_card(page, place: int = 0) -> str:
    """Open a card of the gallery; returns the name of the case."""
    page.locator(".gallery a.card").nth(place).click()
    page.wait_for_selector(".viewer .films img")
    settle(page)
    return open_case(page)


def wait_for_words(page, words: str) -> None:
    """Return once the page shows these words; otherwise fail with what it shows."""
    from playwright.sync_api import Error

    try:
        page.wait_for_function("words => document.querySelector('.stMain')?.innerText.includes(words)", arg=words)
    except Error as late:
        shown = page.evaluate("document.body.innerText")
        waits = page.evaluate(
            "JSON.stringify([document.querySelector('[data-testid=stApp]')?.dataset, globalThis.overreadOutbox])"
        )
        raise AssertionError(f"{words!r} is not on the page: {shown}\n{waits}") from late


def wait_for_another(page, case: str) -> None:
    """Return once another case than this one is shown and the page has answered."""
    page.wait_for_function(
        "before => [...document.querySelectorAll('*')].map(e => e.shadowRoot?.querySelector('.viewer')?.dataset.case)"
        ".some(shown => shown && shown !== before) && !document.body.dataset.waiting",
        arg=case,
    )
    settle(page)


def wait_for_case(page, case: str) -> None:
    """Return once this case is shown and the page has answered."""
    page.wait_for_function(
        "wanted => [...document.querySelectorAll('*')].map(e => e.shadowRoot?.querySelector('.viewer')?.dataset.case)"
        ".some(shown => shown === wanted) && !document.body.dataset.waiting",
        arg=case,
    )
    settle(page)


def area_share(page) -> float:
    """The share of the window that the drawn films cover."""
    size = page.viewport_size
    area = sum((right - left) * (bottom - top) for left, top, right, bottom in page.evaluate(DRAWN))
    return area / (size["width"] * size["height"])
