"""Many radiographs: which methods are worth looking at for this model, and where it looks when it misses."""

import pandas as pd
import streamlit as st

from core.data.index import Dataset
from core.explain import trust_job
from core.metrics.intervals import wilson
from core.models.checkpoint import Checkpoint
from dashboard.saliency import look, means
from dashboard.shared import loaders, maps, widgets
from dashboard.shared.selection import Selection


def show(dataset: Dataset, checkpoint: Checkpoint, views: pd.DataFrame, chosen: Selection) -> None:
    """The trust table, then mean maps."""
    show_trust(dataset, checkpoint, chosen)
    means.show(dataset, checkpoint, views, chosen)


def show_trust(dataset: Dataset, checkpoint: Checkpoint, chosen: Selection) -> None:
    """What has been judged, and the job that judges more."""
    from core.explain.cohort import trust_table

    rows = maps.judged(checkpoint)
    here = rows[rows["sha1"].isin(set(loaders.index(dataset.name)["sha1"]))]
    widgets.caption(
        "Which method to trust on this model",
        f"{here['sha1'].nunique()} radiographs of {dataset.name} judged" if len(here) else "nothing judged yet",
    )
    if len(here):
        table = trust_table(here)
        st.dataframe(shown_table(table), hide_index=True)
        # Beneath the table, since a last column of sentences is cut off at the window's edge.
        titles, refused = look.registry(), table[table["why"] != ""]
        if len(refused):
            reasons = [f"{titles[name].title}: {why}" for name, why in zip(refused["method"], refused["why"])]
            widgets.note(f"Do not use: {'; '.join(reasons)}.")
        widgets.note(
            "Better: share of maps that find what moves the score sooner than an edge detector does, of those that "
            "could be judged. Likeness: median rank correlation with the maps of shuffled weights; near 1 the method "
            "shows any network the same. On the finding: strongest place within reach of the known abnormality, beside "
            "what a random place hits."
        )
    run_job(dataset, checkpoint, chosen)


def shown_table(table: pd.DataFrame) -> pd.DataFrame:
    """Names and figures as they are read."""
    methods = look.registry()

    def share(k: int, n: int) -> str:
        if not n:
            return "-"
        low, high = wilson(k, n)
        return f"{100 * k / n:.0f}% ({100 * low:.0f}-{100 * high:.0f}), {k} of {n}"

    return pd.DataFrame(
        {
            "Method": [methods[name].title for name in table["method"]],
            "Verdict": table["verdict"],
            "Better than edges": [share(k, n) for k, n in zip(table["better"], table["judged"])],
            "Likeness to shuffled": [_two(value) for value in table["randomisation"]],
            "Stability": [_two(value) for value in table["stability"]],
            "Outside the body": [_percent(value) for value in table["outside"]],
            "On the finding": [
                f"{share(k, n)}; by chance {100 * c:.0f}%" if n else "-"
                for k, n, c in zip(table["hits"], table["pointed"], table["chance"])
            ],
            "Seconds": [_two(value) for value in table["seconds"]],
        }
    )


def run_job(dataset: Dataset, checkpoint: Checkpoint, chosen: Selection) -> None:
    """The form that starts judging a sample, and how far the job is, whoever started it."""
    from core.explain.cohort import DEFAULT_METHODS

    methods = look.registry()
    job = trust_job.read_job(checkpoint)
    active = bool(job and job.active)
    # Looks again by itself while something is going on, and only then.
    st.fragment(run_every=1.5 if active else None)(show_job)(checkpoint, active)
    with st.expander("Judge a sample", icon=":material/play_arrow:"):
        left, right = st.columns([1, 2])
        count = left.slider("Radiographs", 10, 200, 20, 10, key="sample", help="Half of them abnormal, over all bones.")
        names = right.pills(
            "Methods to judge",
            list(methods),
            selection_mode="multi",
            default=list(DEFAULT_METHODS),
            key="judged",
            format_func=lambda name: methods[name].title,
            wrap=True,
        )
        if st.button("Judge them", type="primary", key="judge", disabled=active or not names):
            trust_job.start_job(checkpoint, dataset.name, chosen.split, count, tuple(names))
            st.rerun()
        widgets.note(
            "Runs on by itself in a process of its own, whatever happens to this page; what is judged already is not "
            "judged again."
        )


def show_job(checkpoint: Checkpoint, was_active: bool) -> None:
    """How far it is, a way to stop it, and how it ended."""
    job = trust_job.read_job(checkpoint)
    if job is None:
        return
    if was_active and not job.active:
        st.rerun()
    what = f"{job.sample} radiographs of {job.data}, {job.split}, {len(job.methods)} methods"
    if job.active:
        done = f"{job.done} of {job.total} maps" if job.total else "starting"
        bar, stop = st.columns([5, 1], vertical_alignment="center")
        bar.progress(job.done / max(job.total, 1), f"Judging {what}: {done}; {job.what}")
        if stop.button("Stop", key="stop_judging", help="What is judged already is kept."):
            trust_job.stop_job(checkpoint)
    elif job.state != "done":
        words = {"failed": "failed", "stopped": "was stopped", "interrupted": "was interrupted"}[job.state]
        widgets.note(f"The last job ({what}) {words}{': ' + job.said if job.said else ''}. What was judged is kept.")


def _two(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2f}"


def _percent(value: float) -> str:
    return "-" if pd.isna(value) else f"{100 * value:.0f}%"
