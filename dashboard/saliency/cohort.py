"""Many radiographs: which methods are worth looking at for this model, and where it looks when it misses."""

import pandas as pd
import streamlit as st

from core.errors import OverreadError
from core.jobs import Job
from core.metrics.intervals import wilson
from core.scores.view import View
from core.workflows.trust import TrustSample, enqueue_check, find_check_job
from dashboard.saliency import look, means
from dashboard.shared import loaders, maps, widgets
from dashboard.shared.job_status import draw_job


def show(view: View, views: pd.DataFrame) -> None:
    """The trust table, then mean maps."""
    show_trust(view)
    means.show(view, views)


def show_trust(view: View) -> None:
    """What has been judged, and the job that judges more."""
    from core.explain.cohort import trust_table

    rows = maps.judged(view.source.model)
    here = rows[rows["sha1"].isin(set(loaders.index(view.dataset)["sha1"]))]
    widgets.caption(
        "Which method to trust on this model",
        f"{here['sha1'].nunique()} radiographs of {view.source.data} judged" if len(here) else "nothing judged yet",
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
    run_job(view)


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


def run_job(view: View) -> None:
    """The progress of the job that judges a sample, and the form that starts one."""
    from core.explain.cohort import DEFAULT_METHODS

    methods = look.registry()
    source = view.source
    active = draw_job(lambda: find_check_job(source), describe_job, "Maps judged so far are kept.")
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
            try:
                enqueue_check(source, TrustSample(view.split, count, tuple(names)))
            except OverreadError as error:
                st.error(str(error))
            else:
                st.rerun()
        widgets.note("The job continues if you close this page. Maps that were judged before are not judged again.")


def describe_job(job: Job) -> str:
    """What a job judges, in a few words."""
    asked = job.arguments
    return (
        f"Judging {asked['sample']} radiographs of {asked['data']}, {asked['split']}, {len(asked['methods'])} methods"
    )


def _two(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2f}"


def _percent(value: float) -> str:
    return "-" if pd.isna(value) else f"{100 * value:.0f}%"
