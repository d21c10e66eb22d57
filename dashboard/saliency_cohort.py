"""Many radiographs: which methods are worth looking at for this model, and where it looks when it misses."""

import numpy as np
import pandas as pd
import streamlit as st

from core.data.index import Dataset
from core.errors import OverreadError
from core.metrics.evaluation import outcome_table
from core.metrics.intervals import wilson
from core.models.checkpoint import Checkpoint
from dashboard import loaders, saliency_look, widgets
from dashboard.loaders import saliency
from dashboard.selection import Selection, bone_name

MOST_MAPS = 24


def show(dataset: Dataset, checkpoint: Checkpoint, views: pd.DataFrame, chosen: Selection) -> None:
    """The trust table, then mean maps."""
    show_trust(dataset, checkpoint, chosen)
    show_means(dataset, checkpoint, views, chosen)


def show_trust(dataset: Dataset, checkpoint: Checkpoint, chosen: Selection) -> None:
    """What has been judged, and the job that judges more."""
    from core.explain.cohort import trust_table

    rows = saliency.judged(checkpoint)
    here = rows[rows["sha1"].isin(set(loaders.index(dataset.name)["sha1"]))]
    widgets.caption(
        "Which method to trust on this model",
        f"{here['sha1'].nunique()} radiographs of {dataset.name} judged" if len(here) else "nothing judged yet",
    )
    if len(here):
        st.dataframe(shown_table(trust_table(here)), hide_index=True)
        widgets.note(
            "Better: share of maps that find what moves the score sooner than an edge detector does, of those that "
            "could be judged. Likeness: median rank correlation with the maps of shuffled weights; near 1 the method "
            "shows any network the same. On the finding: strongest place within reach of the known abnormality, beside "
            "what a random place hits."
        )
    run_job(dataset, checkpoint, chosen)


def shown_table(table: pd.DataFrame) -> pd.DataFrame:
    """Names and figures as they are read."""
    methods = saliency_look.registry()

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
            "Why": table["why"],
        }
    )


def run_job(dataset: Dataset, checkpoint: Checkpoint, chosen: Selection) -> None:
    """Judge a sample. What is judged is kept at once, so that a stop, or a closed tab, loses one map."""
    methods = saliency_look.registry()
    from core.explain.cohort import DEFAULT_METHODS

    with st.expander("Judge a sample"):
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
        start, stop = st.columns([1, 3])
        started = start.button("Judge them", type="primary", key="judge", disabled=not names)
        if started:
            stop.button("Stop", key="stop_judging", help="What is judged already is kept.")
    if started:
        from core.explain.sample import judge_sample

        tell = widgets.progress("Loading the network")
        judge_sample(
            checkpoint,
            dataset,
            chosen.split,
            count,
            tuple(names),
            progress=lambda done, total, what: tell(done / max(total, 1), f"{what}, {done} of {total}"),
        )
        st.rerun()


def show_means(dataset: Dataset, checkpoint: Checkpoint, views: pd.DataFrame, chosen: Selection) -> None:
    """Mean maps of missed against found studies of a bone, in the body's frame."""
    widgets.caption(
        "Where it looks when it misses",
        f"mean map of {bone_name(chosen.bone).lower()} in the frame of the body, at threshold {chosen.threshold:.3f}",
    )
    (name,) = saliency_look.choose_methods(most=1)
    look = saliency_look.choose_look()
    studies = outcome_table(
        loaders.studies(dataset, checkpoint, chosen.split, chosen.one_bone), chosen.threshold
    ).set_index("study_id")
    rows = views[views["study_id"].isin(studies.index)]
    rows = rows.assign(outcome=rows["study_id"].map(studies["outcome"]))
    hashes = loaders.index(dataset.name).set_index("image_id")["sha1"]
    sides = {"Missed": rows[rows["outcome"] == "FN"], "Found": rows[rows["outcome"] == "TP"]}
    if not st.toggle(
        "Make the mean maps", key="means", bind="query-params", help=f"Up to {MOST_MAPS} radiographs a side."
    ):
        widgets.note(", ".join(f"{title}: {len(side)} radiographs" for title, side in sides.items()) + ".")
        return
    figures, bar = [], st.empty()
    with bar:
        tell = widgets.progress("Making the maps")
    total = sum(min(len(side), MOST_MAPS) for side in sides.values())
    done = 0
    for title, side in sides.items():
        framed = []
        for row in side.sort_values("logit").head(MOST_MAPS).itertuples():
            done += 1
            tell(done / max(total, 1), f"{title}, {done} of {total}")
            try:
                pixels = checkpoint.input_spec.pixels(f"{dataset.root}/{row.path}")
                framed.append(saliency.framed(checkpoint.reference, hashes[row.image_id], name, checkpoint, pixels))
            except OverreadError as error:
                last = str(error)
        if not framed:
            why = last if len(side) else "no such study at this threshold"
            figures.append(saliency_look.film(title, '<p class="refused">No map</p>', "n = 0", why))
            continue
        mean = np.mean([one for one, _ in framed], axis=0)
        film = np.mean([one for _, one in framed], axis=0)
        figures.append(mean_film(title, mean, film, len(framed), len(side), look))
    bar.empty()
    st.html(saliency_look.block(figures, look))
    widgets.note(
        "Each map is cut to the body's bounding box and scaled to its own peak before the mean. That is a frame and no "
        "registration: with few radiographs, or many poses, a mean shows little."
    )


def mean_film(title: str, mean: np.ndarray, film: np.ndarray, count: int, there: int, look) -> str:
    """One mean map over the mean radiograph."""
    from core.explain.attribution import Attribution

    grey = (255 * np.clip(film, 0, 1)).astype(np.uint8)
    found = Attribution("mean", mean.astype(np.float32), 0.0, "", "")
    inside = saliency_look.picture(grey) + saliency_look.over(found, look)
    return saliency_look.film(title, inside, f"n = {count} of {there} radiographs", "")


def _two(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2f}"


def _percent(value: float) -> str:
    return "-" if pd.isna(value) else f"{100 * value:.0f}%"
