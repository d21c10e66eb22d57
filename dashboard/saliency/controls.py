"""The choices of the Saliency page: radiograph or study, methods, layer and baseline, and the look of the maps.

Every choice is kept in the address.
"""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.explain.map_record import MapRecord
from core.explain.map_values import DEFAULT_PAIR
from core.explain.method_list import METHOD_LIST
from core.explain.overlay import PALETTES, POLARITIES
from core.metrics.evaluation import errors_first, outcome_table
from core.scores.view import View
from dashboard.shared import address, loaders, trust_marks, widgets
from dashboard.shared.address_kinds import Choice

MOST_LISTED = 300


@dataclass(frozen=True)
class Look:
    """Settings for drawing maps; no map is computed again for it.

    polarity: a name of POLARITIES. palette: a name of PALETTES. least: the weakest strength shown, 0..1.
    network_pixels: whether the radiograph is shown in the network's pixels instead of larger ones. show_all: whether
    maps are drawn that do not hold up.
    """

    polarity: str
    palette: str
    least: float
    opacity: float
    network_pixels: bool = False
    show_all: bool = False


def choose_image(view: View, radiographs: pd.DataFrame) -> pd.Series:
    """One radiograph, with the outcome and the score of its study; those of missed studies are listed first."""
    studies = _outcomes(view).set_index("study_id")
    rows = radiographs.assign(
        outcome=radiographs["study_id"].map(studies["outcome"]), score=radiographs["study_id"].map(studies["score"])
    )
    options = _list_options("image", "image_id", rows, view.bone)
    # Without a default, since Streamlit leaves a default out of the address, and the first option may change.
    chosen = address.bound(
        st.selectbox,
        "Radiograph",
        options,
        index=None,
        key="image",
        help="Missed studies first, then false alarms.",
    )
    return rows[rows["image_id"] == (chosen or options[0])].iloc[0]


def choose_study(view: View) -> pd.Series:
    """One study with its outcome, named by its id; missed studies with the lowest scores are listed first."""
    studies = _outcomes(view)
    options = _list_options("study", "study_id", studies, view.bone)
    chosen = address.bound(st.selectbox, "Study", options, index=None, key="study", help="Missed studies first.")
    # Its name is the id, and not one of its values.
    return studies[studies["study_id"] == (chosen or options[0])].set_index("study_id").iloc[0]


def choose_methods() -> list[str]:
    """Several methods, in the order of the registry."""
    titles = method_titles()
    before = st.session_state.get("methods") or DEFAULT_PAIR
    with address.more("Methods: " + ", ".join(titles[name] for name in before if name in titles)):
        chosen = address.bound(
            st.pills,
            "Methods",
            list(titles),
            selection_mode="multi",
            default=list(DEFAULT_PAIR),
            key="methods",
            format_func=titles.get,
            wrap=True,
            help=_describe_methods(),
        )
    return [name for name in titles if name in chosen]


def choose_method() -> str:
    """One method."""
    titles = method_titles()
    return address.bound(
        st.selectbox, "Method", list(titles), key="method", format_func=titles.get, help=_describe_methods()
    )


def method_titles() -> dict[str, str]:
    """The title of each saliency method."""
    return {name: method.title for name, method in METHOD_LIST.items()}


def choose_look() -> Look:
    """The controls of a Look."""
    first, second, third, fourth, fifth = st.columns([3, 3, 3, 3, 2], vertical_alignment="bottom")
    polarity = address.bound(
        first.selectbox,
        "Evidence",
        list(POLARITIES)[::-1],
        key="polarity",
        help="The evidence that is shown: for abnormal, for normal, or both by their strength.",
    )
    palette = address.bound(
        second.selectbox,
        "Colours",
        list(PALETTES),
        key="palette",
        help="sides: orange is evidence for abnormal, blue for normal. The others show the strength alone.",
    )
    opacity = address.bound(third.slider, "Opacity", 0, 100, 60, 5, key="opacity", format="%d%%")
    least = address.bound(
        fourth.slider,
        "Weakest shown",
        0,
        95,
        0,
        5,
        key="least",
        format="%d%%",
        help="Weaker parts of a map are hidden; in per cent of its strongest part.",
    )
    network_pixels = address.bound(
        fifth.toggle,
        "Raw input",
        key="network_pixels",
        help="Show the radiograph in the pixels that the network receives, instead of larger.",
    )
    return Look(polarity, palette, least / 100, opacity / 100, network_pixels, wants_all())


def wants_all() -> bool:
    """Whether the reader wants to see maps that do not hold up."""
    return bool(st.session_state.get("show_all"))


def draw_plain_note(place, records: list[MapRecord]) -> None:
    """Say once why films are shown without maps, with a toggle that draws the maps anyway."""
    note = trust_marks.plain_note(records)
    with place, st.container(horizontal=True, vertical_alignment="center"):
        # Drawn in any case, since the address keeps only what is drawn.
        address.bound(
            st.toggle,
            trust_marks.SHOW_ALL,
            key="show_all",
            help="Draw maps that failed their checks, each with its verdict.",
        )
        if note and not wants_all():
            widgets.note(note)


def choose_layer_and_baseline() -> tuple[str, str]:
    """The layer of a CAM ('' for the method's own choice) and the name of a baseline."""
    with st.expander("Layer and baseline"):
        left, right = st.columns(2)
        layer = address.bound(
            left.text_input,
            "Layer of a CAM",
            key="layer",
            placeholder="chosen by the method",
            help="The name of a module of the network.",
        )
        baseline = address.bound(
            right.selectbox,
            "Baseline",
            ["black", "blur", "grey", "mean"],
            key="baseline",
            help="The picture without evidence that a method compares with. mean: the mean of this data set.",
        )
    return layer.strip(), baseline


def _outcomes(view: View) -> pd.DataFrame:
    return outcome_table(loaders.studies(view.every_bone), view.threshold)


def _list_options(key: str, column: str, rows: pd.DataFrame, bone: str) -> list[str]:
    """The names to choose from, those of the chosen bone if it has any. Without a name in the address the first is
    shown.

    An address that names none of `rows` says so and offers the nearest.
    """
    known = Choice(rows[column], {"image": "radiograph"}.get(key, key))
    address.key(key, known)
    of_bone = rows[rows["bone"] == bone] if bone else rows
    options = errors_first(rows if of_bone.empty else of_bone, MOST_LISTED)[column].tolist()
    wanted = st.session_state.get(key) or address.value(key, known)
    if wanted in known:
        return options if wanted in options else [wanted, *options]
    st.session_state[key] = options[0]
    return options


def _describe_methods() -> str:
    """Each method in one line, with its source."""
    lines = [f"- **{method.title}** ({method.source}): {method.line}" for method in METHOD_LIST.values()]
    return "\n".join(lines)
