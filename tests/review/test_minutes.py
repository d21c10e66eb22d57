"""The minutes: figures in words, reads before and after, time per case, one escaped page, and a guarded table."""

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from core.review.actions import Action
from core.review.minutes import (
    Change,
    MinutedCase,
    MinutedFilm,
    Minutes,
    Read,
    ReaderBox,
    changes_of_list,
    changes_of_split,
    decision_words,
    share_words,
    time_per_case,
)
from core.review.minutes_page import minutes_csv, minutes_html
from core.review.reading_state import ALONE, TOGETHER
from core.review.rounds import change_words, reads_by_round
from core.review.store import add_verdict, entries_table, undo_entry
from core.review.threshold_meeting import Decision
from core.review.vocabulary import Verdict
from core.review.walkthroughs import Walkthrough, WalkthroughCase

HOSTILE = "<script>alert(1)</script>"
WALK = Walkthrough("w", f"Monday {HOSTILE}", "demo", "Ana", "2026-11-27", 1, "", (WalkthroughCase("s0"),) * 3)


def test_reads_before_and_after_are_those_of_each_reader_in_each_round(store):
    def enter(reader, study, reading, round_, blind=False, **more):
        entry = Verdict(
            "demo", study, reader, reading=reading, round=round_, walkthrough_id="w", score_visible=not blind,
            label_visible=not blind, **more,
        )  # fmt: skip
        return add_verdict(store, entry)

    enter("Ana", "s0", "normal", ALONE, True, note="faint line")
    enter("Ana", "s0", "abnormal", ALONE, True)
    enter("Ana", "s0", "normal", TOGETHER)
    enter("Ben", "s0", "abnormal", TOGETHER, True)
    enter("Ben", "s0", "normal", TOGETHER)
    enter("Cleo", "s0", "abnormal", TOGETHER, True)
    undone = enter("Dora", "s0", "abnormal", ALONE, True)
    undo_entry(store, undone.id, "Dora")
    enter("Eve", "s0", "normal", TOGETHER, kind="adjudication")
    found = reads_by_round(entries_table(store, walkthrough_id="w")).set_index("reviewer")
    assert found["before"].to_dict() == {"Ana": "abnormal", "Ben": "abnormal", "Cleo": ""}
    assert found["after"].to_dict() == {"Ana": "normal", "Ben": "normal", "Cleo": "abnormal"}
    assert found.at["Ana", "note"] == "faint line"
    enter("Cleo", "s1", "normal", TOGETHER)
    enter("ana", "s1", "normal", TOGETHER)
    ordered = reads_by_round(entries_table(store, walkthrough_id="w"))[["study_id", "reviewer"]].to_numpy().tolist()
    assert ordered == [["s0", "Ana"], ["s0", "Ben"], ["s0", "Cleo"], ["s1", "Ana"], ["s1", "Cleo"]]
    assert change_words("abnormal", "normal") == "abnormal, then normal"
    assert change_words("normal", "normal") == "normal" and change_words("", "out_of_scope") == "out of scope"


@pytest.mark.parametrize(
    ("hits", "count", "words"),
    [
        (0, 0, "Sensitivity cannot be estimated: no abnormal study."),
        (0, 1, "Sensitivity cannot be estimated from one abnormal study."),
        (1, 2, "1 of 2 abnormal studies was found; fewer than 10 give no interval."),
        (15, 20, "75.0% (53.1-88.8), n = 20."),
    ],
)
def test_a_share_is_in_words_where_a_figure_would_mislead(hits, count, words):
    assert share_words("Sensitivity", hits, count, "abnormal", "found") == words


def test_a_decision_takes_the_place_of_the_label():
    table = pd.DataFrame(
        {
            "study_id": ["a", "b", "c", "d"],
            "label": ["abnormal", "abnormal", "normal", "normal"],
            "score": [0.9, 0.2, 0.8, np.nan],
            "adjudicated": ["", "normal", "abnormal", ""],
        }
    )
    sensitivity, specificity = changes_of_list(table, 0.5)
    assert sensitivity.before.startswith("1 of 2 abnormal studies was found")
    assert sensitivity.after.startswith("2 of 2 abnormal studies were found")
    assert "from one normal study" in specificity.before and "from one normal study" in specificity.after
    # An unreadable case is left out.
    left = changes_of_list(table.assign(adjudicated=["unreadable", "normal", "", ""]), 0.5)[0]
    assert left.after == "Sensitivity cannot be estimated: no abnormal study."
    studies = pd.DataFrame({"study_id": list("abcd"), "label": [1.0, 1.0, 0.0, 0.0], "score": [0.9, 0.2, 0.8, 0.1]})
    whole = changes_of_split(studies, table, 0.5)[1]
    assert whole.before.startswith("1 of 2 normal studies was cleared")
    assert whole.after.startswith("2 of 2 normal studies were cleared")


