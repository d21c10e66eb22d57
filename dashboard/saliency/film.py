"""One radiograph: its maps side by side, and under each whether it is to be trusted."""

from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from scipy.special import expit

from core.data.index import Dataset
from core.errors import OverreadError
from core.metrics.evaluation import outcome_table
from core.metrics.ranking import auroc
from core.metrics.studies import labelled
from core.scores.view import View
from dashboard.saliency import look as saliency_look
from dashboard.saliency.charts import trust_curves
from dashboard.shared import loaders, maps, theme, widgets
from dashboard.shared.case.similar_studies import draw_similar_studies
from dashboard.shared.overlay import sheet_png
from dashboard.shared.scope import scope
from dashboard.shared.selection import SPLITS

MOST = 300
# Word, sign and colour: each says it alone.
MARKS = {
    "holds up": ("holds", "\u2713", "This map holds up"),
    "do not trust": ("fails", "\u2715", "Do not trust this map"),
}
BETTER = {True: "yes", False: "no", None: "cannot be judged"}


@dataclass(frozen=True)
class Sheet:
    """One radiograph and the maps of it so far. finding: where a known abnormality is, bool [s, s], or None."""

    row: pd.Series
    shown: np.ndarray
    look: saliency_look.Look
    finding: np.ndarray | None
    maps: dict = field(default_factory=dict)  # method -> Attribution
    refused: dict[str, str] = field(default_factory=dict)  # method -> reason
    judged: dict = field(default_factory=dict)  # method -> its trust, or why there is none


def show(view: View, views: pd.DataFrame) -> None:
    """The maps are drawn first; their checks follow one by one."""
    dataset, checkpoint = view.dataset, view.source.model
    row = choose_image(view, views)
    pixels = checkpoint.input_spec.pixels(f"{dataset.root}/{row['path']}")
    sha1 = file_hash(dataset, row["image_id"])
    names = saliency_look.choose_methods()
    stage = st.container(key="stage")
    with stage.container(key="look"):
        look = saliency_look.choose_look()
        layer, baseline = choose_options()
    if baseline == "mean":
        baseline = maps.mean_radiograph(dataset, checkpoint.input_spec)
    shown = maps.sharp(dataset.root, row["path"], sha1, checkpoint.input_spec.fit, checkpoint.input_spec.size)
    shown = pixels if look.as_given else shown
    sheet = Sheet(row, shown, look, maps.findings(dataset).mask(row["image_id"], checkpoint.input_spec))
    with stage, st.spinner("Making the maps"):
        for name in names:
            try:
                sheet.maps[name] = maps.attribution(checkpoint, pixels, name, layer, baseline)
            except OverreadError as error:
                sheet.refused[name] = str(error)
    place = stage.empty()
    place.html(sheet_html(sheet, names))
    offer_files(sheet, pixels)
    link_to_study(row)
    known = known_auroc(view)
    for name in sheet.maps:
        try:
            sheet.judged[name] = maps.trust(checkpoint, pixels, name, layer, baseline, known, sheet.finding)
        except OverreadError as error:
            sheet.judged[name] = str(error)
        place.html(sheet_html(sheet, names))
    judged = {name: trust for name, trust in sheet.judged.items() if not isinstance(trust, str)}
    if judged:
        show_curves(judged)
        show_checks(judged)
    draw_similar_studies(view.source, row["study_id"])


def sheet_html(sheet: Sheet, names: list[str]) -> str:
    """The whole row of pictures, with what is known so far under each."""
    row, look = sheet.row, sheet.look
    methods, outlined = saliency_look.registry(), saliency_look.outline(sheet.finding, sheet.shown.shape[0])
    outcome = theme.OUTCOMES.get(row["outcome"], ("", "label unknown"))[1].lower()
    figures = [
        saliency_look.film(
            "Original",
            saliency_look.picture(sheet.shown) + outlined,
            f"score {expit(row['logit']):.3f}, logit {row['logit']:+.2f}",
            f"study: {outcome}{'; outlined: the known finding' if outlined else ''}",
        )
    ]
    for name in names:
        title = methods[name].title
        if name in sheet.refused:
            inside = f'<p class="refused">{escape(sheet.refused[name])}</p>'
            figures.append(saliency_look.film(title, inside, "refused", ""))
            continue
        one = sheet.maps[name]
        inside = saliency_look.picture(sheet.shown) + saliency_look.over(one, look) + outlined
        figures.append(
            saliency_look.film(
                title,
                inside,
                f"explains logit {one.value:+.2f}",
                saliency_look.note(one, look),
                trust_line(sheet.judged.get(name)),
                verdict(sheet.judged.get(name)),
            )
        )
    return saliency_look.block(figures, look)


def verdict(trust) -> str:
    """A band right under the picture: who sees the map sees whether to trust it. Text: why it was not judged."""
    if trust is None:
        return '<p class="verdict waits">Judging this map ...</p>'
    if isinstance(trust, str):
        return '<p class="verdict waits">Not judged: do not trust this map</p>'
    kind, sign, words = MARKS[trust.verdict]
    return f'<p class="verdict {kind}"><span aria-hidden="true">{sign}</span> {words}</p>'


def trust_line(trust) -> str:
    """The plain question's answer, and the reason of the verdict."""
    if trust is None:
        return ""
    if isinstance(trust, str):
        return f'<p class="trust"><span>{escape(trust)}</span></p>'
    failed = sum(not check.passed for check in trust.checks)
    count = f"{failed} of {len(trust.checks)} checks failed: " if failed else ""
    why = trust.why if failed else trust.why[:1].upper() + trust.why[1:]
    return (
        f'<p class="trust"><span>Better than an edge detector on this image: <b>{BETTER[trust.better_than_edges]}</b>.'
        f"</span> <span>{count}{escape(why)}.</span></p>"
    )


