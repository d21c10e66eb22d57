"""The level of many radiographs: which methods can be trusted on this model, and mean maps of missed studies."""

import pandas as pd
import streamlit as st

from core.among import among
from core.errors import OverreadError
from core.jobs import Job
from core.metrics.intervals import wilson
from core.plural import count_text
from core.scores.view import View
from core.workflows.trust import TrustSample, enqueue_check, find_check_job
from dashboard.saliency import controls
from dashboard.saliency.mean_maps import draw_mean_maps
from dashboard.shared import loaders, maps, widgets
from dashboard.shared.job_status import draw_job
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate


def draw_cohort(view: View, radiographs: pd.DataFrame) -> None:
    """Draw the table of methods, then the mean maps."""
    draw_methods(view)
    draw_mean_maps(view, radiographs)


def draw_methods(view: View) -> None:
    """Draw the checks so far by method, and the job that checks more."""
    from core.explain.cohort import trust_table

    rows = maps.checked_rows(view.source.checkpoint)
    here = rows[among(rows["sha1"], set(loaders.index(view.dataset)["sha1"]))]
    count = count_text(here["sha1"].nunique(), "radiograph")
    widgets.caption(
        "Which method to trust on this model",
        f"{count} of {view.source.data} checked" if len(here) else "nothing checked yet",
    )
    if len(here):
        table = trust_table(here)
        widgets.draw_table(shown_table(table))
        # Below the table, since the window would cut off a last column of sentences.
        titles, refused = controls.method_titles(), table[table["why"] != ""]
        if len(refused):
            reasons = [f"{titles[name]}: {why}" for name, why in zip(refused["method"], refused["why"])]
            widgets.note(f"Do not use: {'; '.join(reasons)}.")
        widgets.note(
            "Better than edges: the share of maps whose strongest squares move the score sooner than those of an edge "
            "detector. Similarity to shuffled: median rank correlation with the maps of shuffled weights; near 1, the "
            "method shows the same for any network. On the finding: the share of maps whose strongest place is within "
            "reach of the known abnormality; chance is that share for random places. The next column is the same "
            "share among the maps that hold up."
        )
    draw_check_job(view)


def shown_table(table: pd.DataFrame) -> pd.DataFrame:
    """The names and figures of `trust_table` as text."""
    titles = controls.method_titles()

    def share(k: int, n: int) -> str:
        if not n:
            return "-"
        low, high = wilson(k, n)
        return f"{100 * k / n:.0f}% ({100 * low:.0f}-{100 * high:.0f}), {k} of {n}"

    return pd.DataFrame(
        {
            "Method": [titles[name] for name in table["method"]],
            "Verdict": table["verdict"],
            "Better than edges": [share(k, n) for k, n in zip(table["better"], table["judged"])],
            "Similarity to shuffled": [_two_decimals(value) for value in table["randomisation"]],
            "Stability": [_two_decimals(value) for value in table["stability"]],
            "Outside the body": [_percent(value) for value in table["outside"]],
            "On the finding": [
                f"{share(k, n)}; chance {100 * c:.0f}%" if n else "-"
                for k, n, c in zip(table["hits"], table["pointed"], table["chance"])
            ],
            "Of maps that hold up": [share(k, n) if n else "-" for k, n in zip(table["held_hits"], table["held"])],
            "Seconds": [_two_decimals(value) for value in table["seconds"]],
        }
    )


def draw_check_job(view: View) -> None:
    """Draw the progress of the job that checks a sample, and the form that queues one."""
    from core.explain.cohort import DEFAULT_METHODS

    titles = controls.method_titles()
    source = view.source
    active = draw_job(lambda: find_check_job(source), describe_job, "Maps checked so far are kept.")
    with st.expander("Check a sample", icon=":material/play_arrow:"):
        left, right = st.columns([1, 2])
        count = left.slider("Radiographs", 10, 200, 20, 10, key="sample", help="Half of them abnormal, over all bones.")
        methods = right.pills(
            "Methods to check",
            list(titles),
            selection_mode="multi",
            default=list(DEFAULT_METHODS),
            key="checked_methods",
            format_func=titles.get,
            wrap=True,
        )
        if st.button("Check the sample", type="primary", key="check_sample", **gate("compute", active or not methods)):
            try:
                enqueue_check(source, TrustSample(view.split, count, tuple(methods)))
            except OverreadError as error:
                st.error(plain(error))
            else:
                st.rerun()
        widgets.note("The job continues if you close this page. Maps that were checked before are not checked again.")


def describe_job(job: Job) -> str:
    """The sample of a job in a few words."""
    sample = job.arguments
    methods = count_text(len(sample["methods"]), "method")
    return f"Checking {count_text(sample['sample'], 'radiograph')} of {sample['data']}, {sample['split']}, {methods}"


def _two_decimals(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2f}"


def _percent(value: float) -> str:
    return "-" if pd.isna(value) else f"{100 * value:.0f}%"
