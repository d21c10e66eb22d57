"""Imported scores on the pages, both as a data set of scores only and as a model of the data set they match."""

import shutil
from dataclasses import replace

import pytest

from core.data.index import build_index, read_dataset, write_dataset
from core.paths import predictions_folder
from core.scores.import_frame import Columns
from core.scores.predictions import read_file
from core.workflows.import_scores import import_scores
from dashboard.page_list import PAGES as RECORDS
from tests.dashboard.conftest import PAGES, House, enter, open_page, words


@pytest.fixture(scope="module")
def with_imports(built, tmp_path_factory) -> House:
    """A copy of the workspace with scores that match its data set and scores without radiographs."""
    folder = tmp_path_factory.mktemp("imports")
    house = House(folder / "home", built.checkpoints)
    shutil.copytree(built.home, house.home)
    with pytest.MonkeyPatch.context() as patch:
        enter(house, patch)
        frame = read_file(predictions_folder("demo") / "alpha.parquet")
        frame.to_csv(folder / "scores.csv", index=False)
        columns = Columns("label", "logit", "study_id", "image_id", "patient_id", "bone", "split")
        import_scores(folder / "scores.csv", "other", columns, scale="logit")
        columns = Columns("label", "logit", image="image_id")
        import_scores(folder / "scores.csv", "matched", columns, scale="logit", data="demo")
    return house


@pytest.fixture
def imported(with_imports, tmp_path, monkeypatch):
    """A copy of that workspace that a test may write to."""
    home = tmp_path / "home"
    shutil.copytree(with_imports.home, home)
    enter(House(home, with_imports.checkpoints), monkeypatch)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_with_scores_without_radiographs(imported, page):
    app = open_page(page, data="other (scores only)")
    assert not app.exception and len(app.title) == 1
    assert app.selectbox(key="data").value == "other (scores only)" and app.selectbox(key="model").value == "other"
    assert ("has no radiographs" in words(app)) == next(one for one in RECORDS if one.name == page).needs_images


def test_errors_of_scores_without_radiographs_are_a_table_of_ids(imported):
    app = open_page("errors", data="other (scores only)", split="valid")
    table = app.dataframe[0].value
    matched = open_page("errors", data="demo", model="matched", split="valid")
    assert len(table) == words(matched).count('class="card"') > 1
    assert table["Score"].is_monotonic_increasing and (table["From the threshold"] < 0).all()
    app.segmented_control(key="outcome").set_value("Found").run()
    assert not app.exception and (app.dataframe[0].value["From the threshold"] >= 0).all()


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_with_matched_scores(imported, page):
    app = open_page(page, data="demo", model="matched")
    assert not app.exception and app.selectbox(key="model").value == "matched"
    assert ("needs the network itself" in words(app)) == next(one for one in RECORDS if one.name == page).needs_network


def test_matched_scores_show_the_errors_of_the_model_they_came_from(imported):
    theirs, ours = (words(open_page("errors", model=model)) for model in ("matched", "alpha"))
    assert theirs.count('class="card"') == ours.count('class="card"') > 1


def test_the_threshold_page_reads_the_same_figures_from_imported_scores(imported):
    theirs = open_page("threshold", data="other (scores only)", split="valid")
    ours = open_page("threshold", model="alpha", split="valid")
    figures = [block.value for block in theirs.html if 'class="facts"' in block.value]
    assert figures and figures == [block.value for block in ours.html if 'class="facts"' in block.value]


def test_matched_scores_stay_usable_after_their_data_set_is_indexed_again(imported):
    demo = read_dataset("demo")
    indexed = build_index(demo.root)
    write_dataset("demo", replace(indexed, frame=indexed.frame.iloc[1:], phantom=True))
    app = open_page("threshold", data="matched (scores only)")
    assert not app.exception and app.selectbox(key="model").value == "matched"


def test_with_imported_scores_only_no_demo_is_made(built, tmp_path, monkeypatch):
    read_file(built.home / "predictions" / "demo" / "alpha.parquet").to_csv(tmp_path / "scores.csv", index=False)
    enter(House(tmp_path / "home", tmp_path / "none"), monkeypatch)
    columns = Columns("label", "logit", "study_id", "image_id", "patient_id", "bone", "split")
    import_scores(tmp_path / "scores.csv", "other", columns, scale="logit")
    app = open_page("overview", data="")
    assert not app.exception and app.selectbox(key="data").options == ["other (scores only)"]
    assert not (tmp_path / "home" / "phantoms").exists()


def test_the_choice_can_return_from_scores_to_radiographs(imported):
    app = open_page("overview", data="other (scores only)")
    app.selectbox(key="data").set_value("demo").run()
    assert not app.exception and app.selectbox(key="model").value in ("alpha", "other", "matched")
