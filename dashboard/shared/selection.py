"""The line of selectors above every page: data set, model, split, bone, threshold; all are kept in the address."""

import streamlit as st

from core.data.index import Dataset
from core.errors import OverreadError
from core.scores.first_shown import preferred_dataset, remember_use, standing_points
from core.scores.operating_points import OperatingPoint
from core.scores.source import Source, source_of
from core.scores.threshold_in_use import point_in_use
from core.scores.view import ALL_BONES, DEFAULT_THRESHOLD, View
from dashboard.page_list import Page
from dashboard.shared import address, choice_split, loaders, pending, widgets
from dashboard.shared.address_kinds import Choice, Number
from dashboard.shared.case.reader_name import reader_name
from dashboard.shared.plain import plain
from dashboard.shared.scope import scope
from dashboard.shared.visitor import visitor

BY_HAND = "by hand"
OWN = "the model's own"
HELP = {
    "split": "Which patients: train (the model learned from them), tune (kept out of train to choose the epoch), "
    "valid and test (never used in training). Without tune, one half of valid is for choosing a threshold "
    "(valid:choose) and the other for verifying it (valid:verify).",
    "threshold": "A study is called abnormal if its score (mean probability over its radiographs) is at or above this.",
    "point": "A locked threshold of this model. If you move the threshold, it is set by hand again.",
    "aggregation": "How the scores of a study's radiographs become the score of the study.",
}


def draw(page) -> View:
    """The shared selectors in one line, on `page`. Needs at least one data set.

    Options are shown by their names alone: Streamlit writes the shown text into the address, so a label with a count
    in it would not last.
    """
    state = st.session_state
    choose(**state.pop("choose_next", {}))
    datasets = loaders.choosable()
    _complete_address(page, datasets)
    fold = st.container(key="looked_at_phone")
    with st.container(key="looked_at", horizontal=True, vertical_alignment="center", gap="small"):
        name = _draw_select("Data set", "data", list(datasets), lambda: _first_dataset(datasets))
        models = list(loaders.sources(datasets[name]))
        _draw_select("Model", "model", models, lambda: loaders.preferred(datasets[name], _visitor()))
        source = current().source
        splits, bones = scope(source)
        choice_split.open_split(page.url_path, source)
        st.selectbox(
            "Split",
            splits,
            key=address.key("split", Choice(splits, "split")),
            bind="query-params",
            help=HELP["split"],
        )
        bones = [ALL_BONES, *bones]
        st.selectbox("Bone", bones, key=address.key("bone", Choice(bones, "bone")), bind="query-params")
        _draw_threshold(source)
    view = current()
    with fold:
        _draw_fold(view)
    return view


def begin_without_data() -> None:
    """Call where there is no data set yet: the first one then reaches the address by its selector alone.

    By then widgets of the page hold values in the address, which cannot be replaced as a whole.
    """
    st.session_state["addressed"] = True


