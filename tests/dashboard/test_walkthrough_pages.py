"""An open walkthrough: what is hidden from whom, in the page and in what the browser gets before a case is opened."""

import shutil

import pytest
import sqlalchemy as sql

from core.data.index import read_dataset
from core.review import reading_state, tables
from core.review.cases import neutral_name
from core.review.database import open_store
from core.review.reading_state import (
    finish_reading,
    move_to,
    read_state,
    report_presence,
    reveal_case,
    start_together,
    take_lead,
)
from core.review.store import add_verdict, entries_table
from core.review.vocabulary import Verdict
from core.review.walkthroughs import ReadingPlan, create_walkthrough
from core.scores.view import View
from core.workflows.walkthroughs import Draw, candidates_of, make_walkthrough
from dashboard.shared import loaders
from dashboard.shared.case import films as component
from dashboard.walkthroughs.reading_status import Status, read_status, status_text
from tests.dashboard.conftest import House, enter, open_page, words
from tests.reading import read_as


@pytest.fixture
def workspace(built, tmp_path, monkeypatch) -> House:
    """A copy of the workspace, with a review database of its own."""
    copy = House(tmp_path / "home", built.checkpoints)
    shutil.copytree(built.home, copy.home)
    enter(copy, monkeypatch)
    # Nobody leaves, however slow the test is.
    monkeypatch.setattr(reading_state, "PRESENT_SECONDS", 1e9)
    return copy


@pytest.fixture
def ahead(monkeypatch) -> list[tuple]:
    """The films that are sent to the browser before their case is opened, with the keys that lead to them."""
    sent: list[tuple] = []
    monkeypatch.setattr(
        component, "load_ahead", lambda shown, case, after, keys, **more: sent.append((shown, list(keys)))
    )
    return sent


def make(**plan):
    view = View(loaders.sources(read_dataset("demo"))["alpha"], "valid")
    candidates = candidates_of(view, "missed")
    return make_walkthrough(open_store(), view, "Monday", "Ana", candidates, Draw(3), ReadingPlan(**plan))


def test_a_broken_walkthrough_is_marked_in_the_list_and_the_others_open(workspace):
    made, store = make(), open_store()
    with store.engine.begin() as connection:
        connection.execute(sql.update(tables.walkthroughs).values(author="Eve"))
    create_walkthrough(store, "demo", "Tuesday", "Ben", list(made.cases))
    app = open_page("walkthroughs")
    assert not app.exception
    assert app.button(key=f"open_{made.id}").disabled and "Broken. The walkthrough" in words(app)
    (other,) = [button for button in app.button if button.label == "Tuesday"]
    assert not other.disabled
    assert not other.click().run().exception


def open_as(reader: str, **query: str):
    app = open_page("walkthroughs", walk="Monday", **query)
    read_as(app, reader)
    assert not app.exception
    return app


def shown_by(app, films) -> str:
    return words(app) + repr(films[-1]) + repr(app.query_params)


def test_a_hidden_case_is_hidden_from_all_also_before_it_is_opened(workspace, films, ahead):
    walk = make(blind=True)
    first, second, third = (case.study_id for case in walk.cases)
    store = open_store()
    take_lead(store, walk, "Ana")
    report_presence(store, walk.id, "Ana", 1, False)
    add_verdict(store, Verdict("demo", first, "Cleo", reading="normal", walkthrough_id=walk.id, round="together"))
    ben = open_as("Ben", blind="false")
    assert "Missed" not in words(ben) and first not in shown_by(ben, films) and "Cleo: " not in words(ben)
    assert all(film["score"] is None and not film["details"] for film in films[-1] + ahead[-1][0])
    reveal_case(store, walk, "Ana", first)
    ben.run()
    assert "Missed" in words(ben) and "Cleo" in words(ben) and films[-1][0]["score"] is not None
    # The next case is still hidden, though this one is not.
    assert all(film["score"] is None and not film["details"] for film in ahead[-1][0])
    move_to(store, walk, "Ana", 2)
    ben.run()
    assert "Missed" not in words(ben) and second not in shown_by(ben, films)
    finish_reading(store, walk, "Ana")
    ben.run()
    assert "Missed" in words(ben) and "The reading is finished" in words(ben)
    assert ahead[-1][0][0]["score"] is not None and third not in words(ben)


