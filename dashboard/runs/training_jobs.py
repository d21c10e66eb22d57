"""Start, watch, stop and resume training jobs, which continue without the page."""

from collections.abc import Callable
from html import escape

import pandas as pd
import streamlit as st

from core import jobs
from core.data.index import Dataset
from core.errors import OverreadError
from core.jobs.gpu import gpu_text
from core.models.checkpoint import HISTORY
from core.paths import checkpoint_folder
from core.plural import count_text
from core.training.recipes import DESCRIPTIONS, RECIPES
from core.workflows.runs import enqueue_run, resume_run
from dashboard.runs import charts
from dashboard.shared import dataset_tables as tables
from dashboard.shared import widgets

MOST_LISTED = 8
MARKS = {
    "running": "abnormal",
    "waiting": "unknown",
    "done": "normal",
    "stopped": "unknown",
    "failed": "missed",
    "interrupted": "alarm",
}


def draw_jobs(dataset: Dataset) -> None:
    """Draw the form that starts a run, then the last jobs."""
    active = any(job.active for job in jobs.list_jobs("training"))
    with st.expander("Start a run", icon=":material/play_arrow:"):
        draw_form(dataset)
    # Drawn again every two seconds while a job is active.
    st.fragment(run_every=2 if active else None)(draw_list)(active)


def draw_form(dataset: Dataset) -> None:
    """Draw recipe, name and settings, with the share of abnormal radiographs that training would see."""
    left, right = st.columns(2)
    recipe = left.selectbox("Recipe", list(RECIPES), key="job_recipe")
    out = right.text_input("Name of the checkpoint", key="job_out", placeholder=f"{dataset.name}-{recipe}")
    hint = "epochs=10\nsize=128\nbalance=weight"
    settings = left.text_area("Settings, one key=value per line", key="job_settings", placeholder=hint, height=110)
    folds = right.number_input("Folds (0: a single network)", 0, 20, 0, key="job_folds")
    chosen = RECIPES[recipe]
    left.caption(DESCRIPTIONS[recipe])
    lines = [line.strip() for line in (settings or "").splitlines() if line.strip()]
    balance = next((line.split("=", 1)[1].strip() for line in lines if line.startswith("balance=")), chosen.balance)
    priors = tables.priors(dataset).set_index("balance")["prior"]
    if balance in priors.index:
        right.markdown(f"Training sees {priors[balance]:.1%} abnormal radiographs ({tables.BALANCES[balance]}).")
    if st.button("Start", type="primary", key="job_start"):
        queue_run(lambda: enqueue_run(recipe, dataset.name, out or f"{dataset.name}-{recipe}", lines, int(folds)))


def queue_run(enqueue: Callable[[], jobs.Job]) -> None:
    """Queue a run, or draw the reason why it cannot start."""
    try:
        job = enqueue()
    except OverreadError as error:
        st.error(str(error))
        return
    st.toast(f"{job.arguments['out']} is queued")
    st.rerun()


def draw_list(active: bool) -> None:
    """Draw the last jobs with their buttons, and the curves of a running one."""
    listed = jobs.list_jobs("training")[:MOST_LISTED]
    if not listed:
        return
    if active and not any(job.active for job in listed):
        st.rerun()  # the last job has ended, and the page can show its checkpoint
    counts = f"{sum(job.active for job in listed)} waiting or running"
    widgets.caption("Training jobs", ", ".join(filter(None, (counts, gpu_text()))))
    latest = {job.arguments["out"]: job.id for job in reversed(listed)}
    for job in listed:
        draw_training_job(job, latest[job.arguments["out"]] == job.id)
    for job in listed:
        if job.state == "running":
            draw_live(job)


def draw_training_job(job: jobs.Job, latest: bool) -> None:
    """Draw one job with its button. latest: whether it is the last job of its checkpoint, which can be resumed."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        run = job.arguments
        folds = [count_text(run["folds"], "fold")] if run["folds"] else []
        settings = [run["recipe"], "on", run["data"], *run["settings"], *folds]
        words = job.message if job.state in ("failed", "interrupted") else progress_text(job)
        st.html(
            f'<div class="job"><span class="mark {MARKS[job.state]}">{job.state}</span> <b>{escape(run["out"])}</b> '
            f"<span>{escape(' '.join(settings))}</span> <small>{escape(words)}</small></div>",
            width="stretch",
        )
        if job.active:
            st.button("Stop", key=f"stop_{job.id}", icon=":material/stop:", on_click=jobs.stop, args=(job.id,))
        elif (
            latest
            and job.state in ("stopped", "interrupted", "failed")
            and st.button("Resume", key=f"resume_{job.id}", icon=":material/replay:")
        ):
            queue_run(lambda: resume_run(job))


def progress_text(job: jobs.Job) -> str:
    """The progress of a job; before it has any, the time at which it was queued."""
    if not job.progress:
        return job.created.replace("T", " ")[:16]
    return f"{job.progress['what']}: {job.progress['done']:,} of {job.progress['total']:,}"


def draw_live(job: jobs.Job) -> None:
    """Draw the curves so far, and the end of the log."""
    out = job.arguments["out"]
    try:
        rows = pd.read_csv(checkpoint_folder(out) / HISTORY)
    except (OSError, ValueError):
        rows = pd.DataFrame()
    if len(rows):
        with st.grid(3, min_column_width=300):
            for measure in ("tune_auroc", "loss", "rates"):
                widgets.show_figure(charts.curve({out: rows}, measure, {}), f"live_{measure}")
    with st.expander("Log"):
        st.code(jobs.log_of(job.id) or "empty so far", language=None, wrap_lines=True)
