"""Operating points: an altered digit is refused, a point applies to its own scores only, and is verified elsewhere."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from core.errors import OverreadError
from core.metrics.counts import counts_at, counts_table
from core.metrics.studies import study_table
from core.metrics.thresholds import ThresholdChoice
from core.scores import operating_points as op
from core.scores.decisions import decisions
from core.scores.halves import DataSplit
from core.scores.import_frame import Columns
from core.scores.loading import split_scores
from core.scores.operating_point_checks import check_applies, check_fresh
from core.scores.patient_overlap import shared_sentence
from core.scores.source import find_source
from core.scores.threshold_in_use import threshold_in_use
from core.scores.verification_log import LOOKS, record_verification, verifications
from core.scores.view import View
from core.workflows.import_scores import import_scores
from core.workflows.thresholds import Criterion, choose_threshold
from core.workflows.verify import verify
from tests.refusals import refused

REFUSALS = ("operating-points-broken-chain", "operating-point-altered", "operating-points-unreadable")


@pytest.fixture
def scored(tmp_path, workspace):
    """400 studies of 200 patients, half of them in the split tune, half in test."""
    random = np.random.default_rng(0)
    label = random.integers(0, 2, 400)
    frame = pd.DataFrame({"y": label, "p": random.beta(2 + 2 * label, 4 - 2 * label).round(4)})
    frame["study"], frame["patient"] = np.arange(400), np.arange(400) % 200
    frame["split"] = np.where(frame["patient"] < 100, "tune", "test")
    frame.to_csv(tmp_path / "scores.csv", index=False)
    columns = Columns("y", "p", study="study", patient="patient", split="split")
    import_scores(tmp_path / "scores.csv", "other", columns)
    return find_source("other")


def locked(source, rule="sensitivity>=0.8", aggregation="mean", author="Ada"):
    return op.lock(choose_threshold(View(source, "", aggregation=aggregation), Criterion(rule)), author, "first")


def test_a_point_records_everything_it_depends_on_and_reads_back(scored):
    point = locked(scored)
    assert op.read_points(scored) == [point] and op.find_point(scored) == point
    assert (point.split, point.reference, point.digest) == ("tune", scored.reference, scored.digest)
    assert (point.rule, point.bound, point.aggregation) == ("sensitivity>=0.8", "wilson", "mean")
    assert (point.author, point.note, point.precision) == ("Ada", "first", "as imported")
    assert point.date and point.figures["tp"] + point.figures["fn"] == point.figures["n_abnormal"]
    assert point.threshold_high is None and len(point.hash) == 64


def test_points_are_only_appended(scored):
    first, second = locked(scored), locked(scored, "youden", author="Ben")
    assert op.read_points(scored) == [first, second] and second.previous == first.hash
    assert op.find_point(scored, first.id[:6]) == first and op.find_point(scored, "latest") == second
    with refused("operating-point-unknown", "ffff"):
        op.find_point(scored, "ffff")


def test_any_digit_altered_by_hand_is_refused(scored):
    """Every digit of the file, even the 17th of a number, which may not change the number that is read."""
    locked(scored)
    file = scored.folder / op.POINTS
    text = file.read_text()
    places = [found.start() for found in re.finditer(r"\d", text)]
    assert len(places) > 800
    for place in places:
        file.write_text(text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :])
        with pytest.raises(OverreadError) as error:
            op.read_points(scored)
        assert error.value.code in REFUSALS
    file.write_text(text)
    assert len(op.read_points(scored)) == 1


@pytest.mark.parametrize("field", [*op.SEALED, "hash", "id"])
def test_any_field_altered_by_hand_is_named(scored, field):
    locked(scored)
    file = scored.folder / op.POINTS
    content = json.loads(file.read_text())
    content["points"][0][field] = "something else"
    file.write_text(json.dumps(content))
    with refused("operating-point-altered", field):
        op.read_points(scored)
    with refused("operating-point-altered"):
        locked(scored)
    assert json.loads(file.read_text()) == content  # what was there is left for the person to look at


def test_points_locked_at_the_same_moment_are_all_kept(scored):
    with ThreadPoolExecutor(4) as pool:
        points = list(pool.map(lambda cost: locked(scored, f"cost={cost}"), range(1, 9)))
    assert {point.hash for point in op.read_points(scored)} == {point.hash for point in points}


def test_removed_moved_and_invented_entries_are_refused(scored):
    for rule in ("youden", "cost=2", "cost=3"):
        locked(scored, rule)
    file = scored.folder / op.POINTS
    content = json.loads(file.read_text())
    one, two, three = content["points"]
    for points in ([two, three], [one, three], [two, one, three], [one, two, two], [one, two, {**three, "extra": 1}]):
        file.write_text(json.dumps({**content, "points": points}))
        with pytest.raises(OverreadError) as error:
            op.read_points(scored)
        assert error.value.code in REFUSALS[:2]
    for damage in ("", "[]", '{"format": 2, "points": []}', file.read_text()[:200], '{"format": 1, "points": [3]}'):
        file.write_text(damage)
        with pytest.raises(OverreadError) as error:
            op.read_points(scored)
        assert error.value.code in REFUSALS[1:]


def test_a_rule_without_a_threshold_cannot_be_locked(scored):
    with refused("nothing-to-lock", "99.9%"):
        locked(scored, "sensitivity>=0.999")
    nothing = replace(
        choose_threshold(View(scored, ""), Criterion("youden")),
        choice=ThresholdChoice(np.inf, True, "cost 1", "lowest cost"),
    )
    with refused("nothing-called-abnormal"):
        op.lock(nothing)
    assert op.read_points(scored) == []
    with refused("no-operating-point", scored.name):
        op.find_point(scored)


# ---- applied only where it belongs


def test_other_scores_aggregation_or_precision_are_refused(scored, tmp_path):
    point = locked(scored)
    check_applies(point, scored, "mean", "as imported")
    with refused("point-of-other-scores"):
        check_applies(point, replace(scored, digest="0" * 64))
    with refused("point-of-other-aggregation", "mean", "max"):
        check_applies(point, scored, "max")
    with refused("point-of-other-precision", "float32", "bfloat16"):
        check_applies(replace(point, precision="float32"), scored, "", "bfloat16")
    import_scores(tmp_path / "scores.csv", "other", Columns("y", "p", study="study", split="split"))
    with refused("point-of-other-scores"):
        verify(find_source("other"), "test")


def test_decisions():
    studies = pd.DataFrame({"score": [0.1, 0.3, 0.5, 0.7]})
    point = op.OperatingPoint(*[""] * 8, 0.3, None, *[""] * 8)
    assert decisions(point, studies).tolist() == ["normal", "abnormal", "abnormal", "abnormal"]
    both = replace(point, threshold_high=0.7)
    assert decisions(both, studies).tolist() == ["rule out", "refer", "refer", "rule in"]


# ---- verified elsewhere


def test_both_splits_side_by_side(scored):
    point = locked(scored)
    found = verify(scored, "test")
    studies = study_table(split_scores(scored, split="test")[0])
    at = counts_at(counts_table(studies["score"], studies["label"]), point.threshold)
    assert {name: found["verified"][name] for name in at} == at and found["verified"]["split"] == "test"
    assert found["verified"]["sensitivity"] == at["tp"] / (at["tp"] + at["fn"])
    assert found["chosen"]["split"] == "tune" and found["chosen"]["sensitivity_low"] >= 0.8
    assert found["point"]["threshold"] == point.threshold


def test_earlier_verifications_on_a_split_are_counted(scored):
    locked(scored)
    first = verify(scored, "test")
    assert first["looks_before"] == 0 and first["looked_at"] == "" and first["first_look"] is None
    second = verify(scored, "test")
    assert second["looks_before"] == 1 and "already used for verification once, first on 20" in second["looked_at"]
    locked(scored, "youden")
    third = verify(scored, "test")
    assert "already used for verification 2 times" in third["looked_at"] and third["first_look"] == second["first_look"]


def test_a_point_cannot_be_verified_on_the_studies_it_was_chosen_on(scored, tmp_path):
    locked(scored)
    with refused("verified-on-own-split", "tune"):
        verify(scored, "tune")
    assert not (scored.folder / LOOKS).exists()


def test_the_same_studies_in_a_split_of_another_name_are_recognised(scored):
    point = locked(scored)
    studies = study_table(split_scores(scored, split="tune")[0])
    shuffled = studies.sample(frac=1, random_state=0)
    assert op.studies_hash(shuffled) == point.studies_hash
    with refused("verified-on-own-split"):
        check_fresh(point, DataSplit("elsewhere@00000000", "test"), shuffled)


def test_two_thresholds_are_locked_and_verified(scored):
    point = locked(scored, "rule_out sensitivity>=0.9 rule_in specificity>=0.9")
    assert point.threshold < point.threshold_high
    found = verify(scored, "test")["verified"]
    assert 0 < found["referred"] < 1 and found["at_high"]["threshold"] == point.threshold_high


def test_an_unreadable_verification_log_is_not_taken_for_a_fresh_split(scored):
    locked(scored)
    (scored.folder / LOOKS).write_text("{")
    with refused("verification-log-unreadable"):
        verify(scored, "test")


# ---- locked once, by somebody, and withdrawn with a reason


def test_a_lock_needs_an_author(scored):
    with refused("author-missing"):
        locked(scored, author=" ")
    assert op.read_points(scored) == []


def test_the_same_threshold_cannot_be_locked_twice(scored):
    point = locked(scored)
    with refused("point-duplicate", point.id, "Ada"):
        locked(scored, author="Ben")
    assert op.read_points(scored) == [point]
    op.withdraw(scored, point.id, "wrong prevalence", "Ben")
    again = locked(scored, author="Ben")
    assert again.threshold == point.threshold and op.usable_points(scored) == [again]


def test_a_withdrawn_point_stays_in_the_list_and_nothing_uses_it(scored):
    first, second = locked(scored), locked(scored, "youden")
    ended = op.withdraw(scored, second.id, "the scanner was replaced.", "Ben")
    assert (ended.reason, ended.author, ended.withdraws) == ("the scanner was replaced.", "Ben", second.hash)
    points = op.read_points(scored)
    assert points == [first, replace(second, withdrawn=ended)]
    assert op.find_point(scored) == first and op.usable_points(scored) == [first]
    for use in (
        lambda: op.find_point(scored, second.id),
        lambda: check_applies(points[1], scored),
        lambda: verify(scored, "test", second.id),
        lambda: op.withdraw(scored, second.id, "again", "Ben"),
    ):
        with refused("operating-point-withdrawn", "Ben", "the scanner was replaced"):
            use()
    assert threshold_in_use(scored).point == first
    op.withdraw(scored, first.id, "as well", "Ada")
    with refused("no-operating-point", second.id, "the scanner was replaced"):
        op.find_point(scored)
    assert threshold_in_use(scored).words == "nothing is locked, so 0.5"


def test_a_withdrawal_needs_a_reason_and_an_author(scored):
    point = locked(scored)
    with refused("reason-missing"):
        op.withdraw(scored, point.id, " ", "Ben")
    with refused("author-missing"):
        op.withdraw(scored, point.id, "why", "")
    assert op.usable_points(scored) == [point]


@pytest.mark.parametrize("field", [*op.SEALED_WITHDRAWAL, "hash", "id"])
def test_a_withdrawal_altered_by_hand_is_refused(scored, field):
    op.withdraw(scored, locked(scored).id, "why", "Ben")
    locked(scored, "youden")
    file = scored.folder / op.POINTS
    content = json.loads(file.read_text())
    content["points"][1][field] = "something else"
    file.write_text(json.dumps(content))
    with refused("operating-point-altered", field):
        op.read_points(scored)
    del content["points"][1]
    file.write_text(json.dumps(content))
    with refused("operating-points-broken-chain"):
        op.read_points(scored)


def test_the_threshold_in_use_says_where_it_is_from(scored):
    point = locked(scored)
    here = threshold_in_use(scored, point.dataset, "test")
    assert (here.threshold, here.point) == (point.threshold, point)
    assert here.words == f"operating point {point.id}, chosen on tune of {point.dataset.split('@')[0]}"
    assert threshold_in_use(scored, point.dataset, "tune").words.endswith("so the figures here are too good")
    assert threshold_in_use(scored, "elsewhere@00000000", "tune").words.endswith("which is another data set")
    later = threshold_in_use(scored, f"{point.dataset.split('@')[0]}@00000000", "tune").words
    assert later.endswith(" in another version, so the figures here are too good")
    assert threshold_in_use(scored, aggregation="max").point is None
    locked(scored, "rule_out sensitivity>=0.9 rule_in specificity>=0.9")
    assert threshold_in_use(scored).threshold == 0.5 and "two thresholds" in threshold_in_use(scored).words


def test_another_version_of_the_data_set_may_have_the_studies_a_point_was_chosen_on(scored):
    point = locked(scored)
    others = study_table(split_scores(scored, split="test")[0])
    later = f"{point.dataset.split('@')[0]}@00000000"
    with refused("verified-on-own-split", later):
        check_fresh(point, DataSplit(later, "tune"), others)
    check_fresh(point, DataSplit(later, "test"), others)
    check_fresh(point, DataSplit("elsewhere@00000000", "tune"), others)
    renamed = f"renamed@{point.dataset.split('@')[1]}"
    record_verification(scored, point.id, DataSplit(point.dataset, "test"), {})
    assert len(verifications(scored, DataSplit(renamed, "test"))) == 1
    assert "has changed" in shared_sentence(None, 3, point.chosen_on, DataSplit(later, "test"))
    assert "another data set" in shared_sentence(None, 3, point.chosen_on, DataSplit("elsewhere@00000000", "test"))
