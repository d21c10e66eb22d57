"""Planted wrong labels are found; the confident joint equals cleanlab's."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from core.data.index import build_index, read_dataset, write_dataset
from core.review.label_issues import (
    ORDERS,
    confident_joint,
    frame_from_features,
    noise_rates,
    out_of_fold_frame,
    precision_at,
    rank_suspects,
    read_out_of_fold,
)
from core.scores.embeddings import Embeddings
from tests.refusals import refused


def planted(seed: int = 0, n: int = 600, share: float = 0.08):
    """Scores of a moderately good network, and labels of which a known part is wrong."""
    random = np.random.default_rng(seed)
    truth = random.random(n) < 0.4
    wrong = random.random(n) < share
    score = 1 / (1 + np.exp(-(np.where(truth, 1.5, -1.5) + random.normal(0, 1.2, n))))
    frame = pd.DataFrame(
        {
            "study_id": [f"s{place:04}" for place in range(n)],
            "bone": "hand",
            "group_id": [f"p{place}" for place in range(n)],
            "label": (truth ^ wrong).astype(float),
            "score": score,
        }
    )
    return frame, wrong


@pytest.mark.parametrize("seed", range(6))
def test_the_confident_joint_equals_cleanlabs(seed):
    count = pytest.importorskip("cleanlab.count")
    frame, _ = planted(seed)
    label, score = frame["label"].to_numpy(int), frame["score"].to_numpy()
    both = np.stack([1 - score, score], axis=1)
    wanted, places = count.compute_confident_joint(label, both, calibrate=False, return_indices_of_off_diagonals=True)
    joint, suspect = confident_joint(score, label)
    np.testing.assert_array_equal(joint, wanted)
    assert set(np.flatnonzero(suspect)) == set(places)


def test_self_confidence_equals_cleanlabs():
    ranking = pytest.importorskip("cleanlab.rank")
    frame, _ = planted()
    score = frame["score"].to_numpy()
    wanted = ranking.get_self_confidence_for_each_label(
        frame["label"].to_numpy(int), np.stack([1 - score, score], axis=1)
    )
    found = rank_suspects(frame, "self_confidence").set_index("study_id").loc[frame["study_id"]]
    np.testing.assert_allclose(found["self_confidence"], wanted)
    assert found.sort_values("self_confidence")["rank"].is_monotonic_increasing


@pytest.mark.parametrize("order", ["noise_rate", "self_confidence", "margin"])
def test_planted_wrong_labels_come_first(order):
    frame, wrong = planted()
    ranked = rank_suspects(frame, order)
    names = set(frame["study_id"][wrong])
    table = precision_at(ranked["study_id"].isin(names).to_numpy()).set_index("k")
    assert table.at[20, "precision"].value > 0.6 > 5 * table.at[20, "random"]
    assert wrong.sum() in table.index
    rates = noise_rates(frame["score"].to_numpy(), frame["label"].to_numpy())
    assert 0.4 * wrong.sum() < rates["number"] < 2.5 * wrong.sum()


def found_first(wrongly_called: int, seed: int) -> dict[str, int]:
    """For each order, how many of 30 labels wrong in one direction are among the first 60; one in six is abnormal."""
    random = np.random.default_rng(seed)
    truth = (random.random(1200) < 1 / 6).astype(float)
    score = expit(-1.4 + 1.3 * (2 * truth - 1) + random.normal(0, 1.1, 1200))
    wrong, label = random.choice(np.flatnonzero(truth != wrongly_called), 30, replace=False), truth.copy()
    label[wrong] = wrongly_called
    names = np.array([f"s{number:04}" for number in range(1200)])
    frame = pd.DataFrame({"study_id": names, "bone": "wrist", "group_id": names, "label": label, "score": score})
    return {
        order: int(rank_suspects(frame, order)["study_id"].head(60).isin(names[wrong]).sum()) for order in ORDERS[:3]
    }


@pytest.mark.parametrize("seed", range(3))
def test_noise_rate_finds_wrong_labels_of_both_kinds(seed):
    """Abnormal studies are rare, so the mean self-confidence of the two labels differs much."""
    found = [found_first(wrongly_called, seed) for wrongly_called in (0, 1)]
    share = {order: min(kind[order] / max(kind.values()) for kind in found) for order in ORDERS[:3]}
    assert share["noise_rate"] > 0.75 and share["self_confidence"] < 0.5


def test_orders_agree_within_a_label():
    frame, _ = planted()
    for given in (0, 1):
        ranked = [rank_suspects(frame, order) for order in ORDERS[:3]]
        first, *others = [found.loc[found["label"] == given, "study_id"].tolist() for found in ranked]
        assert all(other == first for other in others) and len(first) > 100


def test_without_signal_the_order_is_no_better_than_chance():
    frame, wrong = planted()
    frame["score"] = np.random.default_rng(1).random(len(frame))
    table = precision_at(
        rank_suspects(frame)["study_id"].isin(set(frame["study_id"][wrong])).to_numpy(), (200,)
    ).set_index("k")
    assert abs(table.at[200, "precision"].value - table.at[200, "random"]) < 0.06


def test_a_logged_area_under_the_margin_gives_an_order():
    frame, _ = planted()
    with refused("order-unknown", "'aum'"):
        rank_suspects(frame, "aum")
    frame["aum"] = np.arange(len(frame))[::-1]
    assert rank_suspects(frame, "aum")["study_id"].iloc[0] == frame["study_id"].iloc[-1]


def test_scores_of_learned_studies_are_left_out():
    rows = pd.DataFrame(
        {
            "study_id": ["a", "b", "c"], "patient_id": None, "group_id": ["a", "b", "c"], "bone": "hand",
            "split": ["train", "tune", "valid"], "label": [1.0, 0.0, 1.0], "logit": [2.0, -1.0, 0.0],
        }
    )  # fmt: skip
    assert out_of_fold_frame(rows)["study_id"].tolist() == ["b", "c"]
    with refused("scores-not-out-of-fold"):
        out_of_fold_frame(rows[rows["split"] == "train"])


def test_features_find_planted_labels_and_keep_patients_together():
    frame, wrong = planted(2, 400)
    random = np.random.default_rng(0)
    truth = frame["label"].to_numpy().astype(bool) ^ wrong
    centre = random.normal(size=16)
    vectors = np.where(truth, 1, -1)[:, None] * centre + random.normal(0, 2.5, (400, 16))
    vectors = np.repeat(vectors, 2, axis=0) + random.normal(0, 0.5, (800, 16))
    rows = (
        frame.loc[frame.index.repeat(2)]
        .reset_index(drop=True)
        .assign(split="train", image_id=[f"i{n}" for n in range(800)])
    )
    rows["group_id"] = [f"p{place // 4}" for place in range(800)]
    found = frame_from_features(Embeddings(rows, vectors.astype(np.float32)))
    assert len(found) == 400 and found["score"].between(0, 1).all()
    table = precision_at(
        rank_suspects(found)["study_id"].isin(set(frame["study_id"][wrong])).to_numpy(), (20,)
    ).set_index("k")
    assert table.at[20, "precision"].value > 3 * table.at[20, "random"]


def test_a_file_of_scores_is_read_or_refused(workspace, mura, tmp_path):
    dataset = write_dataset("demo", build_index(mura))
    studies = pd.read_parquet(read_dataset("demo").folder / "index.parquet")["study_id"].drop_duplicates()
    good = pd.DataFrame({"study_id": studies, "score": 0.5})
    good.to_csv(tmp_path / "good.csv", index=False)
    frame, report, _ = read_out_of_fold(tmp_path / "good.csv", dataset)
    assert len(frame) == report.matched == len(studies) and report.items_without_row == report.duplicates == 0
    pd.concat([good, good]).to_csv(tmp_path / "twice.csv", index=False)
    again, report, _ = read_out_of_fold(tmp_path / "twice.csv", dataset)
    assert again.equals(frame) and report.duplicates == len(studies)
    stranger = pd.DataFrame({"study_id": ["gone"], "score": 0.1})
    pd.concat([good, stranger]).to_csv(tmp_path / "more.csv", index=False)
    with refused("study-unknown", "'gone'", f"row {len(studies) + 2}", "--allow-unmatched"):
        read_out_of_fold(tmp_path / "more.csv", dataset)
    again, report, _ = read_out_of_fold(tmp_path / "more.csv", dataset, allow_unmatched=True)
    assert again.equals(frame) and report.unmatched_rows == 1
    for change, code in (
        (lambda rows: rows.drop(columns="score"), "column-missing"),
        (lambda rows: rows.assign(score=2.0), "score-not-probability"),
        (lambda rows: rows.assign(score="high"), "score-not-probability"),
        (lambda rows: pd.concat([rows, rows.assign(score=0.25)]), "study-repeated"),
        (lambda rows: rows.assign(study_id=rows["study_id"] + "x"), "join-matches-nothing"),
    ):
        change(good).to_csv(tmp_path / "bad.csv", index=False)
        with refused(code):
            read_out_of_fold(tmp_path / "bad.csv", dataset)
