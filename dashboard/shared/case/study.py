"""A study as a card in a gallery, and opened: every radiograph at full resolution, and the way to its neighbours."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from urllib.parse import urlencode

import pandas as pd
import streamlit as st
from scipy.special import expit

from core.data.index import Dataset
from core.data.pixels import UnreadableImage
from core.metrics.studies import attention_weights
from core.scores.view import View
from dashboard.shared import loaders, theme, widgets
from dashboard.shared.case import loader
from dashboard.shared.case.loader import Cases
from dashboard.shared.selection import bone_name


def ordered(table: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """The studies of an outcome, those furthest from the threshold first: the most confident errors."""
    rows = table[table["outcome"] == outcome]
    return rows.sort_values(["margin", "study_id"], ascending=[outcome in ("FN", "TN"), True]).reset_index(drop=True)


def card(view: View, study, files: pd.DataFrame, outcome: str, said: str = "") -> str:
    """All views, the score with the threshold's tick, its distance, the bone, the outcome, and what was said of it."""
    pictures = [
        (loaders.thumbnail_uri(view.dataset, row.path, row.sha1), f"{study.bone}, view {place} of {len(files)}")
        for place, row in enumerate(files.itertuples(), 1)
    ]
    verdict = f'<span class="tag">{escape(said)}</span>' if said else ""
    words = (
        f"<div><b>{escape(bone_name(study.bone))}</b>{widgets.mark(study.outcome)}</div>"
        f"<div>{widgets.score_bar(study.score, view.threshold)}</div>"
        f"<div><small>{escape(study.study_id)}</small>"
        f'<small class="near">{study.score - view.threshold:+.3f}</small></div>{verdict}'
    )
    link = "errors?" + urlencode(view.address(outcome=theme.OUTCOMES[outcome][1], study=study.study_id))
    return widgets.card(pictures, words, link, study.study_id)


def label_card(view: View, study, files: pd.DataFrame, said: str = "") -> str:
    """The given label in front, and the score beside it, where there is one."""
    pictures = [
        (loaders.thumbnail_uri(view.dataset, row.path, row.sha1), f"{study['bone']}, view {place} of {len(files)}")
        for place, row in enumerate(files.itertuples(), 1)
    ]
    score = widgets.score_bar(study["score"], view.threshold) if study["score"] == study["score"] else ""
    verdict = f'<span class="tag">{escape(said)}</span>' if said else ""
    words = (
        f"<div><b>{escape(bone_name(study['bone']))}</b>{widgets.label_mark(study['label'])}</div><div>{score}</div>"
        f"<small>{escape(study['study_id'])}</small>{verdict}"
    )
    return widgets.card(
        pictures, words, "labels?" + urlencode(view.address(study=study["study_id"])), study["study_id"]
    )


def blind_card(view: View, study: str, bone: str, files: pd.DataFrame, said: str = "") -> str:
    """The same without anything that gives label or score away."""
    name = loader.token(study)
    pictures = [
        (loaders.thumbnail_uri(view.dataset, row.path, row.sha1), f"{bone}, view {place} of {len(files)}")
        for place, row in enumerate(files.sort_values("image_id").itertuples(), 1)
    ]
    verdict = f'<span class="tag">{escape(said)}</span>' if said else ""
    words = f"<div><b>{escape(bone_name(bone))}</b></div><small>{name}</small>{verdict}"
    return widgets.card(pictures, words, "errors?" + urlencode(view.address(study=name, blind="true")), name)


def choose_study(cases: Cases, blind: bool, listed: list[str]) -> str:
    """The open study, or '': its name, which lives in the URL, and the way to its neighbours in the list.

    Blind, a name that says nothing stands in for the study's own.
    """
    state = st.session_state
    named = (state["study"] if "study" in state else st.query_params.get("study")) or ""
    study = named if named in cases.table.index else cases.by_token.get(named, "")
    if study:
        # Before the field is drawn: a name that may hold the label stands neither there nor in the address.
        state["study"] = loader.token(study) if blind else study
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text_input(
            "Open a study",
            key="study",
            bind="query-params",
            placeholder="Open a study by its name",
            label_visibility="collapsed",
            width=360,
        )
        if study:
            _show_way(study, listed, loader.token if blind else str)
    if named and not study:
        state["study_gone"] = named
    return study


def say_gone() -> bool:
    """Say that the study of the address is not among the cases, if it is not."""
    if gone := st.session_state.pop("study_gone", ""):
        widgets.empty(
            "This study is not here",
            f"{gone[:200]!r} is not among the scored studies of this split; it may be in another split, or have gone "
            "when the data set was indexed again. What was said of it is kept.",
        )
    return bool(gone)


