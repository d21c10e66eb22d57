"""Training runs: curves, two runs overlaid, and where their recipes differ."""

import json
import shlex

import pandas as pd
import streamlit as st

from core.models.checkpoint import Checkpoint
from dashboard.runs import charts as history
from dashboard.runs import jobs
from dashboard.shared import loaders, selection, widgets


def show() -> None:
    view = selection.current()
    dataset = view.dataset
    if view.source.model is None:
        widgets.heading("Training runs", dataset, dataset.name)
        widgets.empty(
            "There is no checkpoint to read",
            "Start a run here, or in a terminal; it appears as soon as its first epoch is done.",
            f"python -m core train original-cnn-64 --data {shlex.quote(dataset.name)} --out original-cnn-64",
        )
        jobs.show(dataset)
        return
    checkpoint = view.source.model
    widgets.heading("Training runs", dataset if checkpoint.manifest.get("phantom") else None, checkpoint.name)
    jobs.show(dataset)
    others = [name for name in loaders.checkpoints()[0] if name != checkpoint.name]
    beside = (
        st.selectbox(
            "Compare with", others, index=None, key="beside", bind="query-params", placeholder="No other run", width=360
        )
        if others
        else None
    )
    runs = [checkpoint] + ([loaders.checkpoints()[0][beside]] if beside else [])
    show_facts(checkpoint)
    show_curves(runs)
    show_recipes(runs)


def show_facts(checkpoint: Checkpoint) -> None:
    """What came out, of how much work."""
    rows, about = checkpoint.history(), checkpoint.manifest
    if rows.empty:
        return
    kept = rows[rows["best"]].iloc[-1] if rows["best"].any() else rows.iloc[-1]
    low, high = kept.get("tune_auroc_low"), kept.get("tune_auroc_high")
    interval = f"({low:.3f}-{high:.3f}), n = {int(kept['tune_studies']):,} studies" if pd.notna(low) else "no interval"
    area = f"{kept['tune_auroc']:.3f}" if pd.notna(kept["tune_auroc"]) else "Not estimable"
    widgets.facts(
        ("Held-out study AUROC", area, interval),
        ("Kept epoch", f"{int(kept['epoch'])}", f"of {len(rows)} run, {checkpoint.recipe['epochs']} planned"),
        (
            "Time per epoch",
            f"{rows['seconds'].median():.1f} s",
            f"{rows['images_per_second'].median():,.0f} radiographs/s",
        ),
        ("Parameters", f"{about.get('parameters', 0) / 1e6:.2f} M", checkpoint.recipe["architecture"]),
        ("Trained on", str(about.get("dataset", "unknown")), str(about.get("precision", ""))),
    )


def show_curves(runs: list[Checkpoint]) -> None:
    """One chart a measure; an open circle marks the epoch whose weights were kept."""
    histories = {run.name: run.history() for run in runs}
    histories = {name: rows for name, rows in histories.items() if len(rows)}
    if not histories:
        widgets.empty("No history", f"{runs[0].name} has no history.csv; training writes one line an epoch.")
        return
    best = {name: int(rows.loc[rows["best"], "epoch"].max()) for name, rows in histories.items() if rows["best"].any()}
    with st.grid(4, min_column_width=270):
        for measure in ("tune_auroc", "loss", "rates", "seconds"):
            if not history.is_there(histories, measure):
                continue  # older runs kept no accuracy, precision and recall
            widgets.show_figure(history.curve(histories, measure, best), f"curve_{measure}")


def show_recipes(runs: list[Checkpoint]) -> None:
    """Every setting; with two runs, those that differ stand first."""
    table = pd.DataFrame({run.name: flat(run.recipe) for run in runs})
    differs = table.nunique(axis=1, dropna=False) > 1
    if len(runs) > 1:
        widgets.caption("Recipes", f"{int(differs.sum())} of {len(table)} settings differ, shown first")
        table = pd.concat([table[differs], table[~differs]])
    else:
        widgets.caption("Recipe", f"{len(table)} settings")
    st.dataframe(table.rename_axis("setting").reset_index(), hide_index=True, height=min(36 * len(table) + 40, 460))


def flat(recipe: dict, before: str = "") -> dict[str, str]:
    """A recipe as one level of names: `augmentation.rotation`."""
    found = {}
    for name, value in recipe.items():
        inside = isinstance(value, dict) and name == "augmentation"
        found |= (
            flat(value, f"{name}.")
            if inside
            else {before + name: value if isinstance(value, str) else json.dumps(value)}
        )
    return found


show()
