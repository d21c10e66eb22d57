"""Start, watch, stop, resume and continue training jobs, which continue without the page."""

from collections.abc import Callable
from html import escape

import pandas as pd
import streamlit as st

from core import jobs
from core.data.index import Dataset
from core.errors import OverreadError
from core.jobs.gpu import gpu_text
from core.models.checkpoint import HISTORY, Checkpoint
from core.paths import checkpoint_folder
from core.plural import count_text
from core.progress import progress_from
from core.scores.learning import learned
from core.scores.view import View
from core.training.recipe import Recipe
from core.training.recipes import RECIPES
from core.workflows.runs import (
    continue_run,
    enqueue_estimate,
    enqueue_run,
    find_estimate,
    find_estimate_job,
    finished_checkpoint,
    free_name,
    resume_run,
    settings_between,
)
from dashboard.runs import charts, recipe_form
from dashboard.shared import address, loaders, selection, widgets
from dashboard.shared import dataset_tables as tables
from dashboard.shared.address_kinds import Text
from dashboard.shared.job_status import draw_job
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate

MOST_LISTED = 8
MARKS = {
    "running": "abnormal",
    "waiting": "unknown",
    "done": "normal",
    "stopped": "unknown",
    "failed": "missed",
    "interrupted": "alarm",
}


def draw_jobs(view: View) -> None:
    """Draw the form that starts a run, then the last jobs."""
    active = any(job.active for job in jobs.list_jobs("training"))
    opened = bool(address.value("augmentation", Text(2_000)))
    with st.expander("Start a run", expanded=opened, icon=":material/play_arrow:"), widgets.guarded():
        draw_form(view.dataset)
    # Drawn again every two seconds while a job is active.
    st.fragment(run_every=2 if active else None)(draw_list)(active, view)


def draw_form(dataset: Dataset) -> None:
    """Draw the recipe and its settings, the share of abnormal radiographs that training would see, and an estimate."""
    left, right = st.columns(2)
    with left:
        name = recipe_form.choose_recipe()
    out = right.text_input("Name of the checkpoint", key="job_out", placeholder=f"{dataset.name}-{name}")
    folds = int(right.number_input("Folds (0: a single network)", 0, 20, 0, key="job_folds"))
    try:
        chosen = recipe_form.draw_settings(name, dataset)
    except OverreadError as error:
        st.error(plain(error))
        st.button("Start", type="primary", key="job_start", disabled=True)
        return
    settings = settings_between(RECIPES[name], chosen)
    if settings:
        widgets.note(f"Changed: {' '.join(settings)}")
    priors = tables.priors(dataset).set_index("balance")["prior"]
    if chosen.balance in priors.index:
        st.markdown(
            f"{priors[chosen.balance]:.1%} of the radiographs in training are abnormal "
            f"({tables.BALANCES[chosen.balance]})."
        )
    draw_estimate(chosen, dataset, settings, folds)
    if st.button("Start", type="primary", key="job_start", **gate("train")):
        queue_run(lambda: enqueue_run(name, dataset.name, out or free_name(f"{dataset.name}-{name}"), settings, folds))


def draw_estimate(recipe: Recipe, dataset: Dataset, settings: list[str], folds: int) -> None:
    """Draw the time and memory of this run with their basis, or the button that measures them in a job."""
    found = find_estimate(recipe, dataset)
    if found:
        widgets.note(f"{found.text(folds)} {found.basis}")
        return
    active = draw_job(
        lambda: find_estimate_job(dataset), lambda job: "Timing a few steps", "Earlier estimates are kept."
    )
    if st.button("Estimate time and memory", key="job_estimate", icon=":material/timer:", **gate("train", active)):
        queue_run(lambda: enqueue_estimate(recipe.name, dataset, settings), "The estimate")


def queue_run(enqueue: Callable[[], jobs.Job], what: str = "") -> None:
    """Queue a run or `what`, or draw the reason why it cannot start."""
    try:
        job = enqueue()
    except OverreadError as error:
        st.error(plain(error))
        return
    st.toast(plain(f"{what or job.arguments['out']} is queued"))
    st.rerun()


