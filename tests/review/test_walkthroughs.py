"""Walkthroughs by several people, and their summary."""

import numpy as np
import pandas as pd

from core.review.store import add_verdict, verdicts_table
from core.review.summary import adjudicated_figures, masked, summary_table
from core.review.vocabulary import Verdict
from core.review.walkthroughs import (
    WalkthroughCase,
    WalkthroughOrigin,
    create_walkthrough,
    list_walkthroughs,
    read_walkthrough,
    revise_walkthrough,
    sample_cases,
)
from tests.refusals import refused

HOSTILE = "<script>alert(1)</script>"
STUDIES = pd.DataFrame(
    {
        "study_id": ["s0", "s1", "s2", HOSTILE],
        "bone": "hand",
        "label": [1.0, 0.0, 1.0, np.nan],
        "score": [0.1, 0.9, 0.8, 0.3],
        "outcome": ["FN", "FP", "TP", ""],
    }
)


def test_a_list_keeps_its_order_its_notes_and_its_older_versions(store):
    cases = [WalkthroughCase("s2", "look at the ulna"), WalkthroughCase("s0"), WalkthroughCase(HOSTILE, HOSTILE)]
    made = create_walkthrough(store, "demo", " Monday ", "Ana", cases, WalkthroughOrigin("missed, wrist"))
    assert (made.name, made.version, made.author, list(made.cases)) == ("Monday", 1, "Ana", cases)
    again = revise_walkthrough(store, made.id, "Ben", cases[::-1], after=1)
    assert (again.version, list(again.cases), again.author) == (2, cases[::-1], "Ana")
    assert list_walkthroughs(store, "demo")["cases"].tolist() == [3]
    with refused("walkthrough-changed", "version 2"):
        revise_walkthrough(store, made.id, "Ana", cases, after=1)
    with refused("walkthrough-exists", "'Monday'"):
        create_walkthrough(store, "demo", "Monday", "Ana", cases)
    with refused("study-repeated", "'s0'"):
        create_walkthrough(store, "demo", "Tuesday", "Ana", [WalkthroughCase("s0"), WalkthroughCase("s0")])
    with refused("walkthrough-size", "0 cases"):
        create_walkthrough(store, "demo", "Tuesday", "Ana", [])
    with refused("walkthrough-missing"):
        read_walkthrough(store, "nowhere")
    assert len(list_walkthroughs(store, "demo")) == 1


def test_random_controls_correct_the_adjudicated_rates():
    """Of 900 agreements 90 labels are wrong; reading only errors would overestimate the model by far."""
    random = np.random.default_rng(0)
    truth = random.random(4000) < 0.4
    called = np.where(random.random(4000) < 0.85, truth, ~truth)
    label = np.where(random.random(4000) < 0.9, truth, ~truth)
    names = np.array([f"s{n}" for n in range(4000)])
    wrong = label != called
    real = (called & truth).sum() / truth.sum()
    weighted, plain = [], []
    for seed in range(30):
        planned = sample_cases(names[wrong].tolist(), names[~wrong].tolist(), 150, 150, seed)
        assert len({case.study_id for case in planned}) == 300
        chosen = np.array([int(case.study_id[1:]) for case in planned])
        table = pd.DataFrame(
            {
                "adjudicated": np.where(truth[chosen], "abnormal", "normal"),
                "score": called[chosen].astype(float),
                "probability": [case.probability for case in planned],
                "stratum": [case.stratum for case in planned],
            }
        )
        found = adjudicated_figures(table, 0.5)
        weighted.append(found["sensitivity"])
        plain.append(found["sensitivity_unweighted"].value)
    values = np.array([figure.value for figure in weighted])
    assert abs(values.mean() - real) < 0.01 and abs(np.mean(plain) - real) > 0.05
    assert np.mean([figure.low <= real <= figure.high for figure in weighted]) > 0.85


def filled(store):
    made = create_walkthrough(
        store, "demo", f"Monday {HOSTILE}", "Ana",
        [WalkthroughCase("s0", HOSTILE), *map(WalkthroughCase, ("s1", "s2", "gone", HOSTILE))],
    )  # fmt: skip
    for study, who, verdict, label in (
        ("s0", "Ana", "label_wrong", 1.0), ("s0", "Ben", "label_wrong", 1.0),
        ("s1", "Ana", "label_wrong", 0.0), ("s1", "Ben", "true_miss", 0.0),
        ("s2", HOSTILE, "poor_image", 1.0),
    ):  # fmt: skip
        add_verdict(store, Verdict("demo", study, who, verdict, given_label=label, note=HOSTILE))
    return made


def test_the_summary_has_an_action_for_every_case(store):
    made = filled(store)
    table = summary_table(made, verdicts_table(store, "demo"), STUDIES)
    assert table["action"].tolist() == [
        "correct the label to normal", "readers differ: a third reader decides", "leave out: unreadable",
        "no longer in the index", "not read",
    ]  # fmt: skip
    assert table["reads"].iloc[1] == "Ana: abnormal; Ben: normal"
    add_verdict(store, Verdict("demo", "s1", "Cleo", reading="normal", kind="adjudication"))
    table = summary_table(made, verdicts_table(store, "demo"), STUDIES)
    assert table["action"].iloc[1] == "label confirmed" and table["reads"].iloc[1].endswith(
        "; decision by Cleo: normal"
    )


def test_a_hidden_case_shows_nothing_of_its_answer(store):
    table = summary_table(filled(store), verdicts_table(store, "demo"), STUDIES)
    done = masked(table, {"s0", HOSTILE})
    assert done.loc[1].equals(table.loc[1]) and done["bone"].tolist() == table["bone"].tolist()
    for place in (0, 4):
        assert done.at[place, "study_id"].startswith("case-") and done.at[place, "action"] == "not revealed yet"
        names = ["label", "outcome", "stratum", "case_note", "reads", "adjudicated", "notes"]
        assert not done.loc[place, names].any() and done.loc[place, ["score", "probability"]].isna().all()
