"""Counts of each label by radiograph, study or patient, per split and bone."""

import pandas as pd

LEVELS = {"radiograph": "image_id", "study": "study_id", "patient": "group_id"}


def balance_table(index: pd.DataFrame, level: str) -> pd.DataFrame:
    """Counts of an INDEX at one of LEVELS: `split`, `bone`, `label` (NaN: unknown), `n`.

    A study whose radiographs disagree has no label. A patient counts once per bone, as abnormal if any study of that
    bone is abnormal.
    """
    units = index[["split", "bone", "label"]]
    if level == "study":
        grouped = index.groupby(["study_id", "bone", "split"])["label"]
        label = grouped.first().where(grouped.nunique() <= 1)
        units = label.reset_index()
    elif level == "patient":
        units = index.groupby(["group_id", "bone", "split"])["label"].max().reset_index()
    return units.groupby(["split", "bone", "label"], dropna=False).size().rename("n").reset_index()


def file_sizes_table(index: pd.DataFrame, most: int = 2000) -> pd.DataFrame:
    """Radiographs by size: `bone`, `width`, `height`, `n`; the `most` frequent sizes, most frequent first."""
    sizes = index.groupby(["bone", "width", "height"]).size().rename("n").reset_index()
    return sizes.sort_values("n", ascending=False, kind="stable").head(most).reset_index(drop=True)


def views_table(index: pd.DataFrame) -> pd.Series:
    """Number of studies by their number of radiographs, ascending."""
    return index["study_id"].value_counts().value_counts().sort_index()
