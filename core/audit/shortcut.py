"""The shortcut check: how well the label can be predicted without the anatomy. A network would use such a shortcut."""

import numpy as np
import pandas as pd

from core.data.measures import MEASURES
from core.metrics.intervals import Estimate
from core.metrics.ranking import auroc

FOLDS = 5
FEW = 10_000  # With fewer radiographs, one thread fits the trees.
# Each group is also tried alone, to show which one carries the shortcut.
GROUPS = {
    "size, view and bone": ["width", "height", "aspect", "view", "bone"],
    "size and shape": ["width", "height", "aspect"],
    "bone": ["bone"],
    "view": ["view"],
    "brightness and contrast": ["p1", "p50", "p99", "contrast"],
    "border, marks, films": ["border", "marks", "films"],
    "metal": ["metal"],
    "sharpness and noise": ["sharpness", "noise"],
    "file size": ["bytes"],
}
ALL = list(dict.fromkeys(name for names in GROUPS.values() for name in names))
# "lines" also sees thin bright parts of the bone itself, from which a label may rightly be predicted.
assert set(MEASURES) - {"blank", "lines"} <= set(ALL)


def shortcut(rows: pd.DataFrame, seed: int = 0) -> tuple[Estimate, dict[str, Estimate]]:
    """Return the study AUROC of the label predicted from all columns in ALL, and from each of GROUPS.

    rows: INDEX with MEASURES. The predictions are those of gradient-boosted trees, out of five folds that keep patients
    (`group_id`) together; a study's score is the mean over its radiographs. The AUROC is NaN, with the reason, where
    there are too few patients of a label.
    """
    known = rows[rows["label"].notna()].reset_index(drop=True)
    per_label = known.groupby("label")["group_id"].nunique()
    if len(per_label) < 2 or per_label.min() < 2 * FOLDS:
        why = f"not estimable: fewer than {2 * FOLDS} patients have one of the labels"
        unknown = Estimate(np.nan, np.nan, np.nan, len(known), why)
        return unknown, {name: unknown for name in GROUPS}
    return _study_auroc(known, ALL, seed), {
        name: _study_auroc(known, [column for column in columns if known[column].nunique(dropna=False) > 1], seed)
        for name, columns in GROUPS.items()
    }


def _study_auroc(known: pd.DataFrame, columns: list[str], seed: int) -> Estimate:
    if not columns:
        return Estimate(np.nan, np.nan, np.nan, len(known), "not estimable: all radiographs have the same values")
    scores = _out_of_fold(known, columns, seed)
    studies = known.assign(score=scores).groupby("study_id").agg(score=("score", "mean"), label=("label", "mean"))
    studies = studies[studies["label"].isin([0.0, 1.0])]
    return auroc(studies["score"], studies["label"])


def _out_of_fold(known: pd.DataFrame, columns: list[str], seed: int) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedGroupKFold
    from threadpoolctl import threadpool_limits

    table = pd.DataFrame(
        {
            name: pd.factorize(known[name])[0] if known[name].dtype.kind not in "fiu" else known[name].astype(float)
            for name in columns
        }
    )
    # Text has no order, so the 250 commonest values are categories and the rest count as missing.
    text_columns = [name for name in columns if known[name].dtype.kind not in "fiu"]
    for name in text_columns:
        table[name] = table[name].where(table[name].between(0, 249)).astype("category")
    label, score = known["label"].to_numpy(int), np.full(len(known), np.nan)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    # Threads of OpenMP that wait for each other take several times as long where another process uses their core, and
    # small trees gain nothing from them.
    with threadpool_limits(1 if len(known) < FEW else None, "openmp"):
        for train, test in folds.split(table, label, known["group_id"]):
            model = HistGradientBoostingClassifier(
                max_iter=80, max_leaf_nodes=15, min_samples_leaf=20, categorical_features=text_columns,
                random_state=seed,
            )  # fmt: skip
            model.fit(table.iloc[train], label[train])
            score[test] = model.predict_proba(table.iloc[test])[:, 1]
    return score
