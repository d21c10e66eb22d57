"""The Dataset page: its radiographs as a grid with filters, orders and faults, and the study of a card."""

import re
import shutil

import numpy as np
import pytest
import streamlit as st

from core import jobs
from core.data.datasets import read_index
from core.data.faults import FAULTS
from core.data.index import read_dataset
from core.data.measure_store import measures_folder
from core.parquet_files import write_parquet
from core.review.cases import neutral_name
from core.workflows.audit_job import audit_dataset
from dashboard.dataset import loader
from tests.dashboard.conftest import House, enter, open_page, words


@pytest.fixture(scope="module")
def audited(built, tmp_path_factory) -> House:
    """A copy of the workspace, which is audited, so that its radiographs have measures. Never written to."""
    house = House(tmp_path_factory.mktemp("audited") / "home", built.checkpoints)
    shutil.copytree(built.home, house.home)
    with pytest.MonkeyPatch.context() as patch:
        enter(house, patch)
        audit_dataset(read_dataset("demo"))
    return house


@pytest.fixture
def own(audited, tmp_path, monkeypatch) -> House:
    """A copy of the audited workspace that a test may write to."""
    house = House(tmp_path / "home", audited.checkpoints)
    shutil.copytree(audited.home, house.home)
    enter(house, monkeypatch)
    return house


def studies(app) -> list[str]:
    """The studies of the cards, in their order."""
    return re.findall(r'data-study="([^"]+)"', words(app))


def test_the_page_begins_with_the_radiographs_in_the_order_of_the_index(house):
    app = open_page("dataset")
    assert not app.exception
    assert studies(app) == read_index("demo")["study_id"].head(24).tolist()


def test_filters_and_bones_narrow_the_grid(house):
    index = read_index("demo")
    app = open_page("dataset", label="Abnormal", part="valid")
    wanted = index[(index["label"] == 1) & (index["split"] == "valid")]
    assert not app.exception and studies(app) == wanted["study_id"].head(24).tolist()
    bone = wanted["bone"].iloc[0]
    app = open_page("dataset", label="Abnormal", part="valid", bone=bone)
    assert studies(app) == wanted.loc[wanted["bone"] == bone, "study_id"].head(24).tolist()
    app = open_page("dataset", label="Unknown")
    assert "No radiograph passes the filters" in words(app)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_one_click(own, fault):
    app = open_page("dataset")
    app.button_group(key="fault").set_value(fault).run()
    rows = loader.radiographs(read_dataset("demo"))
    found = rows[FAULTS[fault].passes(rows)].sort_values(
        FAULTS[fault].order, ascending=FAULTS[fault].lowest, kind="stable"
    )
    assert not app.exception and FAULTS[fault].words[:20] in words(app)
    assert studies(app) == found["study_id"].head(24).tolist()


def test_a_measure_orders_the_grid_and_is_on_the_cards(own):
    rows = loader.radiographs(read_dataset("demo"))
    app = open_page("dataset", order="contrast", end="highest")
    ordered = rows.sort_values("contrast", ascending=False, kind="stable")
    assert studies(app) == ordered["study_id"].head(24).tolist()
    assert f"contrast {ordered['contrast'].iloc[0]:.3g}" in words(app)


def test_a_card_opens_its_study_and_the_next_is_the_next_of_the_grid(house):
    order = list(dict.fromkeys(read_index("demo").query("split == 'valid'")["study_id"]))
    app = open_page("dataset", part="valid", study=order[3])
    assert not app.exception and f"4 of {len(order)}" in " ".join(text.value for text in app.markdown)
    app.button(key="next").click().run()
    assert app.text_input(key="study").value == order[4]
    app.button(key="back").click().run()
    assert len(studies(app)) == 24


def test_blind_reading_hides_labels_and_names(own):
    app = open_page("dataset", blind="true", label="Abnormal", order="contrast")
    index = read_index("demo")
    shown = words(app)
    assert not app.exception and not any(study in shown for study in index["study_id"])
    grid = shown[shown.index('class="gallery"') :]
    assert "mark abnormal" not in grid and "mark normal" not in grid and "contrast" not in grid[:4000]
    by_name = sorted(range(len(index)), key=lambda place: neutral_name(index["image_id"].iat[place]))
    assert studies(app) == [neutral_name(index["study_id"].iat[place]) for place in by_name[:24]]


def test_radiographs_without_measures_offer_an_audit(own, monkeypatch):
    shutil.rmtree(measures_folder(read_dataset("cold")), ignore_errors=True)
    st.cache_data.clear()
    monkeypatch.setattr("core.jobs.queue.start_worker", lambda lane: None)
    app = open_page("dataset", data="cold")
    assert not app.exception and "not measured yet" in words(app) and app.button_group(key="fault").disabled
    app.button(key="measure_now").click().run()
    (job,) = [job for job in jobs.list_jobs("audit") if job.active]
    assert job.arguments["data"] == "cold" and "about to start" in words(app)
    jobs.stop(job.id)


def test_the_groups_of_a_further_column_filter_radiographs(own, monkeypatch):
    index = read_index("demo")
    ages = np.where(np.arange(len(index)) % 3 == 0, "child", "adult")
    dataset = read_dataset("demo")
    write_parquet(dataset.folder / "index.parquet", index.assign(age=ages))
    assert list(loader.groups(dataset)["age"].cat.categories) == ["adult", "child"]
    app = open_page("dataset", column="age", group="child")
    assert not app.exception
    assert studies(app) == index.loc[ages == "child", "study_id"].head(24).tolist()
