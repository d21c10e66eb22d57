"""What was entered is there, as it was entered, and nothing ever takes it away."""

import pandas as pd
import pytest

from core.errors import OverreadError
from core.review.store import (
    add_verdict,
    add_verdict_once,
    entries_table,
    latest_entry,
    latest_sequence,
    list_reviewers,
    undo_entry,
    undo_latest,
    verdicts_table,
    with_in_force,
)
from core.review.vocabulary import VERDICTS, Verdict

HOSTILE = (
    "<script>alert('x')</script><img src=x onerror=alert(1)> \"quoted\", 'Robert'); DROP TABLE verdicts;--\r\n\tß 骨 🦴"
)


def entry(study: str = "s1", reviewer: str = "Ana", verdict: str = "true_miss", **more) -> Verdict:
    return Verdict("demo", study, reviewer, verdict, **{"given_label": 1.0, **more})


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_comes_back_as_it_was_entered(store, verdict):
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


def test_what_a_verdict_says_of_the_study(store):
    said = {
        ("true_miss", 1.0): "abnormal",
        ("true_miss", 0.0): "normal",
        ("label_wrong", 1.0): "normal",
        ("label_wrong", 0.0): "abnormal",
        ("cannot_tell", 1.0): "unreadable",
        ("poor_image", None): "unreadable",
        ("out_of_scope", 0.0): "out_of_scope",
    }
    for place, (verdict, label) in enumerate(said):
        add_verdict(store, entry(f"s{place}", verdict=verdict, given_label=label))
    assert verdicts_table(store)["read"].tolist() == list(said.values())


def test_undo_is_a_new_entry_and_the_verdict_before_holds_again(store):
    add_verdict(store, entry(verdict="true_miss"))
    second = add_verdict(store, entry(verdict="label_wrong"))
    assert verdicts_table(store)["verdict"].tolist() == ["label_wrong"]
    back = undo_entry(store, second.id, " ana ")
    assert verdicts_table(store)["verdict"].tolist() == ["true_miss"]
    assert verdicts_table(store, history=True)["action"].tolist() == ["verdict", "verdict", "undo"]
    with pytest.raises(OverreadError, match="already taken back"):
        undo_entry(store, second.id, "Ana")
    undo_entry(store, back.id, "Ana")
    assert verdicts_table(store)["verdict"].tolist() == ["label_wrong"]


def test_nobody_takes_back_what_another_reader_said(store):
    kept = add_verdict(store, entry())
    with pytest.raises(OverreadError, match="another reviewer"):
        undo_entry(store, kept.id, "Ben")
    assert len(verdicts_table(store)) == 1


def test_one_reader_however_the_name_is_typed(store):
    add_verdict(store, entry("s1", "Ana Ruiz"))
    add_verdict(store, entry("s2", "  ana   RUIZ "))
    assert list_reviewers(store) == ["Ana Ruiz"]
    assert set(verdicts_table(store)["reviewer"]) == {"Ana Ruiz"}


