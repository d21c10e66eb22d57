"""Maps that hold up against other maps: the share that points right, over networks and data sets."""

import numpy as np
import pandas as pd
import pytest

from core.data.abnormality_masks import AbnormalityMasks
from core.data.index import SourceTables, build_index, read_dataset, write_dataset
from core.data.label_levels import LabelRule
from core.explain.pointing_table import PointedMaps, pointing_table
from core.explain.sample_choice import FINDING, VIEW, known_truth, rows_with_truth
from core.metrics.intervals import newcombe
from core.phantom import write_phantoms
from tests.explain.test_commands import house, run  # noqa: F401
from tests.refusals import refused
from tests.training.test_study_samples import manifest


def maps(held, held_right, others, others_right, method="hires_cam"):
    rows = [("holds up", at < held_right) for at in range(held)]
    rows += [("do not trust", at < others_right) for at in range(others)]
    return pd.DataFrame({"method": method, "verdict": [verdict for verdict, _ in rows], "chance": 0.1}).assign(
        right=[float(right) for _, right in rows]
    )


def test_both_kinds_are_counted_and_compared_within_each_network():
    first = PointedMaps("a", "one", FINDING, maps(10, 8, 20, 4))
    second = PointedMaps("b", "two", FINDING, maps(5, 1, 5, 2))
    alone = PointedMaps("c", "one", FINDING, maps(0, 0, 7, 7))
    table = pointing_table([first, second, alone]).set_index("network")
    assert table.loc["a", ["held", "held_right", "others", "others_right"]].tolist() == [10, 8, 20, 4]
    assert table.loc["a", "difference"] == pytest.approx(0.8 - 0.2)
    assert np.isnan(table.loc["c", "difference"]) and np.isnan(table.loc["c", "held_share"])
    together = table.loc["all"]
    assert together[["held", "held_right", "others", "others_right"]].tolist() == [15, 9, 32, 13]
    weights = np.array([10 * 20 / 30, 5 * 5 / 10])
    assert together["difference"] == pytest.approx(weights @ [0.6, -0.2] / weights.sum())
    assert together["difference_low"] < together["difference"] < together["difference_high"]
    # With one network that has both kinds, all together differ as that one does.
    same = pointing_table([first, alone]).set_index("network").loc["all"]
    expected = newcombe(8, 10, 4, 20)
    assert (same["difference_low"], same["difference_high"]) == pytest.approx((expected.low, expected.high))


def test_methods_and_kinds_of_truth_are_not_added_up():
    rows = pd.concat([maps(2, 1, 2, 1), maps(3, 1, 1, 1, "occlusion")])
    table = pointing_table([PointedMaps("a", "one", FINDING, rows), PointedMaps("a", "two", VIEW, rows)])
    assert len(table) == 4 and "all" not in set(table["network"])
    assert table.groupby("method")["held"].first().to_dict() == {"hires_cam": 2, "occlusion": 3}


@pytest.fixture
def views(mura, house):  # noqa: F811
    """The tree with a truth that differs between the views of abnormal studies."""
    file = manifest(mura, lambda count: 0)
    table = pd.read_csv(file)
    table["image_label"] = table["label"] * table["study"].duplicated()
    table.to_csv(file, index=False)
    indexed = build_index(file, SourceTables(rule=LabelRule("study")), folds=4)
    return write_dataset("views", indexed), indexed.frame


def test_the_view_that_drives_a_mixed_study_is_sampled(views):
    dataset, frame = views
    assert known_truth(dataset) == VIEW
    scores = frame.assign(logit=np.where(frame["image_label"] == 1, 2.0, 1.0))
    scores.loc[scores["study_id"] == scores[scores["label"] == 1]["study_id"].iloc[0], "logit"] = [3.0, 0.0]
    chosen = rows_with_truth(scores, dataset, VIEW)
    abnormal = frame[frame["label"] == 1]
    assert len(chosen) == abnormal["study_id"].nunique() and set(chosen["chance"]) == {0.5}
    assert chosen["right"].tolist() == [0.0] + [1.0] * (len(chosen) - 1)
    assert rows_with_truth(scores, dataset, "") is scores


def test_radiographs_with_a_known_finding_are_sampled(tmp_path, workspace):
    report = write_phantoms(tmp_path, patients=4, seed=3, processes=1)
    dataset = write_dataset("phantoms", build_index(report.folder))
    assert known_truth(dataset) == FINDING
    scores = build_index(report.folder).frame
    chosen = set(rows_with_truth(scores, dataset, FINDING)["image_id"])
    assert chosen and chosen <= set(AbnormalityMasks.of(dataset).image_ids())


def test_the_command_makes_the_table_over_models(views, tmp_path):
    file = tmp_path / "table.csv"
    facts = run("pointing", "random=views", "--sample", 2, "--method", "hires_cam", "--out", file)
    (row,) = facts["rows"]
    # Random weights never hold up, so there is nothing to compare.
    assert (row["held"], row["others"], row["truth"], row["difference"]) == (0, 2, "view", None)
    assert pd.read_csv(file)["others"].tolist() == [2]
    with refused("truth-unknown", "tree"):
        known_truth(read_dataset("tree"))