def show_curves(judged: dict) -> None:
    """Insertion and deletion of each map against the references, on demand."""
    methods = saliency_look.registry()
    opened = st.expander("Insertion and deletion", key="curves", on_change="rerun")
    if not opened.open:
        return
    with opened:
        widgets.show_figure(
            trust_curves({methods[name].title: trust.curves for name, trust in judged.items()}), key="curves_chart"
        )
        widgets.note(
            "Insertion: squares of the sharp radiograph come into its blur, those first that the map ranks highest; a "
            "good map brings the score early. Deletion: they go the other way; a good map takes the score away early."
        )


def show_checks(judged: dict) -> None:
    """Every check of every map, on demand."""
    methods = saliency_look.registry()
    with st.expander("All checks"):
        rows = [
            {
                "Method": methods[name].title,
                "Check": check.name,
                "Passed": {True: "yes", False: "no", None: "not judged"}[check.passed],
                "Figure": check.value,
                "Held against": check.reference,
                "In words": check.words,
            }
            for name, trust in judged.items()
            for check in trust.checks
        ]
        number = st.column_config.NumberColumn(format="%.2f")
        st.dataframe(pd.DataFrame(rows), hide_index=True, column_config={"Figure": number, "Held against": number})
        widgets.note(
            "edges, random, centre: insertion less deletion over the change in logit (Petsiuk 2018), against maps that "
            "know no model. randomisation: rank correlation with the map of shuffled weights (Adebayo 2018). "
            "stability: with the map after a small shift. border, marks, outside: share of the map there. No method "
            "passes all published tests on radiographs (Arun 2021)."
        )


def choose_image(view: View, views: pd.DataFrame) -> pd.Series:
    """One radiograph, those of missed studies first. It lives in the URL."""
    studies = outcome_table(loaders.studies(view.every_bone), view.threshold).set_index("study_id")
    views = views.assign(
        outcome=views["study_id"].map(studies["outcome"]), score=views["study_id"].map(studies["score"])
    )
    listed = views[views["bone"] == view.bone] if view.bone else views
    if listed.empty:
        listed = views
    rank = listed["outcome"].map({"FN": 0, "FP": 1, "TP": 2}).fillna(3)
    # By the study's score before the view's name, so that a study's views stay together.
    listed = listed.assign(rank=rank).sort_values(["rank", "score", "study_id", "image_id"]).head(MOST)
    options, wanted = listed["image_id"].tolist(), st.session_state.get("image") or st.query_params.get("image")
    if wanted not in options:
        options = [wanted, *options] if wanted in set(views["image_id"]) else options
    if wanted not in options:
        st.session_state["image"] = options[0]
    rows = views.set_index("image_id", drop=False)
    # Without a default of its own, since Streamlit leaves a default out of the address, and the first one may change.
    name = st.selectbox(
        "Radiograph",
        options,
        index=None,
        key="image",
        bind="query-params",
        help="Missed studies first, then false alarms.",
    )
    return rows.loc[name or options[0]]


def choose_options() -> tuple[str, str]:
    """A CAM's layer and the baseline, for those who ask."""
    with st.expander("Layer and baseline"):
        left, right = st.columns(2)
        layer = left.text_input(
            "Layer of a CAM",
            key="layer",
            bind="query-params",
            placeholder="found by itself",
            help="A module's name.",
        )
        baseline = right.selectbox(
            "Baseline",
            ["black", "blur", "grey", "mean"],
            key="baseline",
            bind="query-params",
            help="What 'nothing' looks like, in pixels; mean: of this data set's radiographs.",
        )
    return layer.strip(), baseline


def offer_files(sheet: Sheet, pixels: np.ndarray) -> None:
    """The picture as it is seen, and the floats behind it."""
    found, look = list(sheet.maps.values()), sheet.look
    if not found:
        return
    from core.explain.export import npz_bytes

    name = Path(sheet.row["image_id"]).stem
    looks = (look.polarity, look.palette, look.least)
    with st.container(horizontal=True):
        st.download_button(
            "PNG as seen",
            lambda: sheet_png(sheet.shown, [(one.map, one.signed) for one in found], looks, look.opacity),
            f"{name}-saliency.png",
            "image/png",
            icon=":material/image:",
        )
        st.download_button(
            "NPZ of the maps",
            lambda: npz_bytes(pixels, found),
            f"{name}-saliency.npz",
            "application/octet-stream",
            icon=":material/data_array:",
        )


def link_to_study(row: pd.Series) -> None:
    """The way to the study among the errors."""
    if row["outcome"] in theme.OUTCOMES:
        st.page_link(
            "errors/page.py",
            label="Open its study among the errors",
            icon=":material/search:",
            query_params={"outcome": theme.OUTCOMES[row["outcome"]][1], "study": row["study_id"]},
        )
    widgets.note(
        "A map shows what moves the logit of this one radiograph: not where a finding is, nor why a study is called so."
    )


def known_auroc(view: View) -> tuple[float, float] | None:
    """How well this network tells abnormal from normal on studies it has not learned from: on train, another split."""
    there = scope(view.source)[0]
    split = next((name for name in (view.split, *SPLITS) if name in there and name != "train"), "")
    if not split:
        return None
    known = labelled(loaders.studies(replace(view.every_bone, split=split)))
    found = auroc(known["score"], known["label"])
    return found.value, found.low


def file_hash(dataset: Dataset, image_id: str) -> str:
    """SHA-1 of a radiograph's file."""
    known = loaders.index(dataset).set_index("image_id")["sha1"]
    if image_id not in known.index:
        raise OverreadError(f"The scores name {image_id}, which the index lacks: score {dataset.name} again.")
    return known[image_id]
