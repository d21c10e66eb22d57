"""Entries are stored as they were entered, and are never changed or removed."""

import pandas as pd
import pytest

from core.review.in_force import with_in_force
from core.review.readers import list_reviewers
from core.review.store import (
    add_verdict,
    add_verdict_once,
    entries_table,
    latest_entry,
    latest_sequence,
    undo_entry,
    undo_latest,
    verdicts_table,
)
from core.review.vocabulary import VERDICTS, Verdict
from tests.refusals import refused

HOSTILE = (
    "<script>alert('x')</script><img src=x onerror=alert(1)> \"quoted\", 'Robert'); DROP TABLE verdicts;--\r\n\tß 骨 🦴"
)


def entry(study: str = "s1", reviewer: str = "Ana", verdict: str = "true_miss", **more) -> Verdict:
    return Verdict("demo", study, reviewer, verdict, **{"given_label": 1.0, **more})


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_is_read_as_it_was_entered(store, verdict):
    sent = entry(
        verdict=verdict, subtype="fracture", confidence="high", note=HOSTILE, image_id="a/1.png", view="lateral",
        score_visible=False, checkpoint="net@12345678", threshold=0.1 + 0.2, score=1 / 3, walkthrough_id=None,
    )  # fmt: skip
    kept = add_verdict(store, sent)
    row = verdicts_table(store).iloc[0]
    for name in ("id", "study_id", "reviewer", "verdict", "subtype", "confidence", "note", "image_id", "view"):
        assert row[name] == getattr(sent, name)
    assert (row["threshold"], row["score"], row["given_label"]) == (sent.threshold, sent.score, 1.0)
    assert not row["score_visible"] and row["label_visible"] and not row["blind"]
    assert row["sequence"] == kept.sequence == latest_sequence(store)


def test_the_read_that_follows_from_a_verdict(store):
    expected = {
        ("true_miss", 1.0): "abnormal",
        ("true_miss", 0.0): "normal",
        ("label_wrong", 1.0): "normal",
        ("label_wrong", 0.0): "abnormal",
        ("cannot_tell", 1.0): "unreadable",
        ("poor_image", None): "unreadable",
        ("out_of_scope", 0.0): "out_of_scope",
    }
    for place, (verdict, label) in enumerate(expected):
        add_verdict(store, entry(f"s{place}", verdict=verdict, given_label=label))
    assert verdicts_table(store)["read"].tolist() == list(expected.values())


def test_undo_is_a_new_entry_and_the_earlier_verdict_is_in_force_again(store):
    add_verdict(store, entry(verdict="true_miss"))
    second = add_verdict(store, entry(verdict="label_wrong"))
    assert verdicts_table(store)["verdict"].tolist() == ["label_wrong"]
    back = undo_entry(store, second.id, " ana ")
    assert verdicts_table(store)["verdict"].tolist() == ["true_miss"]
    assert verdicts_table(store, history=True)["action"].tolist() == ["verdict", "verdict", "undo"]
    with refused("entry-superseded", second.id):
        undo_entry(store, second.id, "Ana")
    undo_entry(store, back.id, "Ana")
    assert verdicts_table(store)["verdict"].tolist() == ["label_wrong"]


def test_readers_cannot_undo_entries_of_others(store):
    kept = add_verdict(store, entry())
    with refused("entry-not-own", "another reviewer", "'Ana'"):
        undo_entry(store, kept.id, "Ben")
    assert len(verdicts_table(store)) == 1


def test_spellings_of_a_name_are_one_reader(store):
    add_verdict(store, entry("s1", "Ana Ruiz"))
    add_verdict(store, entry("s2", "  ana   RUIZ "))
    assert list_reviewers(store) == ["Ana Ruiz"]
    assert set(verdicts_table(store)["reviewer"]) == {"Ana Ruiz"}


def test_a_repeated_entry_is_stored_once_and_a_different_one_of_its_id_is_refused(store):
    sent = entry()
    assert add_verdict(store, sent) == add_verdict(store, sent)
    with refused("entry-differs"):
        add_verdict(store, entry(id=sent.id, verdict="label_wrong"))
    assert verdicts_table(store, history=True)["verdict"].tolist() == ["true_miss"]


