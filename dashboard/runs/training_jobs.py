"""Starting, watching and stopping runs: processes of their own, which neither the page nor its browser ends."""

import shutil
import subprocess
from collections.abc import Callable
from html import escape

import pandas as pd
import streamlit as st

from core import jobs
from core.data.index import Dataset
from core.errors import OverreadError
from core.models.checkpoint import HISTORY
from core.paths import checkpoint_folder
from core.training.recipes import DESCRIPTIONS, RECIPES
from core.workflows.runs import enqueue_run, resume_run
from dashboard.runs import charts as history
from dashboard.shared import dataset_tables as tables
from dashboard.shared import widgets

SHOWN = 8
MARKS = {
    "running": "abnormal",
    "waiting": "unknown",
    "done": "normal",
    "stopped": "unknown",
    "failed": "missed",
    "interrupted": "alarm",
}


def show(dataset: Dataset) -> None:
    """The form, then what was asked for."""
    active = any(job.active for job in jobs.list_jobs("training"))
    with st.expander("Start a run", icon=":material/play_arrow:"):
        form(dataset)
    # Looks again by itself while something is going on, and only then.
    st.fragment(run_every=2 if active else None)(listed)(active)


def form(dataset: Dataset) -> None:
    """Recipe, name, settings; what balancing makes of the prior is said before anything starts."""
    left, right = st.columns(2)
    recipe = left.selectbox("Recipe", list(RECIPES), key="job_recipe")
    out = right.text_input("Name of the checkpoint", key="job_out", placeholder=f"{dataset.name}-{recipe}")
    hint = "epochs=10\nsize=128\nbalance=weight"
    settings = left.text_area("Settings, one key=value a line", key="job_settings", placeholder=hint, height=110)
    folds = right.number_input("Folds (0: one network)", 0, 20, 0, key="job_folds")
    chosen = RECIPES[recipe]
    left.caption(DESCRIPTIONS[recipe])
    lines = [line.strip() for line in (settings or "").splitlines() if line.strip()]
    balance = next((line.split("=", 1)[1].strip() for line in lines if line.startswith("balance=")), chosen.balance)
    priors = tables.priors(dataset).set_index("balance")["prior"]
    if balance in priors.index:
        right.markdown(f"Training sees {priors[balance]:.1%} abnormal, {tables.BALANCES[balance]}.")
    if st.button("Start", type="primary", key="job_start"):
        begin(lambda: enqueue_run(recipe, dataset.name, out or f"{dataset.name}-{recipe}", lines, int(folds)))


def begin(queue: Callable[[], jobs.Job]) -> None:
    """Queue a run, or say why it cannot start."""
    try:
        job = queue()
    except OverreadError as error:
        st.error(str(error))
        return
    st.toast(f"{job.arguments['out']} is queued")
    st.rerun()


def listed(active: bool) -> None:
    """The last runs that were asked for, with buttons; the curve of the one that is running."""
    found = jobs.list_jobs("training")[:SHOWN]
    if not found:
        return
    if active and not any(job.active for job in found):
        st.rerun()  # the last one has ended: the whole page may show its checkpoint
    counts = f"{sum(job.active for job in found)} waiting or running"
    widgets.caption("Runs asked for here", ", ".join(filter(None, (counts, accelerator()))))
    latest = {job.arguments["out"]: job.id for job in reversed(found)}
    for job in found:
        show_job(job, latest[job.arguments["out"]] == job.id)
    for job in found:
        if job.state == "running":
            show_live(job)


def show_job(job: jobs.Job, latest: bool) -> None:
    """One line, with what can be done about it; of several of one checkpoint only the latest can be gone on with."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        run = job.arguments
        folds = [f"in {run['folds']} folds"] if run["folds"] else []
        asked = [run["recipe"], "on", run["data"], *run["settings"], *folds]
        words = job.message if job.state in ("failed", "interrupted") else now(job)
        st.html(
            f'<div class="job"><span class="mark {MARKS[job.state]}">{job.state}</span> <b>{escape(run["out"])}</b> '
            f"<span>{escape(' '.join(asked))}</span> <small>{escape(words)}</small></div>",
            width="stretch",
        )
        if job.active:
            st.button("Stop", key=f"stop_{job.id}", icon=":material/stop:", on_click=jobs.stop, args=(job.id,))
        elif (
            latest
            and job.state in ("stopped", "interrupted", "failed")
            and st.button("Resume", key=f"resume_{job.id}", icon=":material/replay:")
        ):
            begin(lambda: resume_run(job))


def now(job: jobs.Job) -> str:
    """What a running job does at this moment."""
    if not job.progress:
        return job.created.replace("T", " ")[:16]
    return f"{job.progress['what']}: {job.progress['done']:,} of {job.progress['total']:,}"


def show_live(job: jobs.Job) -> None:
    """The curves so far, and the end of what it said."""
    out = job.arguments["out"]
    try:
        rows = pd.read_csv(checkpoint_folder(out) / HISTORY)
    except (OSError, ValueError):
        rows = pd.DataFrame()
    if len(rows):
        with st.grid(3, min_column_width=300):
            for measure in ("tune_auroc", "loss", "rates"):
                widgets.show_figure(history.curve({out: rows}, measure, {}), f"live_{measure}")
    with st.expander("What it says"):
        st.code(jobs.log_of(job.id) or "nothing yet", language=None, wrap_lines=True)


def accelerator() -> str:
    """What the GPU does, in a line; '' where there is none."""
    tool = shutil.which("nvidia-smi")
    if not tool:
        return ""
    asked = "--query-gpu=name,utilization.gpu,memory.used,memory.total"
    try:
        line = subprocess.run([tool, asked, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=2)
        name, busy, used, total = (part.strip() for part in line.stdout.splitlines()[0].split(","))
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return ""
    return f"{name} {busy}% busy, {int(used) / 1024:.1f} of {int(total) / 1024:.0f} GiB"