def draw_list(active: bool, view: View) -> None:
    """Draw the last jobs with their buttons, and the curves of a running one."""
    for name, reason in jobs.broken_jobs().items():
        widgets.empty(f"The job {name} cannot be read", reason)
    listed = jobs.list_jobs("training")[:MOST_LISTED]
    if not listed:
        return
    if active and not any(job.active for job in listed):
        st.rerun()  # the last job has ended, and the page can show its checkpoint
    counts = f"{sum(job.active for job in listed)} waiting or running"
    widgets.caption("Training jobs", ", ".join(filter(None, (counts, gpu_text()))))
    latest = {job.arguments["out"]: job.id for job in reversed(listed)}
    for job in listed:
        draw_training_job(job, latest[job.arguments["out"]] == job.id, view)
    for job in listed:
        if job.state == "running":
            draw_live(job)


def draw_training_job(job: jobs.Job, latest: bool, view: View) -> None:
    """Draw one job with its buttons. latest: whether it is the last job of its checkpoint, which can be resumed."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        run = job.arguments
        folds = [count_text(run["folds"], "fold")] if run["folds"] else []
        settings = [run["recipe"], "on", run["data"], *run["settings"], *folds]
        words = job.message if job.state in ("failed", "interrupted") else progress_text(job)
        written = finished_checkpoint(job, loaders.checkpoints()[0]) if latest else None
        st.html(
            f'<div class="job"><span class="mark {MARKS[job.state]}">{job.state}</span> <b>{escape(run["out"])}</b> '
            f"{learned_html(written)}<span>{escape(' '.join(settings))}</span> <small>{escape(words)}</small></div>",
            width="stretch",
        )
        if job.active:
            st.button(
                "Stop",
                key=f"stop_{job.id}",
                icon=":material/stop:",
                on_click=jobs.stop,
                args=(job.id,),
                **gate("train"),
            )
        elif (
            latest
            and job.state in ("stopped", "interrupted", "failed")
            and st.button("Resume", key=f"resume_{job.id}", icon=":material/replay:", **gate("train"))
        ):
            queue_run(lambda: resume_run(job))
        elif written:
            draw_finished(job, written, view)


def learned_html(checkpoint: Checkpoint | None) -> str:
    """The AUROC on the held-out fold, and a mark where the run has not shown that it learned anything."""
    if checkpoint is None:
        return ""
    found = learned(checkpoint)
    mark = f'<span class="mark alarm">{escape(found.mark)}</span> ' if found.mark else ""
    return f"{mark}<small>{escape(found.figure)}</small> "


def draw_finished(job: jobs.Job, checkpoint: Checkpoint, view: View) -> None:
    """Draw what a finished run offers: to open it, to train it for more epochs, and to compare it."""
    name = checkpoint.name
    st.button(
        "Open", key=f"open_{job.id}", icon=":material/open_in_full:", on_click=selection.choose,
        kwargs={"data": job.arguments["data"], "model": name},
    )  # fmt: skip
    if not job.arguments["folds"]:
        with st.popover("Continue", icon=":material/more_time:"):
            epochs = st.number_input("More epochs", 1, None, 5, key=f"epochs_{job.id}")
            widgets.note(f"A new run begins from the weights of {name}.")
            if st.button("Train", key=f"continue_{job.id}", **gate("train")):
                queue_run(lambda: continue_run(job, int(epochs)))
    others = [other for other in loaders.sources(view.dataset) if other != name]
    other = view.source.name if view.source.name in others else next(iter(others), None)
    if other and st.button("Compare", key=f"compare_{job.id}", icon=":material/compare_arrows:"):
        st.switch_page("compare/page.py", query_params={"data": view.dataset.name, "model": name, "other": other})


def progress_text(job: jobs.Job) -> str:
    """The progress of a job; before it has any, the time at which it was queued."""
    if not job.progress:
        return job.created.replace("T", " ")[:16]
    return progress_from(job.progress).sentence()


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
