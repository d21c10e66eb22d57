"""The cases of a walkthrough as they were when it was made, and what differs since."""

import numpy as np
import pandas as pd

from core.review.cases import indexed_cases
from core.review.snapshots import differences, read_snapshot, snapshot_of
from core.review.walkthroughs import WalkthroughCase, WalkthroughOrigin, create_walkthrough

INDEX = pd.DataFrame(
    {
        "image_id": ["a/2", "a/1", "b/1", "c/1"],
        "path": ["a/2.png", "a/1.png", "b/1.png", "c/1.png"],
        "study_id": ["a", "a", "b", "c"],
        "patient_id": ["p", "p", "q", None],
        "group_id": ["p", "p", "q", "c"],
        "bone": "hand",
        "view": [None, "side", None, None],
        "split": "valid",
        "label": [1.0, 1.0, 0.0, np.nan],
        "sha1": ["h0", "h1", "h2", "h3"],
        "width": 4,
        "height": 5,
    }
)


def cases(index=INDEX, **logits):
    scores = index.assign(logit=index["image_id"].map(logits)).dropna(subset="logit")
    return indexed_cases(index, scores.drop(columns=["sha1", "width", "height"]), 0.5)


LOGITS = {"a/2": -1.0, "a/1": 2.0, "b/1": 1.0}


def test_a_snapshot_gives_the_same_cases_with_films_in_their_order(store):
    found = cases(**LOGITS)
    made = create_walkthrough(
        store, "demo", "Monday", "Ana", [WalkthroughCase("c"), WalkthroughCase("a")],
        WalkthroughOrigin(snapshot=snapshot_of(found, ["c", "a", "nobody"])),
    )  # fmt: skip
    then = read_snapshot(store, made.id, 0.5)
    assert sorted(then.table.index) == ["a", "c"] and read_snapshot(store, "nobody", 0.5) is None
    for study in ("a", "c"):
        pd.testing.assert_series_equal(then.table.loc[study], found.table.loc[study], check_dtype=False)
    assert then.views_of("a")["image_id"].tolist() == ["a/2", "a/1"]
    assert then.views_of("a")["logit"].tolist() == [-1.0, 2.0] and np.isnan(then.views_of("c")["logit"].iloc[0])
    assert differences(then, found) == []


def test_what_differs_is_counted_by_study(store):
    made = create_walkthrough(
        store, "demo", "Monday", "Ana", [WalkthroughCase(study) for study in "abc"],
        WalkthroughOrigin(snapshot=snapshot_of(cases(**LOGITS), "abc")),
    )  # fmt: skip
    then = read_snapshot(store, made.id, 0.5)
    assert differences(then, cases(**{**LOGITS, "b/1": -1.0})) == [
        "1 study has another score.", "1 study has another outcome at this threshold.",
    ]  # fmt: skip
    relabelled = INDEX.assign(label=INDEX["label"].where(INDEX["study_id"] != "c", 1.0))
    assert differences(then, cases(relabelled, **LOGITS)) == ["1 study has another label."]
    turned = differences(then, cases(INDEX.iloc[::-1], **LOGITS))
    assert turned == ["1 study has other films, or films in another order."]
    gone = differences(then, cases(INDEX[INDEX["study_id"] == "a"], **LOGITS))
    assert gone == ["2 studies are not in the index any more."]
    assert differences(then, cases())[0] == "2 studies have another score."