def show_facts(study: pd.Series, view: View, other: tuple[str, float] | None) -> None:
    """Score, outcome, distance from the threshold, and what the second model says."""
    views_here = "1 radiograph" if study["n_views"] == 1 else f"{study['n_views']} radiographs"
    where = f"<span>{escape(bone_name(study['bone']))}, {views_here}</span>"
    if study["score"] != study["score"]:
        st.html(
            f'<div class="study">{widgets.label_mark(study["label"])}<span>not scored by this model</span>{where}</div>'
        )
        return
    meaning = theme.MEANING.get(study["outcome"], "no label to judge by")
    side = "above" if study["margin"] >= 0 else "below"
    second = ""
    if other:
        call = "abnormal" if other[1] >= view.threshold else "normal"
        second = f"<span>{escape(other[0])}: {other[1]:.3f}, {call}</span>"
    st.html(
        f'<div class="study"><b class="loud">{study["score"]:.3f}</b>{widgets.mark(study["outcome"])}'
        f"<span>{meaning}, {abs(study['margin']):.3f} {side} the threshold</span>{second}{where}</div>"
    )


def films_of(dataset: Dataset, files: pd.DataFrame, view: View, blind: bool) -> tuple[list[dict], dict[str, str]]:
    """Every radiograph of a study at full resolution, as `components.films` takes them; and what each view is called
    here, with its image_id. OverreadError where the truth of a phantom cannot be read."""
    known = None if blind else loaders.truth(dataset)
    # By score the order would tell; by name it does not.
    files = files.sort_values("image_id") if blind else files
    weighed = not blind and len(files) > 1 and "attention" in files and files["attention"].notna().all()
    weights = attention_weights(files) if weighed else []
    shown, named = [], {}
    for place, row in enumerate(files.itertuples(), 1):
        title = f"View {place}" + (f", {row.view}" if isinstance(row.view, str) and row.view else "")
        named[title] = row.image_id
        truth = truth_words(known.loc[row.image_id]) if known is not None and row.image_id in known.index else ""
        try:
            source, note = loaders.film_uri(dataset.root, row.path, row.sha1), truth
        except UnreadableImage as error:
            source, note = "", "This radiograph cannot be decoded." if blind else str(error)
        shown.append(
            {
                "src": source,
                "alt": f"{row.bone} radiograph, {title}" + ("" if blind else f", {row.image_id}"),
                "title": title,
                "score": None if blind or row.logit != row.logit else float(expit(row.logit)),
                "threshold": view.threshold,
                "drove": not (blind or weighed) and place == 1 and len(files) > 1 and row.logit == row.logit,
                "note": note,
                "small": ""
                if blind
                else f"{row.image_id}, {row.width} x {row.height} px"
                + (f"; weighs {weights[place - 1]:.0%} of the study" if weighed else ""),
            }
        )
    return shown, named


def show_saliency_links(named: dict[str, str]) -> None:
    """The way to the saliency of each view."""
    with st.container(horizontal=True):
        for title, image in named.items():
            st.page_link(
                "saliency/page.py",
                label=f"Saliency of {title.lower()}: {Path(image).name}",
                icon=":material/local_fire_department:",
                query_params={"image": image},
            )


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


def _show_way(study: str, listed: list[str], name_of: Callable[[str], str]) -> None:
    """Back, previous, next, and the place in the list; by keys as well."""
    place = listed.index(study) if study in listed else None
    st.button("Back to the list", key="back", icon=":material/grid_view:", on_click=leave, shortcut="Esc")
    for label, step, shortcut in (("Previous", -1, "Left"), ("Next", 1, "Right")):
        other = place + step if place is not None else -1
        there = 0 <= other < len(listed)
        st.button(
            label,
            key=label.lower(),
            on_click=_step,
            args=(listed, place, step, name_of),
            disabled=not there,
            shortcut=shortcut,
        )
    st.markdown(f"{place + 1:,} of {len(listed):,}" if place is not None else "not in this list", width="content")


def with_files(dataset: Dataset, views: pd.DataFrame) -> pd.DataFrame:
    """Scored radiographs with the file facts that only the index has."""
    return views.merge(loaders.index(dataset)[["image_id", "sha1", "width", "height"]], on="image_id")


def open_study(study: str) -> None:
    """Open a study by its name. Only before its selector is drawn, as in a callback."""
    st.session_state["study"] = study


def close() -> None:
    """Back to the list. Only in a callback."""
    st.session_state["study"] = ""


def _step(listed: list[str], place: int, step: int, name_of: Callable[[str], str]) -> None:
    """To the neighbour of whatever is open now: two presses in a row are two steps, however late they are heard."""
    here = st.session_state.get("study")
    # Where it was when the button was drawn, or one step on; else wherever it is.
    near = [at for at in (place, place + step) if 0 <= at < len(listed)]
    found = next((at for at in (*near, *range(len(listed))) if name_of(listed[at]) == here), None)
    if found is not None and 0 <= found + step < len(listed):
        open_study(name_of(listed[found + step]))


def leave() -> None:
    """Back to the list, which is made anew: what was said meanwhile may have changed it. Only in a callback."""
    close()
    st.rerun()