def test_the_same_entry_sent_twice_is_kept_once_and_another_under_its_id_is_refused(store):
    sent = entry()
    assert add_verdict(store, sent) == add_verdict(store, sent)
    with pytest.raises(OverreadError, match="never changed"):
        add_verdict(store, entry(id=sent.id, verdict="label_wrong"))
    assert verdicts_table(store, history=True)["verdict"].tolist() == ["true_miss"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (entry(note="n" * 100_000), "100,000 characters; expected 4,000 or fewer.*not kept"),
        (entry(verdict="maybe"), "expected one of true_miss"),
        (entry(verdict=""), "says nothing"),
        (entry(reviewer="  "), "reviewer's name is empty"),
        (entry(reviewer="r" * 200), "200 characters"),
        (entry(given_label=0.5), "expected 1 .abnormal., 0"),
        (entry(verdict="label_wrong", given_label=None), "has none"),
        (entry(reading="normal"), "contradict"),
        (entry(note="a\0b"), "cannot be stored"),
        (entry(note="\ud800"), "cannot be stored"),
        (entry(score=float("inf")), "finite"),
        (entry(study=""), "study_id is empty"),
        (entry(subtype="break"), "expected one of fracture"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence_and_nothing_is_kept(store, wrong, said):
    add_verdict(store, entry("before"))
    with pytest.raises(OverreadError, match=said) as refused:
        add_verdict(store, wrong)
    assert len(str(refused.value)) < 400
    assert verdicts_table(store, history=True)["study_id"].tolist() == ["before"]


def test_filters_and_how_it_stood_before(store):
    first = add_verdict(store, entry("s1", "Ana"))
    add_verdict(store, entry("s1", "Ben", "label_wrong"))
    add_verdict(store, Verdict("other", "s1", "Ben", reading="normal", score_visible=False, label_visible=False))
    assert verdicts_table(store, "demo", reviewer="BEN")["verdict"].tolist() == ["label_wrong"]
    assert verdicts_table(store, upto=first.sequence)["reviewer"].tolist() == ["Ana"]
    assert verdicts_table(store, "other")["blind"].tolist() == [True]
    assert isinstance(verdicts_table(store, "empty"), pd.DataFrame) and verdicts_table(store, "empty").empty


def test_a_press_that_is_told_twice_is_one_entry(store):
    first = add_verdict_once(store, entry(id="press 1", note="typed"))
    # The note was cleared meanwhile, as the page does once an entry is kept.
    assert add_verdict_once(store, entry(id="press 1", note="")) == first
    assert verdicts_table(store, history=True)["note"].tolist() == ["typed"]


def test_a_press_that_says_again_what_was_changed_meanwhile_is_an_entry_of_its_own(store):
    add_verdict_once(store, entry(id="press 1"))
    add_verdict_once(store, entry(id="press 2", verdict="label_wrong"))
    add_verdict_once(store, entry(id="press 1"))
    assert verdicts_table(store)["verdict"].tolist() == ["true_miss"] and len(entries_table(store)) == 3
    undo_latest(store, "demo", "Ana", "press 3")
    add_verdict_once(store, entry(id="press 1"))
    assert verdicts_table(store)["verdict"].tolist() == ["true_miss"] and len(entries_table(store)) == 5


def test_taking_back_the_last_entry_told_twice_takes_back_one(store):
    for study in ("s1", "s2"):
        add_verdict(store, entry(study))
    add_verdict(store, entry("s3", "Ben"))
    assert undo_latest(store, "demo", "ANA", "press 1") == undo_latest(store, "demo", "Ana", "press 1") == "s2"
    assert verdicts_table(store, reviewer="Ana")["study_id"].tolist() == ["s1"]
    assert undo_latest(store, "demo", "Ana", "press 2") == "s1"
    assert undo_latest(store, "demo", "Ana", "press 3") == undo_latest(store, "demo", "Nobody", "press 4") == ""
    assert verdicts_table(store)["reviewer"].tolist() == ["Ben"]


def test_the_last_standing_entry_is_found_behind_many_that_were_taken_back(store):
    first = add_verdict(store, entry("s0"))
    for place in range(20):
        undo_entry(store, add_verdict(store, entry(f"s{place}")).id, "Ana")
    assert latest_entry(store, "demo", "Ana") == (first.id, "s0")
    assert latest_entry(store, "other", "Ana") is None


def test_entries_read_in_parts_come_to_the_same_table(store):
    add_verdict(store, entry("s1"))
    before = latest_sequence(store)
    undo_entry(store, add_verdict(store, entry("s1", verdict="label_wrong")).id, "Ana")
    parts = [entries_table(store, "demo", upto=before), entries_table(store, "demo", after=before)]
    table = with_in_force(pd.concat(parts, ignore_index=True))
    pd.testing.assert_frame_equal(table, verdicts_table(store, "demo", history=True))
