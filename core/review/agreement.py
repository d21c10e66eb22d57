"""Agreement of readers, per bone and per pair, and the studies they disagree on, for a third reader to decide."""

from itertools import combinations

import numpy as np
import pandas as pd

from core.among import among
from core.metrics.intervals import Estimate
from core.metrics.reader_agreement import cohen, fleiss, raw_agreement
from core.review.vocabulary import READINGS
from core.schema import bone_order


def latest_reads(verdicts: pd.DataFrame, blind: bool | None = None) -> pd.DataFrame:
    """One row per study and reader: the latest read in force. blind: only blind reads, only others, or all (None).

    verdicts: `verdicts_table` of one data set. Adjudications are decisions, not reads, and are left out.
    """
    rows = verdicts[(verdicts["kind"] == "review") & (verdicts["read"] != "")]
    if blind is not None:
        rows = rows[rows["blind"] == blind]
    rows = rows.sort_values(["created", "sequence"]).drop_duplicates(["study_id", "reviewer"], keep="last")
    return rows.reset_index(drop=True)


def agreement_table(reads: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """One row per bone ('all' first): studies, readers, raw (Estimate), kappa (Estimate), statistic ('Cohen'|'Fleiss').

    studies: study_id, bone, group_id; reads of other studies are ignored. Kappa uses the reads abnormal and normal,
    raw agreement uses all four. Cohen's kappa if exactly two readers gave such reads, else Fleiss'.
    """
    known = reads.merge(studies[["study_id", "bone", "group_id"]].drop_duplicates("study_id"), on="study_id")
    parts = [("all", known), *((bone, known[known["bone"] == bone]) for bone in bone_order(known["bone"]))]
    return pd.DataFrame(
        [{"bone": name, **_figures(part)} for name, part in parts],
        columns=["bone", "studies", "readers", "raw", "kappa", "statistic"],
    )


def pair_table(reads: pd.DataFrame) -> pd.DataFrame:
    """One row per pair of readers: first, second, number of studies that both read, raw and kappa (Estimates)."""
    by_reader = {name: part.set_index("study_id")["read"] for name, part in reads.groupby("reviewer")}
    rows = []
    for first, second in combinations(sorted(by_reader), 2):
        both = pd.concat([by_reader[first], by_reader[second]], axis=1, join="inner", keys=["first", "second"])
        if len(both):
            long = both.rename_axis("study_id").reset_index().melt("study_id", value_name="read")
            counts = _counts(long)[0]
            rows.append(
                {
                    "first": first,
                    "second": second,
                    "studies": len(both),
                    "raw": raw_agreement(counts),
                    "kappa": cohen(_square(both["first"], both["second"])),
                }
            )
    return pd.DataFrame(rows, columns=["first", "second", "studies", "raw", "kappa"])


def disagreements(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Studies whose reads differ and are not decided: study_id, reads (in words), readers, since. Oldest first.

    A study is decided by an adjudication that is newer than its reads.
    """
    reads = latest_reads(verdicts)
    reads = reads[reads.groupby("study_id")["read"].transform("nunique") > 1]
    decided = verdicts[verdicts["kind"] == "adjudication"].groupby("study_id")["created"].max()
    newest = reads.groupby("study_id")["created"].max()
    open_now = newest[newest > decided.reindex(newest.index).fillna("")].index
    rows = [
        {
            "study_id": study,
            "reads": "; ".join(f"{row.reviewer}: {row.read.replace('_', ' ')}" for row in part.itertuples()),
            "readers": len(part),
            "since": part["created"].max(),
        }
        for study, part in reads[among(reads["study_id"], open_now)].groupby("study_id")
    ]
    table = pd.DataFrame(rows, columns=["study_id", "reads", "readers", "since"])
    return table.sort_values(["since", "study_id"]).reset_index(drop=True)


def _figures(reads: pd.DataFrame) -> dict:
    counts, groups = _counts(reads)
    rated = reads[reads["read"].isin(READINGS)]
    names = rated["reviewer"].unique()
    shared = rated[rated.groupby("study_id")["study_id"].transform("size") >= 2]
    if len(names) == 2:
        wide = shared.pivot(index="study_id", columns="reviewer", values="read")
        columns = [wide[name] if name in wide else pd.Series(dtype="str") for name in sorted(names)]
        kappa: Estimate = cohen(_square(*columns))
    else:
        kappa = fleiss(*_counts(rated))
    return {
        "studies": int((counts.sum(axis=1) >= 2).sum()) if len(counts) else 0,
        "readers": int(reads["reviewer"].nunique()),
        "raw": raw_agreement(counts, groups),
        "kappa": kappa,
        "statistic": "Cohen" if len(names) == 2 else "Fleiss",
    }


def _counts(reads: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Number of readers by study and read [studies, reads], and each study's group."""
    if reads.empty:
        return np.zeros((0, 2)), np.zeros(0)
    study, studies = pd.factorize(reads["study_id"], sort=True)
    read, names = pd.factorize(reads["read"], sort=True)
    counts = np.zeros((len(studies), len(names)), int)
    np.add.at(counts, (study, read), 1)
    if "group_id" not in reads:
        return counts, np.asarray(studies)
    groups = np.empty(len(studies), object)
    groups[study] = reads["group_id"].to_numpy(object)
    return counts, groups


def _square(first: pd.Series, second: pd.Series) -> np.ndarray:
    """Counts of the first reader's reads (rows) by the second's (columns), over the reads abnormal and normal."""
    return np.array([[int(((first == a) & (second == b)).sum()) for b in READINGS] for a in READINGS])
