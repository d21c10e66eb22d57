import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from core.metrics.studies import (
    AGGREGATIONS,
    aggregations_of,
    attention_weights,
    labelled,
    own_aggregation,
    study_table,
)
from core.schema import STUDIES, check
from tests.metrics.examples import P, Y, one_view_each, predictions
from tests.oracles import study_score_by_loop
from tests.refusals import refused


def views(shares, labels=None):
    """One study's PREDICTIONS from its probabilities."""
    frame = one_view_each(shares, labels if labels is not None else np.ones(len(shares)))
    return frame.assign(study_id="one", patient_id="one", group_id="one")


def attended(frame):
    """The same PREDICTIONS with attention, as from a network that weights views."""
    return frame.assign(attention=np.random.default_rng(3).normal(0, 2, len(frame)))


@pytest.mark.parametrize(
    ("rule", "score"),
    [("mean", 0.533333), ("max", 0.9), ("noisy_or", 0.96), ("logit_mean", 0.567169), ("lse", 0.710913), ("top2", 0.7)],
)
def test_published_scores_of_three_views(rule, score):
    assert study_table(views([0.2, 0.5, 0.9]), rule)["score"][0] == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize("rule", sorted(AGGREGATIONS))
def test_every_aggregation_agrees_with_a_loop(rule):
    frame = attended(predictions(150, seed=1))
    studies = study_table(frame, rule).set_index("study_id")
    for study, part in frame.groupby("study_id"):
        expected = study_score_by_loop(part["logit"].tolist(), rule, part["attention"].tolist())
        assert studies.loc[study, "score"] == pytest.approx(expected, abs=1e-12)
        assert studies.loc[study, "n_views"] == len(part)
    assert studies["score"].between(0, 1).all()


@pytest.mark.parametrize("rule", sorted(AGGREGATIONS))
def test_the_order_of_the_radiographs_does_not_change_the_score(rule):
    frame = attended(predictions(80, seed=2))
    other = frame.sample(frac=1, random_state=5)
    one, two = (study_table(part, rule).set_index("study_id").sort_index() for part in (frame, other))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


@pytest.mark.parametrize("rule", sorted(AGGREGATIONS))
def test_one_view_is_its_own_score(rule):
    table = study_table(attended(one_view_each(P, Y)), rule)
    assert table["score"].tolist() == pytest.approx(P.tolist(), abs=1e-12)


def test_the_study_table_fits_its_schema_in_order_of_first_appearance():
    frame = predictions()
    studies = check(study_table(frame), STUDIES, "studies")
    assert list(studies) == list(STUDIES)
    assert studies["study_id"].tolist() == frame["study_id"].drop_duplicates().tolist()
    first = frame.drop_duplicates("study_id")
    for name in ("patient_id", "group_id", "bone", "split", "label"):
        assert studies[name].tolist() == first[name].tolist()


def test_a_study_whose_radiographs_disagree_has_no_label():
    frame = pd.concat(
        [
            views([0.2, 0.9], [0, 1]),
            views([0.3, 0.4], [1, np.nan]).assign(study_id="two"),
            views([0.3, 0.4], [np.nan, np.nan]).assign(study_id="three"),
            views([0.6, 0.7], [0, 0]).assign(study_id="four"),
        ]
    )
    studies = study_table(frame)
    assert studies["label"].tolist() == pytest.approx([np.nan, 1, np.nan, 0], nan_ok=True)
    assert labelled(studies)["study_id"].tolist() == ["two", "four"]


def test_extreme_logits_keep_their_digits():
    frame = one_view_each([0.5, 0.5], [1, 1]).assign(study_id="one", logit=[40.0, -40.0])
    assert study_table(frame, "noisy_or")["score"][0] == 1.0
    low = study_table(frame.assign(logit=[-40.0, -40.0]), "noisy_or")["score"][0]
    assert low == pytest.approx(2 * expit(-40.0), rel=1e-12, abs=0)
    assert study_table(frame, "logit_mean")["score"][0] == 0.5


def test_noisy_or_and_max_grow_with_the_views_and_the_mean_does_not():
    few, many = views([0.3] * 2), views([0.3] * 6)
    assert study_table(many, "noisy_or")["score"][0] > study_table(few, "noisy_or")["score"][0]
    assert study_table(many, "mean")["score"][0] == pytest.approx(study_table(few, "mean")["score"][0], abs=1e-15)


def test_scores_with_attention_use_it_by_default():
    plain, frame = predictions(60, seed=4), attended(predictions(60, seed=4))
    assert own_aggregation(plain) == "mean" and own_aggregation(frame) == "attention"
    assert study_table(plain).equals(study_table(plain, "mean"))
    assert study_table(frame).equals(study_table(frame, "attention"))
    assert aggregations_of(frame)[0] == "attention" and "attention" not in aggregations_of(plain)
    with refused("attention-missing", "mean, max"):
        study_table(plain, "attention")


def test_attention_weights_are_shares_of_a_study():
    """Logits 2 and 0 and attention log 3 and 0 give weights 3/4 and 1/4 and a logit of 1.5."""
    frame = views([0.5, 0.5]).assign(logit=[2.0, 0.0], attention=[np.log(3), 0.0])
    assert attention_weights(frame) == pytest.approx([0.75, 0.25])
    assert study_table(frame)["score"][0] == pytest.approx(expit(1.5), abs=1e-12)
    far = frame.assign(attention=[1e4, 1e4 - 1])
    assert attention_weights(far).sum() == pytest.approx(1) and np.isfinite(study_table(far)["score"]).all()


def test_empty_predictions_give_an_empty_study_table():
    studies = study_table(predictions().iloc[:0])
    assert list(studies) == list(STUDIES) and len(studies) == 0 and len(labelled(studies)) == 0
    check(studies, STUDIES, "studies")


def test_unknown_aggregations_and_mixed_predictions_are_refused():
    with refused("aggregation-unknown", "median", "mean, max"):
        study_table(predictions(), "median")
    both = pd.concat([predictions(), predictions().assign(checkpoint="other@11111111")])
    with refused("predictions-mixed", "checkpoint", "other@11111111"):
        study_table(both)
