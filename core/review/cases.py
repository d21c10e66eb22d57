"""Cases to read: studies with their outcome at a threshold, the radiographs of each, and the filters of a list."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core.among import among
from core.metrics.evaluation import outcome_table
from core.metrics.studies import study_table
from core.review.vocabulary import VERDICTS

# Filters by verdict, beside the names of single verdicts.
WITHOUT_VERDICT, WITH_VERDICT, READERS_DIFFER = "none", "some", "differ"


@dataclass(frozen=True)
class Cases:
    """Studies and their radiographs.

    table: `outcome_table` with study_id as its index as well; the score is NaN and the outcome '' where a study has no
    score. views: radiographs with logit, sha1, width and height, as `sort_views` sorts them. slices: the rows of
    `views` of each study.
    """

    table: pd.DataFrame
    views: pd.DataFrame
    slices: dict[str, slice]
    _found: dict[str, dict] = field(default_factory=dict, compare=False, repr=False)

    def at(self, threshold: float) -> "Cases":
        """The same studies with their outcomes at another threshold. What was looked up in one is known to both."""
        return Cases(with_outcomes(self.table, threshold), self.views, self.slices, self._found)

    def views_of(self, study: str) -> pd.DataFrame:
        """The radiographs of a study in the order of the index, independent of their scores."""
        return self.views.iloc[self.slices.get(study, slice(0, 0))]

    @property
    def by_neutral_name(self) -> dict[str, str]:
        """The study ids by their neutral names."""
        if "name" not in self._found:
            self._found["name"] = {neutral_name(study): study for study in self.table.index}
        return self._found["name"]

    @property
    def by_patient(self) -> dict[str, list[str]]:
        """The studies of each known patient."""
        if "patient" not in self._found:
            known = self.table.dropna(subset="patient_id")
            self._found["patient"] = known.groupby("patient_id")["study_id"].agg(list).to_dict()
        return self._found["patient"]


def neutral_name(study: str) -> str:
    """A name for blind reading: a study id is often a path, and a path may contain the label."""
    return f"case-{hashlib.sha256(study.encode(errors='surrogatepass')).hexdigest()[:12]}"


def sort_views(rows: pd.DataFrame) -> pd.DataFrame:
    """Radiographs sorted by study. rows: in the order of the index, which stays their order within a study."""
    return rows.sort_values("study_id", kind="stable").reset_index(drop=True)


def study_slices(views: pd.DataFrame) -> dict[str, slice]:
    """The rows of each study in a table that is sorted by study."""
    ids = views["study_id"].to_numpy()
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]]) if len(ids) else np.zeros(0, int)
    ends = np.r_[starts[1:], len(ids)]
    return {ids[start]: slice(int(start), int(end)) for start, end in zip(starts, ends)}


def case_table(studies: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """`outcome_table` of STUDIES with study_id as its index as well."""
    return with_outcomes(studies.set_index("study_id", drop=False).rename_axis(None), threshold)


def with_outcomes(table: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """`outcome_table`; the outcome is '' where a study has no score."""
    found = outcome_table(table, threshold)
    found.loc[found["score"].isna(), "outcome"] = ""
    return found


def indexed_cases(index: pd.DataFrame, predictions: pd.DataFrame | None, threshold: float) -> Cases:
    """Every study of an INDEX, with its score if all of its radiographs have one."""
    scored = index.iloc[:0] if predictions is None else predictions
    logits = pd.Series(dtype=float) if predictions is None else predictions.set_index("image_id")["logit"]
    views = sort_views(index.assign(logit=logits.reindex(index["image_id"]).to_numpy(float)))
    by_study = views.groupby("study_id", sort=False)
    table = by_study[["patient_id", "group_id", "bone", "split"]].first()
    # A mean over some of a study's radiographs would not be its score.
    complete = table.index[by_study["logit"].count() == by_study.size()]
    scores = study_table(scored[among(scored["study_id"], complete)]).set_index("study_id")["score"]
    low, high = by_study["label"].min(), by_study["label"].max()
    table["score"], table["label"], table["n_views"] = scores, high.where(low == high), by_study.size()
    return Cases(case_table(table.reset_index(), threshold), views, study_slices(views))


def studies_by_quality(
    views: pd.DataFrame, measures: pd.DataFrame, passes: Callable[[pd.DataFrame], pd.Series]
) -> set[str]:
    """The studies with a radiograph whose quality passes; radiographs without measures do not count.

    measures: measures of image quality by sha1. passes: rows of measures -> bool for each.
    """
    rows = views[["study_id", "sha1"]].merge(measures, left_on="sha1", right_index=True)
    return set(rows.loc[passes(rows), "study_id"]) if len(rows) else set()


def matches_verdict(studies: pd.Series, verdicts: pd.DataFrame, wanted: str) -> np.ndarray:
    """Whether each study id passes a filter by verdict, bool [n].

    verdicts: `verdicts_table` of the data set. wanted: a verdict, WITHOUT_VERDICT, WITH_VERDICT or READERS_DIFFER.
    """
    if wanted in VERDICTS:
        verdicts = verdicts[verdicts["verdict"] == wanted]
    elif wanted == READERS_DIFFER:
        reads = verdicts.groupby("study_id")["read"].nunique()
        return studies.isin(reads.index[reads > 1]).to_numpy()
    return studies.isin(verdicts["study_id"]).to_numpy() ^ (wanted == WITHOUT_VERDICT)


def matches_call(table: pd.DataFrame, scores: pd.Series, threshold: float, same: bool) -> np.ndarray:
    """Whether a second model calls each study as the first does (or not, with same=False), bool [n].

    table: `Cases.table`. scores: the second model's, by study id; studies without one never match.
    """
    other = scores.reindex(table.index).to_numpy(float)
    agrees = (other >= threshold) == table["predicted"].to_numpy().astype(bool)
    return ~np.isnan(other) & (agrees == same)
