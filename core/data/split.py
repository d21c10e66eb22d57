"""Splits and folds: no patient on two sides, bones and labels in equal shares."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def assign_bins(
    groups: pd.Series, strata: pd.Series, shares: list[float], seed: int, fixed: np.ndarray | None = None
) -> np.ndarray:
    """A bin for each row, int [n]: a group's rows stay together, and each stratum is spread in the given shares.

    Large groups are placed first, each into the bin that lacks most of what the group holds (greedy), and among those
    into the emptiest; the seed decides the order among equals. Deterministic in (rows, seed), whatever the rows' order.
    fixed: int [n], the bin a row was in before or -1; its group stays there (in the lowest, where two were joined).
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
    lacking, chosen = wanted.copy(), np.full(len(names), len(shares))
    if fixed is not None:
        before = fixed >= 0
        np.minimum.at(chosen, group[before], fixed[before])
    placed = chosen < len(shares)
    np.subtract.at(lacking, chosen[placed], held[placed])
    for index in order[~placed[order]]:
        # Relative to what the bin shall hold in all, so that a small bin is not filled first.
        gain = (held[index] * lacking / np.maximum(wanted, 1e-9)).sum(axis=1)
        # Every stratum starts level: without the second key each would begin with the first bin.
        room = lacking.sum(axis=1) / np.maximum(wanted.sum(axis=1), 1e-9)
        chosen[index] = int(np.lexsort((-room, -gain.round(9)))[0])
        lacking[chosen[index]] -= held[index]
    return chosen[group]


def assign_splits(frame: pd.DataFrame, valid_fraction: float, seed: int, before: pd.Series | None = None) -> pd.Series:
    """'train' or 'valid' for each row, patient-disjoint (by `group_id`), stratified by bone and label.

    before: the split of each row where it has one already; its group keeps it. With a fraction of 0 all is train.
    """
    if not valid_fraction:
        return pd.Series("train", index=frame.index, dtype="str")
    fixed = None if before is None else before.map({"train": 0, "valid": 1}).fillna(-1).to_numpy(int)
    bins = assign_bins(frame["group_id"], _strata(frame), [1 - valid_fraction, valid_fraction], seed, fixed)
    return pd.Series(np.array(["train", "valid"], dtype=object)[bins], index=frame.index, dtype="str")


def assign_folds(frame: pd.DataFrame, folds: int, seed: int, before: pd.Series | None = None) -> pd.Series:
    """0..folds-1 for each row of train, patient-grouped, stratified by bone and label; -1 elsewhere.

    before: the fold of each row where it has one already; its group keeps it.
    """
    result = pd.Series(-1, index=frame.index, dtype="int64")
    train = frame["split"] == "train"
    fixed = None if before is None else before[train].fillna(-1).to_numpy(int)
    bins = assign_bins(frame.loc[train, "group_id"], _strata(frame[train]), [1 / folds] * folds, seed + 1, fixed)
    result[train] = bins
    return result


def linked_group_ids(patient: pd.Series, study: pd.Series, sha1: pd.Series) -> pd.Series:
    """Where splits are dealt here: patients (or studies of unknown ones) that share a file are one group as well.

    A copy under two patients may be one patient under two names; dealing them to one side costs nothing.
    """
    own = patient.where(patient.notna(), "study:" + study)
    owner, copy = pd.factorize(own)[0], pd.factorize(sha1)[0]
    size = owner.max() + copy.max() + 2
    links = coo_array((np.ones(len(owner)), (owner, copy + owner.max() + 1)), shape=(size, size))
    component = pd.Series(connected_components(links, directed=False)[1][owner], index=patient.index)
    # Named by content, so that the name (and the split it leads to) does not depend on the rows' order.
    smallest = "copies:" + sha1.groupby(component).transform("min").str[:12]
    first = patient.groupby(component).transform("min")
    others = patient.groupby(component).transform("nunique")
    named = first.where(others <= 1, first.astype("str") + "+" + (others - 1).astype("str"))
    return named.where(others > 0, smallest).astype("str")


def group_ids(patient: pd.Series, study: pd.Series, sha1: pd.Series) -> pd.Series:
    """What bootstraps keep together: the patient; where none is known, studies linked by exact copies of a file."""
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


def overlap_table(index: pd.DataFrame, key: str = "group_id") -> pd.DataFrame:
    """Groups (or patients, by `key`) on more than one side: `key` and `splits`. Empty is what it should be."""
    pairs = index[[key, "split"]].drop_duplicates().sort_values([key, "split"])
    crossing = pairs[pairs.duplicated(key, keep=False)]
    return crossing.groupby(key)["split"].agg(", ".join).rename("splits").reset_index()


def _strata(frame: pd.DataFrame) -> pd.Series:
    return frame["bone"] + " " + frame["label"].astype(str)
