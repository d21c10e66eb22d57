"""The shared selectors: one set of widgets, drawn by Home on every page, kept in the address by their keys."""

import streamlit as st

from core.data.index import Dataset
from core.scores.source import source_of
from core.scores.view import ALL_BONES, DEFAULT_THRESHOLD, View
from dashboard.page_list import Page
from dashboard.shared import loaders
from dashboard.shared.scope import scope

SPLITS = ("valid", "test", "tune", "train")
HELP = {
    "split": "Which patients: train (the model learned from them), tune (kept out of train to choose the epoch), "
    "valid and test (never used in training).",
    "threshold": "A study is called abnormal if its score (mean probability over its radiographs) is at or above this.",
}


def draw(page) -> View:
    """The shared selectors, in the order of their scope, on `page`. Needs at least one data set.

    Options are shown by their names alone: Streamlit writes the shown text into the address, so a label with a count
    in it would not last.
    """
    choose(**st.session_state.pop("choose_next", {}))
    datasets = loaders.choosable()
    _complete_address(page, datasets)
    name = _draw_select("Data set", "data", list(datasets), next(iter(datasets)))
    models = list(loaders.sources(datasets[name]))
    _draw_select("Model", "model", models, loaders.preferred(datasets[name]), placeholder="No checkpoint")
    splits, bones = scope(current().source)
    st.selectbox(
        "Split",
        [split for split in SPLITS if split in splits],
        key="split",
        bind="query-params",
        help=HELP["split"],
    )
    st.selectbox("Bone", [ALL_BONES, *bones], key="bone", bind="query-params")
    st.slider(
        "Threshold",
        0.0,
        1.0,
        DEFAULT_THRESHOLD,
        0.001,
        format="%.3f",
        key="threshold",
        bind="query-params",
        help=HELP["threshold"],
    )
    return current()


def current() -> View:
    """The view that the selectors show, on any page. Without a model its source is the data set alone."""
    state = st.session_state
    dataset = loaders.choosable()[state["data"]]
    bone = state.get("bone") or ALL_BONES
    return View(
        loaders.sources(dataset).get(state.get("model") or "") or source_of(None, dataset),
        state.get("split") or "",
        "" if bone == ALL_BONES else bone,
        threshold=float(state.get("threshold", DEFAULT_THRESHOLD)),
    )


def unavailable(page: Page, view: View) -> str:
    """Why a page has nothing to show for imported scores, in one sentence; '' where it has."""
    source = view.source
    if not source.has_images and page.needs_images:
        return (
            f"{source.data} has no radiographs, and this page shows them. Choose another data set, or import the "
            "scores with --data NAME to match them to an indexed one."
        )
    if page.needs_network and source.kind == "imported":
        return f"{source.name} are imported scores, and this page needs the network itself. Choose a checkpoint."
    return ""


def choose(**values) -> None:
    """Set shared selectors from a page. Only in a callback: they are drawn before the page."""
    for name, value in values.items():
        st.session_state[name] = value


def choose_and_rerun(**values) -> None:
    """Set shared selectors from the body of a page: the page runs again and draws them with these values."""
    st.session_state["choose_next"] = values
    st.rerun()


def bone_name(bone: str) -> str:
    """The bone as it is shown; 'All bones' for ''."""
    return (bone or ALL_BONES).capitalize()


def _complete_address(page, datasets: dict[str, Dataset]) -> None:
    """Once a visit: an address without data set or model gets the ones that are shown."""
    if st.session_state.get("addressed"):
        return
    st.session_state["addressed"] = True
    query = {key: st.query_params.get_all(key) for key in st.query_params}
    name = query["data"][-1] if "data" in query else next(iter(datasets))
    if name in datasets:
        model = loaders.preferred(datasets[name])
        whole = {"data": name, **({"model": model} if model else {}), **query}
        if whole.keys() != query.keys():
            st.switch_page(page, query_params=whole)


def _draw_select(label: str, key: str, options: list[str], first: str | None, **more) -> str | None:
    """A selector whose choice is always in the address, also where it is `first`, the choice made for the visitor.

    Streamlit leaves a default out of the address. Which set or model comes first changes with what is indexed and
    trained, and a link would then show another one. So there is no default, and the first choice is made here.
    """
    state = st.session_state
    if (state.get(key) or st.query_params.get(key)) not in options and first is not None:
        state[key] = first
    elif key in state and key not in st.query_params:
        state[key] = state[key]  # a value set by a script reaches the address only when it is set again here
    return st.selectbox(label, options, index=None, key=key, bind="query-params", required=True, **more)
