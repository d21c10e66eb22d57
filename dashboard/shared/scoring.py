"""From the selection to its scores; where there are none yet, the page says so and offers to make them."""

import shlex

import pandas as pd
import streamlit as st

from core.data.index import Dataset
from core.errors import OverreadError
from core.models.checkpoint import Checkpoint
from core.scores.imports import Imported
from core.scores.source import source_of
from dashboard.shared import loaders, study_tables, widgets
from dashboard.shared.case import loader
from dashboard.shared.selection import ALL, Selection, bone_name


def chosen_parts(chosen: Selection) -> tuple[Dataset, Checkpoint | Imported]:
    """The data set and whose scores are judged. Without any the page ends with what to do."""
    dataset = loaders.choosable()[chosen.dataset]
    whole, broken = loaders.sources(dataset), loaders.checkpoints()[1]
    if chosen.checkpoint not in whole:
        widgets.heading("No model yet", dataset)
        for name, reason in broken.items():
            widgets.empty(f"{name} cannot be used", reason)
        widgets.empty(
            "There is no checkpoint to read",
            "Train one; it appears here as soon as its first epoch is done.",
            f"python -m core train original-cnn-64 --data {shlex.quote(chosen.dataset)} --out original-cnn-64",
        )
        st.stop()
    return dataset, whole[chosen.checkpoint]


def scored(chosen: Selection, every_bone: bool = False) -> pd.DataFrame:
    """PREDICTIONS of the chosen split and bone. Where there are none, the page ends with the way to make them."""
    dataset, checkpoint = chosen_parts(chosen)
    try:
        found = loaders.predictions(dataset, checkpoint)
    except OverreadError as error:
        found = None
        widgets.empty("The stored scores cannot be used", str(error))
    if found is None:
        offer(dataset, checkpoint)
        st.stop()
    rows = found[found["split"] == chosen.split]
    if chosen.bone != ALL and not every_bone:
        rows = rows[rows["bone"] == chosen.bone]
    if rows.empty:
        widgets.empty(
            f"No radiograph of {bone_name(chosen.bone).lower()} in the split {chosen.split}",
            "Choose another bone or split in the sidebar.",
        )
        st.stop()
    return rows.reset_index(drop=True)


def tables(chosen: Selection, every_bone: bool = False) -> study_tables.Tables:
    """Studies and counts of the chosen split and bone. Without scores the page ends with the way to make them."""
    try:
        found = study_tables.tables(*chosen_parts(chosen), chosen.split, "" if every_bone else chosen.one_bone)
    except OverreadError:
        found = None
    if found is None:
        # Says what is wrong or missing, offers what can be done, and ends the page.
        scored(chosen, every_bone)
    return found


def cases(chosen: Selection, dataset: Dataset, source: Checkpoint | Imported) -> loader.Cases:
    """The cases of the chosen split at the threshold, shared. Where there are none, the page ends as in `scored`."""
    try:
        found = loader.cases(dataset, source, chosen.split, chosen.threshold)
    except OverreadError:
        found = None
    if found is None or found.table.empty:
        scored(chosen, every_bone=True)
        st.stop()
    return found


def offer(dataset: Dataset, checkpoint: Checkpoint) -> None:
    """Say that these scores are missing, and offer to make them."""
    widgets.empty(
        f"{checkpoint.name} has not scored {dataset.name} yet",
        f"Score its {len(loaders.index(dataset.name)):,} radiographs now, or in a terminal:",
        f"python -m core predict {shlex.quote(checkpoint.name)} --data {shlex.quote(dataset.name)}",
    )
    if st.button("Score now", type="primary", key="score_now"):
        score(dataset, checkpoint)
        st.rerun()


def score(dataset: Dataset, checkpoint: Checkpoint) -> None:
    """Score a data set, with progress, and keep the scores."""
    tell = widgets.progress("Loading the network")
    from core.workflows.score import score as score_dataset

    def progress(done: int, total: int, message: str) -> None:
        tell(done / max(total, 1), f"{message}: {done:,} of {total:,}")

    score_dataset(source_of(checkpoint, dataset), progress=progress)
