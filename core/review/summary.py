"""The summary of a walkthrough: its cases with the reads and what to do with their labels, and adjudicated rates."""

import numpy as np
import pandas as pd

from core.among import among
from core.metrics.intervals import FEWEST, Estimate, undefined, without_interval
from core.review.agreement import latest_reads
from core.review.cases import neutral_name
from core.review.walkthroughs import Walkthrough

COLUMNS = (
    "place", "study_id", "bone", "label", "score", "outcome", "stratum", "probability", "case_note", "reads",
    "adjudicated", "action", "notes",
)  # fmt: skip
DRAWS = 2_000


def summary_table(walkthrough: Walkthrough, verdicts: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """One row per case in the order of the list (COLUMNS). studies: study_id, bone, label, score, outcome.

    reads: of each reader, in words, then decisions; adjudicated: the readers' common read ('' if they differ or gave
    none); action: what to do with the label. A case whose study is no longer indexed keeps its row, with that as its
    action.
    """
    known = studies.set_index("study_id")
    reads, decided = decisions(verdicts)
    rows = []
    for place, case in enumerate(walkthrough.cases, 1):
        study = known.loc[case.study_id] if case.study_id in known.index else None
        case_reads = reads[reads["study_id"] == case.study_id]
        adjudicated = decided.get(case.study_id, "")
        label = None if study is None or pd.isna(study["label"]) else float(study["label"])
        rows.append(
            {
                "place": place,
                "study_id": case.study_id,
                "bone": "" if study is None else study["bone"],
                "label": {1.0: "abnormal", 0.0: "normal", None: ""}[label],
                "score": np.nan if study is None else study["score"],
                "outcome": "" if study is None else study["outcome"],
                "stratum": case.stratum,
                "probability": case.probability,
                "case_note": case.note,
                "reads": "; ".join(map(_read_text, case_reads.itertuples())),
                "adjudicated": adjudicated,
                "action": _action(study is not None, len(case_reads), adjudicated, label),
                "notes": " | ".join(f"{row.reviewer}: {row.note}" for row in case_reads.itertuples() if row.note),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _read_text(row) -> str:
    """A read or a decision in words, such as `Ana: abnormal` or `decision by Ben: normal`."""
    by = "decision by " if row.kind == "adjudication" else ""
    return f"{by}{row.reviewer}: {row.read.replace('_', ' ')}"


def masked(table: pd.DataFrame, hidden: set[str]) -> pd.DataFrame:
    """The table without all that gives away the cases that are still read blind: only place and bone stay."""
    rows = among(table["study_id"], hidden)
    done = table.copy()
    done.loc[rows, "study_id"] = done.loc[rows, "study_id"].map(neutral_name)
    for name in ("label", "outcome", "stratum", "case_note", "reads", "adjudicated", "notes"):
        done.loc[rows, name] = ""
    done.loc[rows, ["score", "probability"]] = np.nan
    done.loc[rows, "action"] = "not revealed yet"
    return done


def decisions(verdicts: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Each reader's latest read, and each study's decision: the latest adjudication, else the readers' common read."""
    reads = latest_reads(verdicts)
    common = reads.groupby("study_id")["read"].agg(lambda found: found.iloc[0] if found.nunique() == 1 else "")
    decided = common[common != ""].to_dict()
    last = verdicts[verdicts["kind"] == "adjudication"].sort_values(["created", "sequence"])
    decided |= last.drop_duplicates("study_id", keep="last").set_index("study_id")["read"].to_dict()
    return pd.concat([reads, last]).sort_values(["study_id", "kind", "created"], key=_decisions_last), decided


def _decisions_last(column: pd.Series) -> pd.Series:
    return column == "adjudication" if column.name == "kind" else column


def adjudicated_figures(table: pd.DataFrame, threshold: float, seed: int = 0) -> dict[str, Estimate]:
    """Sensitivity and specificity against the readers' decisions, each case weighted by 1 / probability.

    Keys: sensitivity, specificity, and both `_unweighted`. Percentile bootstrap within strata. For cases chosen by
    hand the figures describe the list, not the split.
    """
    rows = table[table["adjudicated"].isin(("abnormal", "normal")) & table["score"].notna()]
    called = (rows["score"] >= threshold).to_numpy()
    found = (rows["adjudicated"] == "abnormal").to_numpy()
    weight = 1 / rows["probability"].to_numpy(float)
    strata = pd.factorize(rows["stratum"])[0]
    return {
        "sensitivity": _weighted(called, found, weight, strata, "abnormal", seed),
        "specificity": _weighted(~called, ~found, weight, strata, "normal", seed),
        "sensitivity_unweighted": _weighted(called, found, np.ones(len(rows)), strata, "abnormal", seed),
        "specificity_unweighted": _weighted(~called, ~found, np.ones(len(rows)), strata, "normal", seed),
    }


def _action(indexed: bool, readers: int, adjudicated: str, label: float | None) -> str:
    if not indexed:
        return "no longer in the index"
    if not readers:
        return "not read"
    if not adjudicated:
        return "readers differ: a third reader decides"
    if adjudicated in ("abnormal", "normal"):
        given = {1.0: "abnormal", 0.0: "normal", None: ""}[label]
        return "label confirmed" if adjudicated == given else f"correct the label to {adjudicated}"
    return {"unreadable": "leave out: unreadable", "out_of_scope": "leave out: out of scope"}[adjudicated]


def _weighted(right, among, weight, strata, word: str, seed: int) -> Estimate:
    count = int(among.sum())
    if count == 0:
        return undefined(0, f"no case was read as {word}")
    value = float((weight * right * among).sum() / (weight * among).sum())
    if count < FEWEST:
        return without_interval(value, count, f"no interval: {count} read as {word}, at least {FEWEST} needed")
    random, drawn = np.random.default_rng(seed), np.zeros((DRAWS, len(weight)))
    for stratum in np.unique(strata):
        inside = np.flatnonzero(strata == stratum)
        drawn[:, inside] = random.multinomial(len(inside), np.full(len(inside), 1 / len(inside)), DRAWS)
    below = drawn @ (weight * among)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(below > 0, drawn @ (weight * right * among) / below, np.nan)
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return Estimate(value, float(low), float(high), count)
