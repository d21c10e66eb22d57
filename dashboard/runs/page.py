"""The Runs page: training jobs, curves of one or two runs, and the settings of their recipes."""

import json
import shlex

import pandas as pd
import streamlit as st

from core.models.checkpoint import Checkpoint
from core.plural import count_text
from core.scores.learning import learned
from dashboard.runs import charts
from dashboard.runs.sweeps import draw_sweeps
from dashboard.runs.training_jobs import draw_jobs
from dashboard.shared import address, loaders, selection, widgets


def draw_page() -> None:
    view = selection.current()
    dataset = view.dataset
    if view.source.model is None:
        widgets.heading("Runs", dataset, dataset.name)
        widgets.empty(
            "There is no checkpoint yet",
            "Start a run here or in a terminal; it appears after its first epoch.",
            f"python -m core train original-cnn-64 --data {shlex.quote(dataset.name)} --out original-cnn-64",
        )
        draw_jobs(view)
        draw_sweeps()
        return
    checkpoint = view.source.model
    widgets.heading("Runs", dataset if checkpoint.manifest.get("phantom") else None, checkpoint.name)
    draw_jobs(view)
    others = [name for name in loaders.checkpoints()[0] if name != checkpoint.name]
    beside = (
        address.bound(
            st.selectbox,
            "Compare with",
            others,
            index=None,
            key="beside",
            placeholder="Choose another run",
            width=360,
        )
        if others
        else None
    )
    runs = [checkpoint] + ([loaders.checkpoints()[0][beside]] if beside else [])
    draw_facts(checkpoint)
    draw_curves(runs)
    draw_recipes(runs)
    draw_sweeps()


def draw_facts(checkpoint: Checkpoint) -> None:
    """Draw the AUROC of the kept epoch and the effort of the training."""
    rows, about = checkpoint.history(), checkpoint.manifest
    if rows.empty:
        return
    kept = rows[rows["best"]].iloc[-1] if rows["best"].any() else rows.iloc[-1]
    low, high = kept.get("tune_auroc_low"), kept.get("tune_auroc_high")
    interval = f"({low:.3f}-{high:.3f}), n = {int(kept['tune_studies']):,}" if pd.notna(low) else "no interval"
    warning = learned(checkpoint).warning
    area = f"{kept['tune_auroc']:.3f}" if pd.notna(kept["tune_auroc"]) else "Not estimable"
    widgets.facts(
        ("Held-out study AUROC", area, interval, *(("missed",) if warning else ())),
        ("Kept epoch", f"{int(kept['epoch'])}", f"of {len(rows)}; {checkpoint.recipe['epochs']} planned"),
        (
            "Time per epoch",
            f"{rows['seconds'].median():.1f} s",
            f"{rows['images_per_second'].median():,.0f} radiographs/s",
        ),
        ("Parameters", f"{about.get('parameters', 0) / 1e6:.2f} M", checkpoint.recipe["architecture"]),
        ("Trained on", str(about.get("dataset", "unknown")), str(about.get("precision", ""))),
    )
    if warning:
        widgets.note(warning)


def draw_curves(runs: list[Checkpoint]) -> None:
    """Draw one chart for each measure; a circle marks the epoch whose weights were kept."""
    histories = {run.name: run.history() for run in runs}
    histories = {name: rows for name, rows in histories.items() if len(rows)}
    if not histories:
        widgets.empty(
            "No training history", f"{runs[0].name} has no history.csv, to which training adds a line after each epoch."
        )
        return
    best = {name: int(rows.loc[rows["best"], "epoch"].max()) for name, rows in histories.items() if rows["best"].any()}
    with st.grid(4, min_column_width=270):
        for measure in ("tune_auroc", "loss", "rates", "seconds"):
            if not charts.is_recorded(histories, measure):
                continue  # older runs have no accuracy, precision and recall
            widgets.show_figure(charts.curve(histories, measure, best), f"curve_{measure}")


def draw_recipes(runs: list[Checkpoint]) -> None:
    """Draw every setting; with two runs, the settings that differ are first."""
    table = pd.DataFrame({run.name: flat_settings(run.recipe) for run in runs})
    differs = table.nunique(axis=1, dropna=False) > 1
    if len(runs) > 1:
        widgets.caption("Recipes", f"{int(differs.sum())} of {len(table)} settings differ and are listed first")
        table = pd.concat([table[differs], table[~differs]])
    else:
        widgets.caption("Recipe", count_text(len(table), "setting"))
    widgets.draw_table(table.rename_axis("Setting").reset_index(), height=min(36 * len(table) + 40, 460))


def flat_settings(recipe: dict, before: str = "") -> dict[str, str]:
    """A recipe as one level of names, such as `augmentation.rotation`."""
    found = {}
    for name, value in recipe.items():
        inside = isinstance(value, dict) and name == "augmentation"
        found |= (
            flat_settings(value, f"{name}.")
            if inside
            else {before + name: value if isinstance(value, str) else json.dumps(value)}
        )
    return found


draw_page()
