"""A study as a card in a gallery, and opened: every radiograph at full resolution, the way to its neighbours."""

from html import escape
from pathlib import Path
from urllib.parse import urlencode

import pandas as pd
import streamlit as st
from scipy.special import expit

from core.data.index import Dataset
from core.data.pixels import UnreadableImage
from core.errors import OverreadError
from dashboard import loaders, theme, widgets
from dashboard.selection import ALL, Selection, bone_name


def ordered(table: pd.DataFrame, outcome: str, bone: str) -> pd.DataFrame:
    """The studies of an outcome, those furthest from the threshold first: the most confident errors."""
    rows = table[(table["outcome"] == outcome) & ((table["bone"] == bone) | (bone == ALL))]
    return rows.sort_values(["margin", "study_id"], ascending=[outcome in ("FN", "TN"), True]).reset_index(drop=True)


def card(dataset: Dataset, study, files: pd.DataFrame, chosen: Selection, outcome: str) -> str:
    """All views, the score with the threshold's tick, the bone and the outcome."""
    pictures = [
        (loaders.thumbnail_uri(dataset, row.path, row.sha1), f"{study.bone}, view {place} of {len(files)}")
        for place, row in enumerate(files.itertuples(), 1)
    ]
    words = (
        f"<div><b>{escape(bone_name(study.bone))}</b>{widgets.mark(study.outcome)}</div>"
        f"<div>{widgets.score_bar(study.score, chosen.threshold)}</div><small>{escape(study.study_id)}</small>"
    )
    link = "errors?" + urlencode(chosen.query(outcome=theme.OUTCOMES[outcome][1], study=study.study_id))
    return widgets.card(pictures, words, link, study.study_id)


def show(dataset: Dataset, views: pd.DataFrame, study: pd.Series, place_in: list[str], chosen: Selection) -> None:
    """One study: what is known of it, every radiograph at its full resolution, and the way to its neighbours."""
    show_way(study.name, place_in)
    meaning = theme.MEANING.get(study["outcome"], "no label to judge by")
    side = "above" if study["margin"] >= 0 else "below"
    views_here = "1 radiograph" if study["n_views"] == 1 else f"{study['n_views']} radiographs"
    st.html(
        f'<div class="study"><b class="loud">{study["score"]:.3f}</b>{widgets.mark(study["outcome"])}'
        f"<span>{meaning}, {abs(study['margin']):.3f} {side} the threshold</span>"
        f"<span>{escape(bone_name(study['bone']))}, {views_here}</span></div>"
    )
    files = with_files(dataset, views[views["study_id"] == study.name]).sort_values("logit", ascending=False)
    try:
        known = loaders.truth(dataset)
    except OverreadError as error:
        known = None
        widgets.note(str(error))
    st.html(f'<div class="films">{"".join(film(dataset, row, known, chosen) for row in files.itertuples())}</div>')
    with st.container(horizontal=True):
        for place, row in enumerate(files.itertuples(), 1):
            st.page_link(
                "app_pages/saliency.py",
                label=f"Saliency of view {place}: {Path(row.image_id).name}",
                icon=":material/local_fire_department:",
                query_params={"image": row.image_id},
            )


def film(dataset: Dataset, row, known: pd.DataFrame | None, chosen: Selection) -> str:
    """One radiograph with its score and, in a phantom, whether the finding shows in it."""
    try:
        source = loaders.film_uri(dataset.root, row.path, row.sha1)
        picture = f'<img src="{source}" alt="{escape(row.bone)} radiograph {escape(row.image_id)}">'
    except UnreadableImage as error:
        picture = f'<p class="note">{escape(str(error))}</p>'
    truth = truth_words(known.loc[row.image_id]) if known is not None and row.image_id in known.index else ""
    score = widgets.score_bar(expit(row.logit), chosen.threshold)
    return widgets.film(picture, score, truth, f"{row.image_id}, {row.width} x {row.height} px")


def truth_words(known: pd.Series) -> str:
    """What the phantom's truth says of one radiograph."""
    finding = str(known["abnormality"]).replace("_", " ")
    if known["true_label"] == 0:
        words = "Truth: nothing abnormal was drawn."
    elif known["visible"]:
        words = f"Truth: {finding}, shows here ({known['x1'] - known['x0']} x {known['y1'] - known['y0']} px)."
    else:
        words = f"Truth: {finding}, hidden in this view."
    defects = ", ".join(name.replace("_", " ") for name in known["defects"])
    return (
        words
        + (" The label was flipped on purpose." if known["label_flipped"] else "")
        + (f" Film: {defects}." if defects else "")
    )


def show_way(study: str, place_in: list[str]) -> None:
    """Previous, next, place in the list, and back; by keys as well."""
    place = place_in.index(study) if study in place_in else None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Back to the list", key="back", icon=":material/grid_view:", on_click=close, shortcut="Esc")
        for label, step, shortcut in (("Previous", -1, "Left"), ("Next", 1, "Right")):
            other = (place or 0) + step if place is not None else -1
            there = 0 <= other < len(place_in)
            st.button(
                label,
                key=label.lower(),
                on_click=open_study,
                args=(place_in[other],) if there else ("",),
                disabled=not there,
                shortcut=shortcut,
            )
        st.markdown(f"{place + 1:,} of {len(place_in):,}" if place is not None else "not in this list", width="content")


def with_files(dataset: Dataset, views: pd.DataFrame) -> pd.DataFrame:
    """Scored radiographs with the file facts that only the index has."""
    return views.merge(loaders.index(dataset.name)[["image_id", "sha1", "width", "height"]], on="image_id")


def open_study(study: str) -> None:
    """Open a study by its name. Only before its selector is drawn, as in a callback."""
    st.session_state["study"] = study


def close() -> None:
    """Back to the list. Only in a callback."""
    st.session_state["study"] = None