def test_a_follower_stays_with_the_lead_until_the_lead_is_gone(workspace, films, ahead):
    walk = make()
    store = open_store()
    ana = open_as("Ana")
    ana.button(key="take_lead").click().run()
    ben = open_as("Ben", place="3")
    # A late reader opens the lead's case, and keys do not lead away from it.
    assert ben.number_input(key="place").value == 1
    assert ben.button(key="walk_next").disabled and "ArrowRight" not in ahead[-1][1]
    ana.button(key="walk_next").click().run()
    ben.run()
    assert ben.number_input(key="place").value == 2
    name = neutral_name(walk.cases[1].study_id)
    assert any(button.key.startswith(f"enter_{name}") for button in ben.button)
    ben.toggle(key="following").set_value(False).run()
    ben.button(key="walk_next").click().run()
    assert ben.number_input(key="place").value == 3 and "ArrowRight" in ahead[-1][1]
    ben.button(key="take_lead").click().run()
    ana.run()
    assert "Ben leads" in words(ana) and ana.button(key="take_lead").label == "Take the lead from Ben"
    assert read_status(store, walk, "Ben").moves_all and not read_status(store, walk, "Ana").moves_all


def test_a_field_that_the_browser_sends_late_moves_nobody(workspace, films):
    """Until the browser has drawn a new place, it sends the one before with every message."""
    walk = make()
    ana = open_as("Ana")
    ana.button(key="take_lead").click().run()
    ana.button(key="walk_next").click().run()
    ana.number_input(key="place").set_value(1).run()
    assert ana.number_input(key="place").value == 2 and read_state(open_store(), walk).place == 2
    ana.number_input(key="place").set_value(3)
    ana.button(key="place_go").click().run()
    assert ana.number_input(key="place").value == 3 and read_state(open_store(), walk).place == 3


def test_a_place_beyond_the_last_is_named_and_the_nearest_is_one_click_away(workspace, films):
    make()
    app = open_as("Ben", place="9")
    assert "names the case &#x27;9&#x27;" in words(app) and app.number_input(key="place").value == 1
    app.button(key="address_near_place").click().run()
    assert app.number_input(key="place").value == 3 and not app.exception


def test_alone_each_goes_on_at_an_own_pace_and_entries_know_their_round(workspace, films):
    walk = make(alone_first=True, show_names=False)
    store = open_store()
    first = walk.cases[0].study_id
    ben = open_page("walkthroughs")
    ben.button(key=f"open_{walk.id}").click().run()
    assert ben.query_params["walk"] == "Monday" and ben.selectbox(key="walk").value == "Monday"
    ben = open_as("Ben")
    ben.button(key=f"enter_{neutral_name(first)}_normal").click().run()
    assert ben.number_input(key="place").value == 2 and "Missed" not in words(ben)
    assert "Finished: 0 of 1." in words(ben)
    # Another browser of Ben, whose name the page gets in its second run, opens the first case that Ben has not read.
    assert open_as("Ben").number_input(key="place").value == 2
    take_lead(store, walk, "Ana")
    start_together(store, walk, "Ana")
    ben.run()
    ben.button(key="walk_previous").click().run()
    ben.button(key=f"enter_{neutral_name(first)}_label_wrong").click().run()
    entries = entries_table(store)
    assert entries["round"].tolist() == ["alone", "together"] and entries["blind"].tolist() == [True, False]


def test_the_status_counts_who_is_expected(workspace):
    walk = make(seconds=60)
    store, study = open_store(), walk.cases[0].study_id
    for reader in ("Ana", "Ben", "Cleo"):
        report_presence(store, walk.id, reader, 1, True)
    take_lead(store, walk, "Ana")

    def status() -> Status:
        return read_status(store, walk, "Cleo")

    def answer(reader: str, on: str = study) -> None:
        entry = Verdict("demo", on, reader, reading="normal", walkthrough_id=walk.id, round="together")
        add_verdict(store, entry)

    assert "Ana leads, case 1. Answered: 0 of 2." in status_text(status(), walk, 1)
    answer("ben")
    assert "Answered: 1 of 2 (ben)." in status_text(status(), walk, 1) and not status().all_answered(study)
    answer("Cleo")
    assert status().all_answered(study)
    # A lead who has answered once reads too.
    answer("Ana", walk.cases[1].study_id)
    assert "Answered: 2 of 3" in status_text(status(), walk, 1) and not status().all_answered(study)
    assert "of 1:00: " in status_text(status(), walk, 1) and "then 2 cases in 2:00" in status_text(status(), walk, 1)
