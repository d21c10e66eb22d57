"""A meeting in real browsers, on SQLite and PostgreSQL: alone, together, a lead who leaves, a server that restarts."""

from uuid import uuid4

import pytest
import sqlalchemy as sql

from core.data.index import read_dataset
from core.models.checkpoint import list_checkpoints
from core.review.database import open_store
from core.review.reading_state import read_state
from core.review.store import entries_table
from core.review.walkthroughs import ReadingPlan
from core.scores.source import source_of
from core.scores.view import View
from core.workflows.walkthroughs import Draw, candidates_of, make_walkthrough
from tests.browser.server import free_port, serve, settle
from tests.browser.waiting import expect, wait_until
from tests.review.conftest import postgres  # noqa: F401

PATH = "/walkthroughs?walk=Monday"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request, home) -> str:
    """The address of an empty review database."""
    if request.param == "sqlite":
        (home / "review.sqlite").unlink(missing_ok=True)
        return f"sqlite:///{home / 'review.sqlite'}"
    server, name = request.getfixturevalue("postgres"), f"t{uuid4().hex}"
    engine = sql.create_engine(f"{server}/postgres".replace("://", "+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sql.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server}/{name}"


@pytest.fixture
def walkthrough(home, database, monkeypatch):
    """Three missed studies, to be read alone first and then together, blind until the lead reveals them."""
    monkeypatch.setenv("OVERREAD_HOME", str(home))
    view = View(source_of(list_checkpoints()[0][0], read_dataset("demo")), "valid", threshold=1.0)
    plan = ReadingPlan(blind=True, alone_first=True)
    return make_walkthrough(open_store(database), view, "Monday", "Ana", candidates_of(view, "missed"), Draw(3), plan)


def case_of(page) -> str:
    return page.locator(".viewer").get_attribute("data-case")


def wait_for_place(page, place: int) -> None:
    page.wait_for_function("place => document.querySelector('.st-key-place input')?.value === place", arg=str(place))
    page.wait_for_selector(".viewer .films img")


def wait_for_words(page, words: str) -> None:
    page.wait_for_function("words => document.querySelector('.stMain').innerText.includes(words)", arg=words)


def answer(page, store, key: str) -> None:
    """Press a verdict key and wait until the entry is stored."""
    before = len(entries_table(store))
    page.wait_for_selector('[class*="st-key-enter_"] button:enabled')
    settle(page)
    page.keyboard.press(key)
    wait_until(page, lambda: len(entries_table(store)) > before)


@pytest.mark.slow
def test_a_meeting_survives_a_lead_who_leaves_and_a_server_that_restarts(home, database, walkthrough, browser):
    store, port, studies = open_store(database), free_port(), [case.study_id for case in walkthrough.cases]

    def join(name: str):
        page = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark").new_page()
        page.add_init_script(f"localStorage.setItem('overread.reviewer', {name!r})")
        page.goto(f"http://127.0.0.1:{port}{PATH}")
        settle(page)
        page.wait_for_selector(".viewer .films img")
        wait_for_words(page, f"Here: {name}" if name == "Ana" else name)
        return page

    with serve(home, port=port, database=database):
        ana, ben, cleo = join("Ana"), join("Ben"), join("Cleo")
        # Each reads alone and blind, at an own pace.
        for key, place in (("1", 2), ("2", 3)):
            answer(ben, store, key)
            wait_for_place(ben, place)
        expect(cleo.locator(".st-key-place input")).to_have_value("1")
        answer(cleo, store, "2")
        ana.get_by_role("button", name="Lead", exact=True).click()
        ana.get_by_role("button", name="Read together").click()
        for page in (ana, ben, cleo):
            wait_for_words(page, "You lead, case 1." if page is ana else "Ana leads")
            wait_for_place(page, 1)
            settle(page)
            shown = page.url + page.locator(".stMain").inner_text()
            assert not any(study in shown for study in studies) and "Missed" not in shown
        answer(cleo, store, "1")
        wait_for_words(ana, "Answered: 1 of 2 (Cleo)")
        # The lead's laptop sleeps; another reader takes the lead by name.
        ana.context.close()
        ben.get_by_role("button", name="Take the lead").click()
        wait_for_words(cleo, "Ben leads")
        # Until the page of the new lead has run again, its keys are those of a follower.
        wait_for_words(ben, "You lead, case 1.")
        ben.wait_for_selector(".st-key-walk_next button:enabled")
        settle(ben)
        ben.keyboard.press("ArrowRight")
        wait_for_place(cleo, 2)
        answer(cleo, store, "2")
        before = entries_table(store)
        assert before["round"].tolist() == ["alone"] * 3 + ["together"] * 2

    with serve(home, port=port, database=database):
        # Everyone comes back to the case by themselves; who joins late lands on it.
        for page in (ben, cleo):
            wait_for_words(page, "Here: Ben, Cleo")
            wait_for_place(page, 2)
        dora = join("Dora")
        wait_for_place(dora, 2)
        back = join("Ana")
        wait_for_place(back, 2)
        expect(back.get_by_role("button", name="Take the lead from Ben")).to_have_count(1)
        assert entries_table(store)["id"].tolist() == before["id"].tolist()
        settle(ben)
        ben.get_by_role("button", name="Reveal").click()
        for page in (ben, cleo, dora):
            page.wait_for_selector(".reveal")
            expect(page.locator(".reveal")).to_contain_text("normal")
        ben.get_by_role("button", name="Abnormal", exact=True).last.click()
        wait_for_words(dora, "The room decided")
        wait_until(dora, lambda: entries_table(store)["kind"].tolist()[-1] == "adjudication")
        state = read_state(store, walkthrough)
        assert (state.lead, state.place, state.revealed) == ("Ben", 2, {studies[1]})
        for page in (ben, cleo, dora, back):
            assert page.locator(".stException").count() == 0
