"""The Bones page shows the figures of `slice_table`, marks small slices, and keeps every choice in the address."""

import pandas as pd
import pytest

from core.data.decode import measures_table
from core.data.index import read_dataset, read_index
from core.metrics.studies import study_table
from core.metrics.subgroups import slice_table, slice_words
from core.paths import predictions_folder
from core.scores.predictions import read_file
from dashboard.bones.table import cell, main_html
from tests.dashboard.conftest import made_up_view, open_page, words


@pytest.fixture
def studies(house):
    return study_table(read_file(predictions_folder("demo") / "alpha.parquet").query("split == 'valid'"))


def test_every_bone_is_a_row_with_its_figures(studies):
    app = open_page("bones", threshold="0.4", split="valid")
    text, table = words(app), slice_table(studies, 0.4)
    assert not app.exception and len(app.get("plotly_chart")) == 3
    for row in table.to_dict("records"):
        assert cell(row, "sensitivity", "percent") in text and cell(row, "kappa", "ratio") in text
        assert slice_words(row, row["bone"].capitalize()) in text.replace("&#x27;", "'")
    assert f"bones?data=demo&amp;model=alpha&amp;split=valid&amp;bone={table['bone'][0]}" in text


def test_the_chosen_bone_is_marked_and_the_others_are_shown(studies):
    app = open_page("bones", bone="wrist", split="valid")
    text = words(app)
    assert not app.exception and text.count('class="chosen"') == 1 and "Elbow" in text


def test_slices_by_views_within_a_bone(studies):
    app = open_page("bones", slices="Number of views", bone="wrist", split="valid")
    part = studies[studies["bone"] == "wrist"]
    text = words(app)
    few = part[part["n_views"] == part["n_views"].min()]
    assert not app.exception and f"{few['n_views'].iloc[0]} view" in text and len(few) < len(studies)
    assert f"{len(few):,}<small>{int(few['label'].sum()):,} abnormal</small>" in text


def test_measured_quality_is_cut_into_thirds(studies):
    app = open_page("bones", slices="Quality", split="valid")
    if "not measured yet" in words(app):
        measures_table(read_dataset("demo"), read_index("demo"))
        app = open_page("bones", slices="Quality", measure="contrast", split="valid")
    assert not app.exception and app.selectbox(key="measure").value in ("contrast", "p1")
    assert "Up to" in words(app) and "Above" in words(app)


def test_a_hostile_name_is_escaped():
    studies = pd.DataFrame({"bone": ["<script>"] * 4, "label": [1.0, 0, 1, 0], "score": [0.9, 0.1, 0.4, 0.6]})
    studies = studies.assign(study_id=list("abcd"), group_id=list("abcd"))
    table = slice_table(studies, 0.5)
    html = main_html(table, table.iloc[0].to_dict(), "bone", {"<script>": "<script>"}, made_up_view())
    assert "<script>" not in html and "&lt;script&gt;" in html and "bone=%3Cscript%3E" in html


def test_quality_of_scores_without_radiographs_says_what_to_do(house, tmp_path):
    from core.scores.import_frame import Columns
    from core.workflows.import_scores import import_scores

    frame = read_file(predictions_folder("demo") / "alpha.parquet")
    frame.to_csv(tmp_path / "scores.csv", index=False)
    import_scores(tmp_path / "scores.csv", "bare", Columns("label", "logit", "study_id", "image_id"), scale="logit")
    app = open_page("bones", data="bare (scores only)", slices="Quality")
    assert not app.exception and "no radiographs to measure" in words(app)
    app = open_page("bones", data="bare (scores only)")
    assert not app.exception and "A slice is compared with the other studies" in words(app)
