"""The radiographs of a data set as a grid of cards, and the study of one of them."""

import numpy as np
import pandas as pd
import streamlit as st

from core import jobs
from core.data.faults import FAULTS
from core.data.index import Dataset
from core.data.measures import MEASURES
from core.errors import OverreadError
from core.plural import count_text
from core.scores.view import View
from core.workflows.audit_job import enqueue_audit, find_audit_job
from dashboard.dataset import loader
from dashboard.dataset.filters import GridFilters, draw_filters, listed
from dashboard.shared import address, clicks, widgets
from dashboard.shared.address_kinds import Number, Text
from dashboard.shared.case import cards, open_study, reader_name
from dashboard.shared.case import loader as case_loader
from dashboard.shared.case.blind_mode import is_blind
from dashboard.shared.case.case_view import ReadingSession, draw_case
from dashboard.shared.plain import plain

PER_PAGE = 24


def draw_radiographs(view: View) -> bool:
    """Draw the grid, or the study of a card that was clicked. Returns whether a study is open."""
    blind = is_blind()
    rows = loader.radiographs(view.dataset)
    with st.container(key="silent"):
        clicks.on_card(open_study.open_study)
    filters = draw_filters(view, rows, blind)
    places = listed(view.dataset, rows, filters)
    asked = st.session_state["study"] if "study" in st.session_state else address.value("study", Text())
    if asked and _draw_study(view, blind, list(dict.fromkeys(rows["study_id"].to_numpy()[places]))):
        return True
    draw_measuring(view.dataset, rows)
    if len(places):
        draw_grid(view, rows, filters, places)
    else:
        widgets.empty("No radiograph passes the filters", "Choose another bone, label, split or fault.")
    return False


def _draw_study(view: View, blind: bool, order: list[str]) -> bool:
    """Draw the study of the address between its neighbours in the grid; False where there is no such study."""
    cases = case_loader.all_studies(view)
    study = open_study.choose_study(cases, blind, order)
    if open_study.draw_missing_study() or not study:
        return False
    draw_case(ReadingSession(view, cases, reader_name.reader_name(), blind), study, order, open_study.open_study)
    return True


def draw_grid(view: View, rows: pd.DataFrame, filters: GridFilters, places: np.ndarray) -> None:
    """Draw one page of cards. Their thumbnails are made when they are first shown."""
    pages = -(-len(places) // PER_PAGE)
    page = min(st.session_state.get("page") or 1, pages)
    shown = rows.iloc[places[(page - 1) * PER_PAGE : page * PER_PAGE]]
    widgets.caption("Radiographs", f"{len(places):,} of {len(rows):,}; {_order_text(filters)}")
    if filters.fault:
        widgets.note(FAULTS[filters.fault].words)
    widgets.gallery(
        [_card(view, shown.iloc[place : place + 1], filters) for place in range(len(shown))], "11rem", "8.5rem"
    )
    if pages > 1:
        with st.container(horizontal_alignment="center"):
            address.bound(st.pagination, pages, key=address.key("page", Number(1, pages, whole=True)))


def draw_measuring(dataset: Dataset, rows: pd.DataFrame) -> None:
    """Where radiographs have no measures yet, offer the job that makes them, and show its progress."""
    known = rows.reindex(columns=list(MEASURES)).notna()
    missing = int((~known.all(axis=1)).sum())
    job = find_audit_job(dataset)
    if not missing or (job and job.state == "done" and known["p50"].equals(known["lines"])):
        return  # after a whole audit, only files that cannot be decoded lack measures
    running = bool(job and job.active)
    with st.container(horizontal=True, vertical_alignment="center"):
        state = (
            _progress_text(job)
            if job and running
            else "An audit measures them, for the lists of faults and the orders."
        )
        widgets.note(f"{count_text(missing, 'radiograph')} not measured yet. {state}")
        if not running and st.button("Measure now", key="measure_now", icon=":material/straighten:"):
            try:
                enqueue_audit(dataset)
            except OverreadError as error:
                st.error(plain(error))
            else:
                st.rerun()


def _progress_text(job: jobs.Job) -> str:
    found = job.progress
    return f"An audit is running: {found['done']:,} of {found['total']:,}." if found else "An audit is about to start."


def _order_text(filters: GridFilters) -> str:
    if filters.blind:
        return "in a random order"
    if not filters.measure:
        return "in the order of the index"
    lowest = filters.lowest if filters.order else FAULTS[filters.fault].lowest
    return f"{'lowest' if lowest else 'highest'} {filters.measure} first"


def _card(view: View, files: pd.DataFrame, filters: GridFilters) -> str:
    row = files.iloc[0]
    if filters.blind:
        return cards.blind_card(view, row["study_id"], row["bone"], files, page="dataset")
    value = row[filters.measure] if filters.measure else np.nan
    study = {"bone": row["bone"], "label": row["label"], "score": np.nan, "study_id": row["study_id"]}
    tag = f"{filters.measure} {value:.3g}" if value == value else ""
    return cards.label_card(view, study, files, tag, page="dataset")