@pytest.mark.parametrize(
    ("wrong", "code", "figure"),
    [
        (entry(note="n" * 100_000), "text-too-long", "100,000 characters; expected at most 4,000"),
        (entry(verdict="maybe"), "verdict-value-unknown", "'maybe'"),
        (entry(verdict=""), "verdict-empty", "true_miss"),
        (entry(reviewer="  "), "text-missing", "reviewer's name"),
        (entry(reviewer="r" * 200), "text-too-long", "200 characters"),
        (entry(given_label=0.5), "verdict-number-invalid", "0.5"),
        (entry(verdict="label_wrong", given_label=None), "verdict-without-label", "label_wrong"),
        (entry(reading="normal"), "verdict-contradicts-reading", "normal"),
        (entry(note="a\0b"), "text-not-storable", "note"),
        (entry(note="\ud800"), "text-not-storable", "note"),
        (entry(score=float("inf")), "verdict-number-invalid", "inf"),
        (entry(study=""), "text-missing", "study_id"),
        (entry(subtype="break"), "verdict-value-unknown", "'break'"),
    ],
)
def test_an_invalid_entry_is_refused_in_one_line_and_not_stored(store, wrong, code, figure):
    add_verdict(store, entry("before"))
    with refused(code, figure) as raised:
        add_verdict(store, wrong)
    assert len(str(raised.value)) < 400
    assert verdicts_table(store, history=True)["study_id"].tolist() == ["before"]


def test_filters_and_earlier_states(store):
    first = add_verdict(store, entry("s1", "Ana"))
    add_verdict(store, entry("s1", "Ben", "label_wrong"))
    add_verdict(store, Verdict("other", "s1", "Ben", reading="normal", score_visible=False, label_visible=False))
    assert verdicts_table(store, "demo", reviewer="BEN")["verdict"].tolist() == ["label_wrong"]
    assert verdicts_table(store, upto=first.sequence)["reviewer"].tolist() == ["Ana"]
    assert verdicts_table(store, "other")["blind"].tolist() == [True]
    assert isinstance(verdicts_table(store, "empty"), pd.DataFrame) and verdicts_table(store, "empty").empty


def test_a_key_press_reported_twice_is_one_entry(store):
    first = add_verdict_once(store, entry(id="press 1", note="typed"))
    # The page has cleared the note after storing the entry.
    assert add_verdict_once(store, entry(id="press 1", note="")) == first
    assert verdicts_table(store, history=True)["note"].tolist() == ["typed"]


def test_a_repeated_press_after_a_change_adds_nothing(store):
    first = add_verdict_once(store, entry(id="press 1"))
    add_verdict_once(store, entry(id="press 2", verdict="label_wrong"))
    assert add_verdict_once(store, entry(id="press 1")) == first
    assert verdicts_table(store)["verdict"].tolist() == ["label_wrong"]
    undo_latest(store, "demo", "Ana", "press 3")
    # Also on another study: an id is of one press, and a press is of one study.
    assert add_verdict_once(store, entry("s9", id="press 2")).id == "press 2"
    assert len(entries_table(store)) == 3 and set(entries_table(store)["study_id"]) == {"s1"}


def test_an_undo_reported_twice_undoes_one_entry(store):
    for study in ("s1", "s2"):
        add_verdict(store, entry(study))
    add_verdict(store, entry("s3", "Ben"))
    assert undo_latest(store, "demo", "ANA", "press 1") == undo_latest(store, "demo", "Ana", "press 1") == "s2"
    assert verdicts_table(store, reviewer="Ana")["study_id"].tolist() == ["s1"]
    assert undo_latest(store, "demo", "Ana", "press 2") == "s1"
    assert undo_latest(store, "demo", "Ana", "press 3") == undo_latest(store, "demo", "Nobody", "press 4") == ""
    assert verdicts_table(store)["reviewer"].tolist() == ["Ben"]


def test_the_latest_entry_in_force_is_found_behind_many_undone_ones(store):
    first = add_verdict(store, entry("s0"))
    for place in range(20):
        undo_entry(store, add_verdict(store, entry(f"s{place}")).id, "Ana")
    assert latest_entry(store, "demo", "Ana") == (first.id, "s0")
    assert latest_entry(store, "other", "Ana") is None


def test_entries_read_in_parts_give_the_same_table(store):
    add_verdict(store, entry("s1"))
    before = latest_sequence(store)
    undo_entry(store, add_verdict(store, entry("s1", verdict="label_wrong")).id, "Ana")
    parts = [entries_table(store, "demo", upto=before), entries_table(store, "demo", after=before)]
    table = with_in_force(pd.concat(parts, ignore_index=True))
    pd.testing.assert_frame_equal(table, verdicts_table(store, "demo", history=True))
