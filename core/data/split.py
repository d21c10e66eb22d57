"""Splits and folds: disjoint by patient, with equal shares of bones and labels."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.among import among


def assign_bins(
    groups: pd.Series, strata: pd.Series, shares: list[float], seed: int, fixed: np.ndarray | None = None
) -> np.ndarray:
    """A bin for each row, int [n]: rows of a group stay together, and each stratum is divided in the given shares.

    Greedy: large groups first, each into the bin that lacks most of the group's strata, then the emptiest; the seed
    orders groups of equal size. The result depends on rows and seed, not on the order of the rows. fixed: int [n],
    the row's earlier bin or -1; its group stays there (in the lowest one, if two groups were joined).
    """
    if groups.empty:
        return np.zeros(0, int)
    names, group = np.unique(groups.to_numpy(str), return_inverse=True)
    kinds, stratum = np.unique(strata.to_numpy(str), return_inverse=True)
    members = np.zeros((len(names), len(kinds)))
    np.add.at(members, (group, stratum), 1)
    wanted = np.outer(shares, members.sum(axis=0))
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.argsort(-members[shuffled].sum(axis=1), kind="stable")]
    lacking, chosen = wanted.copy(), np.full(len(names), len(shares))
    if fixed is not None:
        before = fixed >= 0
        np.minimum.at(chosen, group[before], fixed[before])
    placed = chosen < len(shares)
    np.subtract.at(lacking, chosen[placed], members[placed])
    for index in order[~placed[order]]:
        # Relative to the size of the bin, so that a small bin is not filled first.
        gain = (members[index] * lacking / np.maximum(wanted, 1e-9)).sum(axis=1)
        # Breaks ties: without it every stratum would start with the first bin.
        room = lacking.sum(axis=1) / np.maximum(wanted.sum(axis=1), 1e-9)
        chosen[index] = int(np.lexsort((-room, -gain.round(9)))[0])
        lacking[chosen[index]] -= members[index]
    return chosen[group]


def assign_splits(frame: pd.DataFrame, valid_fraction: float, seed: int, before: pd.Series | None = None) -> pd.Series:
    """'train' or 'valid' for each row, patient-disjoint (by `group_id`), stratified by bone and label.

    before: the earlier split of each row, if any; its group keeps it, and is in test where any row was. With a fraction
    of 0, all other rows are train.
    """
    if not valid_fraction and before is None:
        return pd.Series("train", index=frame.index, dtype="str")
    fixed = None if before is None else before.map({"train": 0, "valid": 1}).fillna(-1).to_numpy(int)
    bins = assign_bins(frame["group_id"], _strata(frame), [1 - valid_fraction, valid_fraction], seed, fixed)
    found = pd.Series(np.array(["train", "valid"], dtype=object)[bins], index=frame.index, dtype="str")
    if before is not None:
        found[among(frame["group_id"], frame["group_id"][(before == "test").to_numpy()])] = "test"
    return found


def assign_folds(frame: pd.DataFrame, folds: int, seed: int, before: pd.Series | None = None) -> pd.Series:
    """0..folds-1 for each row of train, grouped by patient, stratified by bone and label; -1 elsewhere.

    before: the earlier fold of each row, if any; its group keeps it.
    """
    result = pd.Series(-1, index=frame.index, dtype="int64")
    train = frame["split"] == "train"
    fixed = None if before is None else before[train].fillna(-1).to_numpy(int)
    bins = assign_bins(frame.loc[train, "group_id"], _strata(frame[train]), [1 / folds] * folds, seed + 1, fixed)
    result[train] = bins
    return result


def linked_group_ids(patient: pd.Series, study: pd.Series, sha1: pd.Series) -> pd.Series:
    """Groups for splits that are made here: patients (or studies without a patient) that share a file are one group.

    A file of two patients may be one patient under two names; keeping them in one split costs nothing.
    """
    own = patient.where(patient.notna(), "study:" + study)
    owner, copy = pd.factorize(own)[0], pd.factorize(sha1)[0]
    size = owner.max() + copy.max() + 2
    links = coo_array((np.ones(len(owner)), (owner, copy + owner.max() + 1)), shape=(size, size))
    component = pd.Series(connected_components(links, directed=False)[1][owner], index=patient.index)
    # Named by content, so that the name, and with it the split, does not depend on the order of the rows.
    smallest = "copies:" + sha1.groupby(component).transform("min").str[:12]
    first = patient.groupby(component).transform("min")
    others = patient.groupby(component).transform("nunique")
    named = first.where(others <= 1, first.astype("str") + "+" + (others - 1).astype("str"))
    return named.where(others > 0, smallest).astype("str")


def group_ids(patient: pd.Series, study: pd.Series, sha1: pd.Series) -> pd.Series:
    """Groups for bootstraps: the patient; for unknown patients, studies linked by exact copies of a file."""
    result = patient.copy()
    unknown = patient.isna()
    if unknown.any():
        study_code, copy_code = pd.factorize(study[unknown])[0], pd.factorize(sha1[unknown])[0]
        links = coo_array((np.ones(len(study_code)), (study_code, copy_code + study_code.max() + 1)))
        size = study_code.max() + copy_code.max() + 2
        links.resize((size, size))
        component = connected_components(links, directed=False)[1][study_code]
        # Named by content, so that the name, and with it the split, does not depend on the order of the rows.
        smallest = sha1[unknown].groupby(component).transform("min")
        result[unknown] = "copies:" + smallest.str[:12]
    return result.astype("str")


def overlap_table(index: pd.DataFrame, key: str = "group_id") -> pd.DataFrame:
    """Groups (or patients, by `key`) in more than one split: `key` and `splits`. Should be empty."""
    pairs = index[[key, "split"]].drop_duplicates().sort_values([key, "split"])
    crossing = pairs[pairs.duplicated(key, keep=False)]
    return crossing.groupby(key)["split"].agg(", ".join).rename("splits").reset_index()


def _strata(frame: pd.DataFrame) -> pd.Series:
    return frame["bone"] + " " + frame["label"].astype(str)
