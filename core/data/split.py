"""Splits and folds: no patient on two sides, bones and labels in equal shares."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def assign_bins(groups: pd.Series, strata: pd.Series, shares: list[float], seed: int) -> np.ndarray:
    """A bin for each row, int [n]: a group's rows stay together, and each stratum is spread in the given shares.

    Large groups are placed first, each into the bin that lacks most of what the group holds (greedy); the seed decides
    the order among equals. Deterministic in (rows, seed), whatever the rows' order.
    """
    if groups.empty:
        return np.zeros(0, int)
    names, group = np.unique(groups.to_numpy(str), return_inverse=True)
    kinds, stratum = np.unique(strata.to_numpy(str), return_inverse=True)
    held = np.zeros((len(names), len(kinds)))
    np.add.at(held, (group, stratum), 1)
    wanted = np.outer(shares, held.sum(axis=0))
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.argsort(-held[shuffled].sum(axis=1), kind="stable")]
    lacking, chosen = wanted.copy(), np.zeros(len(names), int)
    for index in order:
        # Relative to what the bin shall hold in all, so that a small bin is not filled first.
        gain = (held[index] * lacking / np.maximum(wanted, 1e-9)).sum(axis=1)
        chosen[index] = int(np.argmax(gain))
        lacking[chosen[index]] -= held[index]
    return chosen[group]


def assign_splits(frame: pd.DataFrame, valid_fraction: float, seed: int) -> pd.Series:
    """'train' or 'valid' for each row, patient-disjoint (by `group_id`), stratified by bone and label."""
    bins = assign_bins(frame["group_id"], _strata(frame), [1 - valid_fraction, valid_fraction], seed)
    return pd.Series(np.array(["train", "valid"], dtype=object)[bins], index=frame.index, dtype="str")


def assign_folds(frame: pd.DataFrame, folds: int, seed: int) -> pd.Series:
    """0..folds-1 for each row of train, patient-grouped, stratified by bone and label; -1 elsewhere."""
    result = pd.Series(-1, index=frame.index, dtype="int64")
    train = frame["split"] == "train"
    result[train] = assign_bins(frame.loc[train, "group_id"], _strata(frame[train]), [1 / folds] * folds, seed + 1)
    return result


def group_ids(patient: pd.Series, study: pd.Series, sha1: pd.Series) -> pd.Series:
    """What a split must keep together: the patient; where none is known, studies linked by exact copies of a file."""
    result = patient.copy()
    unknown = patient.isna()
    if unknown.any():
        study_code, copy_code = pd.factorize(study[unknown])[0], pd.factorize(sha1[unknown])[0]
        links = coo_array((np.ones(len(study_code)), (study_code, copy_code + study_code.max() + 1)))
        size = study_code.max() + copy_code.max() + 2
        links.resize((size, size))
        component = connected_components(links, directed=False)[1][study_code]
        # Named by content, so that the name (and the split it leads to) does not depend on the rows' order.
        smallest = sha1[unknown].groupby(component).transform("min")
        result[unknown] = "copies:" + smallest.str[:12]
    return result.astype("str")


def overlap_table(index: pd.DataFrame) -> pd.DataFrame:
    """Groups (patients) on more than one side: one row each, `group_id` and `splits`. Empty is what it should be."""
    sides = index.groupby("group_id")["split"].agg(lambda split: ", ".join(sorted(set(split))))
    return sides[sides.str.contains(",")].rename("splits").reset_index()


def _strata(frame: pd.DataFrame) -> pd.Series:
    return frame["bone"] + " " + frame["label"].astype(str)