def current() -> View:
    """The view that the selectors show, on any page. Without a model its source is the data set alone."""
    state = st.session_state
    dataset = loaders.choosable()[state["data"]]
    bone, point, aggregation = state.get("bone") or ALL_BONES, state.get("point"), state.get("aggregation")
    return View(
        loaders.sources(dataset).get(state.get("model") or "") or source_of(None, dataset),
        state.get("split") or "",
        "" if bone == ALL_BONES else bone,
        "" if aggregation in (None, OWN) else aggregation,
        float(state.get("threshold", DEFAULT_THRESHOLD)),
        "" if point in (None, BY_HAND) else point,
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
    """Set shared selectors from a page: data, model, split, bone, aggregation, threshold, point.

    A point sets its threshold too; a threshold without a point is one set by hand. Only in a callback: the selectors
    are drawn before the page.
    """
    if "threshold" in values and not values.get("point"):
        values["point"] = BY_HAND
    for name, value in values.items():
        pending.put(name, value)


def choose_and_rerun(**values) -> None:
    """Set shared selectors from the body of a page: the page runs again and draws them with these values."""
    st.session_state["choose_next"] = values
    st.rerun()


def bone_name(bone: str) -> str:
    """The bone as it is shown; 'All bones' for ''."""
    return (bone or ALL_BONES).capitalize()


def _draw_fold(view: View) -> None:
    """On a phone, one button with the present selection; the selectors are hidden below it until it is pressed."""
    opened = st.session_state.setdefault("looked_at_open", False)
    if opened:
        st.html("<style>@media (max-width: 640px) { .stApp .st-key-looked_at { display: flex; } }</style>")
    chosen = (view.source.data, view.source.name, view.split, view.bone or ALL_BONES, f"{view.threshold:.3f}")
    label = "Close" if opened else plain(" / ".join(part for part in chosen if part))
    st.button(label, key="looked_at_fold", on_click=_turn_fold, width="stretch", icon=":material/tune:")


def _turn_fold() -> None:
    st.session_state["looked_at_open"] = not st.session_state["looked_at_open"]


def _draw_threshold(source: Source) -> None:
    """Threshold, operating point and aggregation behind one button that shows the first two."""
    points = {point.id: point for point in standing_points(source)} if source.model else {}
    state = st.session_state
    ids = [BY_HAND, *reversed(points)]
    address.key("point", Choice(ids, "operating point"))
    _take_point_in_use(source, points)
    _follow_point(points)
    # The slider takes the value of a link only when it is drawn, within the button that names it.
    linked = address.value("threshold", Number(0, 1)) if "threshold" not in state else None
    threshold = float(state.get("threshold", DEFAULT_THRESHOLD) if linked is None else linked)
    point = state.get("point")
    label = f"Threshold {threshold:.3f}" if point in (None, BY_HAND) else f"Point {point[:6]}: {threshold:.3f}"
    with st.popover(label, key="looked_at_threshold"):
        st.slider(
            "Threshold",
            0.0,
            1.0,
            DEFAULT_THRESHOLD,
            0.001,
            format="%.3f",
            key=address.key("threshold", Number(0, 1)),
            bind="query-params",
            on_change=_leave_point,
            help=HELP["threshold"],
        )
        st.selectbox("Operating point", ids, key="point", bind="query-params", help=HELP["point"])
        if chosen := points.get(state.get("point")):
            widgets.note(f"Rule: {chosen.rule}. Chosen on {chosen.split} by {chosen.author or 'an unnamed reader'}.")
        st.selectbox(
            "Score of a study",
            ways := _aggregations(source),
            key=address.key("aggregation", Choice(ways, "aggregation")),
            bind="query-params",
            help=HELP["aggregation"],
        )


def _take_point_in_use(source: Source, points: dict[str, OperatingPoint]) -> None:
    """Without a threshold in the address, or from a point of another model, take the model's own operating point."""
    state = st.session_state
    before, state["point_of"] = state.get("point_of"), (source.data, source.name)
    first = before is None and "threshold" not in state and not {"threshold", "point"} & set(st.query_params)
    moved = before not in (None, state["point_of"]) and state.get("followed") and state["followed"] not in points
    if not points or not (first or moved):
        return
    found = point_in_use(source, source.dataset.reference)
    if found and found.threshold_high is None:
        state["point"] = found.id


def _follow_point(points: dict[str, OperatingPoint]) -> None:
    """Take the threshold of a point that was chosen; a threshold that differs from its point is one set by hand."""
    state = st.session_state
    asked = state.get("point") or address.value("point", Choice([BY_HAND, *points], "operating point"))
    point = points.get(asked or "")
    if point and state.get("followed") != point.id:
        written = address.value("threshold", Number(0, 1))
        if "threshold" not in state and written not in (None, point.threshold):
            # The first run of a visit takes the threshold of the address before one that is set here.
            address.drop("threshold", f"The address has another threshold than its operating point {point.id}.")
        state["threshold"] = min(point.threshold, 1.0)
    elif asked and asked != BY_HAND and not point:
        state["point"] = BY_HAND  # a point of another model
    state["followed"] = point.id if point else ""


def _leave_point() -> None:
    st.session_state["point"] = BY_HAND


def _aggregations(source: Source) -> list[str]:
    try:
        return [OWN, *(loaders.aggregations(source) if source.model else [])]
    except OverreadError:
        return [OWN]


def _first_dataset(datasets: dict[str, Dataset]) -> str:
    return preferred_dataset(datasets, _visitor())


def _visitor() -> str:
    return visitor(reader_name())


def _remember() -> None:
    """Keep what was chosen for this visitor; a choice that cannot be stored still holds for this session."""
    state = st.session_state
    dataset = loaders.choosable().get(state.get("data") or "")
    if dataset is None:
        return
    chosen = loaders.sources(dataset).get(state.get("model") or "", source_of(None, dataset))
    try:
        remember_use(_visitor(), chosen)
    except OverreadError:
        return


def _complete_address(page, datasets: dict[str, Dataset]) -> None:
    """Once a visit: an address without data set or model gets the ones that are shown."""
    if st.session_state.get("addressed"):
        return
    st.session_state["addressed"] = True
    query = {key: st.query_params.get_all(key) for key in st.query_params}
    name = query["data"][-1] if "data" in query else _first_dataset(datasets)
    if name in datasets:
        model = loaders.preferred(datasets[name], _visitor())
        whole = {"data": name, **({"model": model} if model else {}), **query}
        if whole.keys() != query.keys():
            st.switch_page(page, query_params=whole)


def _draw_select(label: str, name: str, options: list[str], first) -> str | None:
    """A selector whose choice is always in the address, also where it is `first()`, the choice made for the visitor.

    Streamlit leaves a default out of the address. Which set or model comes first changes with what is indexed and
    trained, and a link would then show another one. So there is no default, and the first choice is made here.
    """
    state = st.session_state
    address.key(name, Choice(options, label.lower()))
    if (state.get(name) or st.query_params.get(name)) not in options:
        if (chosen := first()) is not None:
            state[name] = chosen
    elif name in state and name not in st.query_params:
        state[name] = state[name]  # a value set by a script reaches the address only when it is set again here
    return st.selectbox(
        label,
        options,
        index=None,
        key=name,
        bind="query-params",
        required=True,
        on_change=_remember,
        placeholder="No checkpoint" if name == "model" else None,
    )
