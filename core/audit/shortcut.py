"""What the label can be guessed from without looking at the anatomy: a model that can cheat will."""

import numpy as np
import pandas as pd

from core.data.measures import MEASURES
from core.metrics.intervals import Estimate
from core.metrics.ranking import auroc

FOLDS = 5
# What is tried alone, to say what carries the shortcut.
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
assert set(MEASURES) - {"blank"} <= set(ALL)


def shortcut(rows: pd.DataFrame, seed: int = 0) -> tuple[Estimate, dict[str, Estimate]]:
    """Study AUROC of the label from `ALL` columns of `rows` alone, and from each of GROUPS.

    rows: INDEX with MEASURES. Gradient-boosted trees, out of five folds that keep patients (`group_id`) together; a
    study's score is the mean over its radiographs. NaN with its reason where one label is lacking.
    """
    known = rows[rows["label"].notna()].reset_index(drop=True)
    per_label = known.groupby("label")["group_id"].nunique()
    if len(per_label) < 2 or per_label.min() < 2 * FOLDS:
        why = f"not estimable: fewer than {2 * FOLDS} patients of a label"
        nothing = Estimate(np.nan, np.nan, np.nan, len(known), why)
        return nothing, {name: nothing for name in GROUPS}
    return _judged(known, ALL, seed), {
        name: _judged(known, [column for column in columns if known[column].nunique(dropna=False) > 1], seed)
        for name, columns in GROUPS.items()
    }


def _judged(known: pd.DataFrame, columns: list[str], seed: int) -> Estimate:
    if not columns:
        return Estimate(np.nan, np.nan, np.nan, len(known), "not estimable: it is the same everywhere")
    scores = _out_of_fold(known, columns, seed)
    studies = known.assign(score=scores).groupby("study_id").agg(score=("score", "mean"), label=("label", "mean"))
    studies = studies[studies["label"].isin([0.0, 1.0])]
    return auroc(studies["score"], studies["label"])


def _out_of_fold(known: pd.DataFrame, columns: list[str], seed: int) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    table = pd.DataFrame(
        {
            name: pd.factorize(known[name])[0] if known[name].dtype.kind not in "fiu" else known[name].astype(float)
            for name in columns
        }
    )
    # Words have no order: the commonest 250 as categories, the rest as missing.
    words = [name for name in columns if known[name].dtype.kind not in "fiu"]
    for name in words:
        table[name] = table[name].where(table[name].between(0, 249)).astype("category")
    label, score = known["label"].to_numpy(int), np.full(len(known), np.nan)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for learn, judge in folds.split(table, label, known["group_id"]):
        model = HistGradientBoostingClassifier(
            max_iter=80, max_leaf_nodes=15, min_samples_leaf=20, categorical_features=words, random_state=seed
        )
        model.fit(table.iloc[learn], label[learn])
        score[judge] = model.predict_proba(table.iloc[judge])[:, 1]
    return score
