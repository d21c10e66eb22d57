"""Columns of an imported table on pages: slices of the Bones page, and the filter's groups."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from core.data.label_levels import LabelRule
from core.scores.import_frame import Columns
from core.scores.imports import imported_predictions, read_imported
from core.scores.index_columns import study_columns, study_groups
from core.workflows.import_scores import import_scores
from dashboard.errors import filters
from tests.dashboard.conftest import open_page, words


def table() -> pd.DataFrame:
    random = np.random.default_rng(1)
    label = random.integers(0, 2, 120)
    frame = pd.DataFrame({"study": np.arange(120), "label": label, "score": (label + random.random(120)) / 2})
    return frame.assign(
        sex=np.where(np.arange(120) % 3 == 0, "M", "F"),
        age=np.arange(120) / 2,
        report="text " + frame["study"].astype(str),
    )


def test_groups_are_offered_for_columns_with_few_values(tmp_path, workspace):
    table().to_csv(tmp_path / "s.csv", index=False)
    import_scores(tmp_path / "s.csv", "other", Columns("label", "score", "study"), labels=LabelRule("study"))
    frame = imported_predictions(read_imported("other"))
    groups = study_groups(frame)
    assert list(groups) == ["sex", "age"] and groups["sex"].value_counts().to_dict() == {"F": 80, "M": 40}
    assert len(groups["age"].cat.categories) == 3
    assert list(study_columns(frame)) == ["sex", "age", "report"]


def test_the_bones_page_slices_by_a_column(house, tmp_path):
    table().to_csv(tmp_path / "s.csv", index=False)
    import_scores(tmp_path / "s.csv", "columns", Columns("label", "score", "study"), labels=LabelRule("study"))
    app = open_page("bones", data="columns (scores only)", model="columns", slices="Other column", column="sex")
    text = words(app)
    assert not app.exception and "sex F" in text and "sex M" in text and "80<small>" in text


def test_the_errors_page_lists_the_studies_of_one_group(monkeypatch):
    table = pd.DataFrame({"study_id": list("abc"), "outcome": "FN", "n_views": 1}).set_index("study_id", drop=False)
    groups = pd.DataFrame({"cast": pd.Categorical([0, 1, None], [0, 1], ordered=True)}, index=list("bac"))
    monkeypatch.setattr(filters.loaders, "study_groups", lambda view: groups)
    wanted = filters.Filters("FN", column="cast", group="1")
    assert filters.matching_rows(SimpleNamespace(table=table), wanted, None).tolist() == [0]
