"""What is chosen now: one set of widgets, drawn by Home on every page, kept in the URL by their keys."""

from dataclasses import dataclass

import streamlit as st

from dashboard.page_list import Page
from dashboard.shared import loaders
from dashboard.shared.scope import scope

ALL = "all bones"
SPLITS = ("valid", "test", "tune", "train")
HELP = {
    "split": "Which patients: train (learned from), tune (held out of train to choose the epoch), "
    "valid and test (never seen in training).",
    "threshold": "A study is called abnormal if its score (mean probability over its radiographs) is at or above this.",
}


@dataclass(frozen=True)
class Selection:
    """What every page reads. `split` and `checkpoint` are '' where there is none; `bone` is 'all bones' or one bone.

    `checkpoint` may name imported scores. has_images: radiographs can be shown; has_network: a network can be run.
    """

    dataset: str
    checkpoint: str
    split: str
    bone: str
    threshold: float
    has_images: bool = True
    has_network: bool = True

    @property
    def one_bone(self) -> str:
        """The bone, or '' for all of them."""
        return "" if self.bone == ALL else self.bone

    def query(self, **more: str) -> dict[str, str]:
        """The selection as query parameters, for a link to another page."""
        chosen = {
            "data": self.dataset,
            "model": self.checkpoint,
            "split": self.split,
            "bone": self.bone,
            "threshold": repr(self.threshold),
        }
        return {name: value for name, value in {**chosen, **more}.items() if value}


def draw(page) -> Selection:
    """The shared selectors, in the order of their scope, on `page`. Needs at least one data set.

    Shown as they are named: Streamlit writes what is shown into the URL, so a label with a count in it would not last.
    """
    choose(**st.session_state.pop("choose_next", {}))
    datasets = loaders.choosable()
    _complete_address(page, datasets)
    name = _pick("Data set", "data", list(datasets), next(iter(datasets)))
    sources = loaders.sources(datasets[name])
    model = _pick("Model", "model", list(sources), loaders.preferred(datasets[name]), placeholder="No checkpoint") or ""
    splits, bones = scope(datasets[name], sources.get(model))
    st.selectbox(
        "Split",
        [split for split in SPLITS if split in splits],
        key="split",
        bind="query-params",
        help=HELP["split"],
    )
    st.selectbox("Bone", [ALL, *bones], key="bone", bind="query-params")
    st.slider(
        "Threshold", 0.0, 1.0, 0.5, 0.001, format="%.3f", key="threshold", bind="query-params", help=HELP["threshold"]
    )
    return current()


def _complete_address(page, datasets: dict) -> None:
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


def _pick(label: str, key: str, options: list[str], first: str | None, **more) -> str | None:
    """A selector whose choice always stands in the address, also where it is `first`, what is chosen unasked.

    Streamlit leaves a default out of the address; which set or model comes first changes with what is indexed and
    trained, and a link would then show another one. So there is no default, and the first choice is made here.
    """
    state = st.session_state
    if (state.get(key) or st.query_params.get(key)) not in options and first is not None:
        state[key] = first
    elif key in state and key not in st.query_params:
        state[key] = state[key]  # what a script sets is written to the address once its widget was drawn before
    return st.selectbox(label, options, index=None, key=key, bind="query-params", required=True, **more)


def current() -> Selection:
    """What is chosen, on any page."""
    state = st.session_state
    name, model = state.get("data") or "", state.get("model") or ""
    return Selection(
        name,
        model,
        state.get("split") or "",
        state.get("bone") or ALL,
        float(state.get("threshold", 0.5)),
        name not in loaders.scores_only(),
        model in loaders.checkpoints()[0],
    )


def unavailable(page: Page) -> str:
    """Why a page has nothing to show for imported scores, in one sentence; '' where it has."""
    chosen = current()
    if not chosen.has_images and page.needs_images:
        return (
            f"{chosen.dataset} has no radiographs, and this page shows them. Choose another data set, or import the "
            "scores with --data NAME to match them to an indexed one."
        )
    if page.needs_network and not chosen.has_network and chosen.checkpoint in loaders.imported_sets():
        return f"{chosen.checkpoint} are imported scores, and this page needs the network itself. Choose a checkpoint."
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
    """As it is shown."""
    return bone.capitalize()
