"""Agreement of readers, and the queue of studies they disagree on."""

import numpy as np
import pandas as pd
import pytest

from core.review.agreement import agreement_table, disagreements, latest_reads, pair_table
from core.review.store import add_verdict, undo_entry, verdicts_table
from core.review.vocabulary import Verdict

STUDIES = pd.DataFrame(
    {"study_id": [f"s{n}" for n in range(40)], "bone": ["hand", "wrist"] * 20, "group_id": [f"p{n}" for n in range(40)]}
)


def read(store, study: str, reviewer: str, value: str, **more):
    words = {"reading": value} if value in ("abnormal", "normal") else {"verdict": value}
    return add_verdict(store, Verdict("demo", study, reviewer, **words, **more))


def filled(store, readers: int):
    random = np.random.default_rng(0)
    truth = random.random(40) < 0.5
    for reader in range(readers):
        seen = np.where(random.random(40) < 0.8, truth, ~truth)
        for place, abnormal in enumerate(seen):
            read(store, f"s{place}", f"reader {reader}", "abnormal" if abnormal else "normal")
    return latest_reads(verdicts_table(store, "demo"))


@pytest.fixture
def url(workspace):
    return f"sqlite:///{workspace}/review.sqlite"


def test_two_readers_get_cohens_and_three_fleiss_kappa_by_bone(store):
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    reads = filled(store, 3)
    table = agreement_table(reads, STUDIES).set_index("bone")
    counts = pd.crosstab(reads["study_id"], reads["read"])
    hands = counts.loc[STUDIES.loc[STUDIES["bone"] == "hand", "study_id"]]
    assert list(table.index) == ["all", "hand", "wrist"] and (table["statistic"] == "Fleiss").all()
    assert table.at["all", "kappa"].value == pytest.approx(inter_rater.fleiss_kappa(counts.to_numpy()))
    assert table.at["hand", "kappa"].value == pytest.approx(inter_rater.fleiss_kappa(hands.to_numpy()))
    two = reads[reads["reviewer"] != "reader 2"]
    table = agreement_table(two, STUDIES).set_index("bone")
    wide = two.pivot(index="study_id", columns="reviewer", values="read")
    wanted = inter_rater.cohens_kappa(pd.crosstab(wide["reader 0"], wide["reader 1"]).to_numpy())
    assert table.at["all", "statistic"] == "Cohen"
    assert table.at["all", "kappa"].value == pytest.approx(wanted.kappa)
    assert table.at["all", "kappa"].low == pytest.approx(wanted.kappa_low)
    assert table.at["all", "raw"].value == pytest.approx((wide["reader 0"] == wide["reader 1"]).mean())
    pairs = pair_table(reads)
    assert len(pairs) == 3 and (pairs["studies"] == 40).all()
    first = pairs[(pairs["first"] == "reader 0") & (pairs["second"] == "reader 1")].iloc[0]
    assert first["kappa"].value == pytest.approx(wanted.kappa)


def test_differing_reads_are_queued_until_a_third_reader_decides(store):
    read(store, "s1", "Ana", "abnormal")
    read(store, "s1", "Ben", "normal")
    read(store, "s2", "Ana", "abnormal")
    read(store, "s2", "Ben", "abnormal")
    last = read(store, "s3", "Ben", "cannot_tell")
    read(store, "s3", "Ana", "normal")
    queue = disagreements(verdicts_table(store, "demo"))
    assert queue["study_id"].tolist() == ["s1", "s3"]
    assert queue["reads"].iloc[0] == "Ana: abnormal; Ben: normal"
    decision = read(store, "s1", "Cleo", "abnormal", kind="adjudication")
    undo_entry(store, last.id, "Ben")
    assert disagreements(verdicts_table(store, "demo")).empty
    undo_entry(store, decision.id, "Cleo")
    assert disagreements(verdicts_table(store, "demo"))["study_id"].tolist() == ["s1"]
    read(store, "s1", "Ben", "abnormal")
    assert disagreements(verdicts_table(store, "demo")).empty


def test_blind_reads_are_counted_separately(store):
    read(store, "s1", "Ana", "abnormal", score_visible=False, label_visible=False)
    read(store, "s1", "Ana", "normal")
    verdicts = verdicts_table(store, "demo")
    assert latest_reads(verdicts)["read"].tolist() == ["normal"]
    assert latest_reads(verdicts, blind=True)["read"].tolist() == ["abnormal"]


def test_without_reads_everything_is_empty_with_a_reason(store):
    nothing = latest_reads(verdicts_table(store, "demo"))
    assert agreement_table(nothing, STUDIES)["kappa"].iloc[0].why
    assert pair_table(nothing).empty and disagreements(verdicts_table(store, "demo")).empty