def test_the_time_of_a_case_is_what_the_lead_had_it_open():
    steps = pd.DataFrame(
        [
            ("lead", 1, ALONE, "2026-11-27T10:00:00.000000+00:00"),
            ("together", 1, TOGETHER, "2026-11-27T10:10:00.000000+00:00"),
            ("reveal", 1, TOGETHER, "2026-11-27T10:11:00.000000+00:00"),
            ("move", 2, TOGETHER, "2026-11-27T10:12:30.000000+00:00"),
            ("move", 1, TOGETHER, "2026-11-27T10:13:00.500000+00:00"),
            ("finish", 1, TOGETHER, "2026-11-27T10:13:10.500000+00:00"),
        ],
        columns=["kind", "place", "round", "created"],
    )
    walk = replace(WALK, cases=(WalkthroughCase("s0"), WalkthroughCase("s1")))
    assert time_per_case(steps, walk) == {"s0": 160.0, "s1": 30.5}
    assert time_per_case(steps.iloc[:1], walk) == {}


def test_a_decision_on_the_threshold_has_its_figures_and_its_reason():
    figures = {"tp": 18, "fn": 2, "tn": 1, "fp": 0, "cost_in_words": "Of 100 studies, 24 are called abnormal."}
    view = {"split": "tune", "source": {"digest": "d"}}
    decision = Decision(
        "demo", view, 0.431, ("Ana", HOSTILE), {"Ben": 0.4}, "Misses cost more.", figures, "Ana", "abc", "2026-11-27T10"
    )
    what, at, who = decision_words(decision)
    assert what == "Decided on 2026-11-27 by Ana: threshold 0.431, operating point abc. Reason: Misses cost more."
    assert "Sensitivity: 90.0% (69.9-97.2), n = 20." in at and "cannot be estimated from one normal study" in at
    assert at.endswith("24 are called abnormal.") and who == f"Present: Ana, {HOSTILE}. Proposed: Ben 0.400."
    assert HOSTILE not in minutes_html(minutes(thresholds=(what, at, who)))


def minutes(**more) -> Minutes:
    film = MinutedFilm("View 1", "data:image/jpeg;base64,AA==", 0.25, True, (ReaderBox(HOSTILE, 0.1, 0.2, 0.3, 0.5),))
    case = MinutedCase(
        1, f"a/{HOSTILE}", "hand", HOSTILE, "abnormal", 0.25, "Missed", "chosen", 1.0,
        (film, MinutedFilm("View 2", "", None, False)),
        (Read(HOSTILE, "normal", "abnormal", "=SUM(A1)"), Read("Ben", "normal", "normal", "")), "abnormal",
        "label confirmed", 95.0,
    )  # fmt: skip
    values = {
        "walkthrough": WALK, "facts": (("Scores", HOSTILE),), "participants": ("Ben", HOSTILE), "cases": (case,),
        "changes": {"The 1 case": (Change("Sensitivity", HOSTILE, "after"),)}, "remarks": (HOSTILE,),
        "thresholds": (HOSTILE,), "actions": (Action("x", HOSTILE, HOSTILE, "", "Ana", "2026"),),
    }  # fmt: skip
    return Minutes(**{**values, **more})


def test_the_page_needs_no_network_and_names_are_never_markup():
    page = minutes_html(minutes(hidden=2))
    assert "<script" not in page and page.count("&lt;script&gt;") >= 12
    assert not re.search(r"(?:src|href)=\"(?!data:)|url\(|@import|<link", page)
    assert "left:10.00%;top:20.00%;width:20.00%;height:30.00%" in page and "drove the score" in page
    assert "cannot be decoded" in page and "1:35 min" in page and "2 cases left out: still read blind" in page
    # A study may break after a slash, and no word is broken elsewhere.
    assert "a/<wbr>" in page and "break-all" not in page and "overflow-wrap: anywhere" not in page
    assert page.count('class="changed"') == 1


def test_the_table_has_a_row_for_each_reader_and_guards_formulas():
    rows = list(csv.DictReader(io.StringIO(minutes_csv(minutes()), newline="")))
    assert [row["reader"] for row in rows] == [HOSTILE, "Ben"] and rows[0]["note"] == "'=SUM(A1)"
    assert (rows[0]["before"], rows[0]["after"], rows[0]["boxes"], rows[1]["boxes"]) == ("normal", "abnormal", "1", "0")
    unread = replace(minutes().cases[0], reads=(), seconds=None)
    (row,) = csv.DictReader(io.StringIO(minutes_csv(minutes(cases=(unread,))), newline=""))
    assert row["study_id"] == f"a/{HOSTILE}" and row["reader"] == ""
    assert "<p>None.</p>" in minutes_html(minutes(actions=())) and "Not read." in minutes_html(minutes(cases=(unread,)))
