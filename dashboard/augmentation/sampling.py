"""The radiograph, the number of samples and the seed, all kept in the address."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from core.data.augment import Augmentation
from core.data.input_spec import InputSpec
from core.errors import OverreadError
from core.metrics.evaluation import outcome_table
from core.models.checkpoint import Checkpoint
from core.scores.source import Source
from core.scores.view import View
from dashboard.augmentation import loader
from dashboard.shared import address, loaders, theme, widgets
from dashboard.shared.address_kinds import Text

MOST_LISTED = 300
ANY = "Any"
OUTCOMES = {name: outcome for outcome, (_, name, _) in theme.OUTCOMES.items()}
# Without a network, samples are made at this size.
DEFAULT_SIZE = 128
# A radiograph whose grey levels (0..255, black left out) vary less than this is taken for a blank frame.
LEAST_CONTRAST = 20


@dataclass(frozen=True)
class Sampling:
    """One radiograph (a row of the Index), the augmentation, the number of samples and the seed."""

    row: pd.Series
    augmentation: Augmentation
    count: int
    seed: int


def network_of(source: Source) -> Checkpoint | None:
    """The checkpoint of a source; None for imported scores and for a data set without a model."""
    return source.checkpoint if source.has_network else None


def input_spec(source: Source) -> InputSpec:
    """The input size of the network, or DEFAULT_SIZE pixels without one."""
    return source.checkpoint.input_spec if source.has_network else InputSpec(DEFAULT_SIZE)


def choose_sampling(view: View, augmentation: Augmentation) -> Sampling:
    """Draw the controls."""
    outcomes = study_outcomes(view)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = ANY
        if outcomes is not None:
            kind = address.bound(
                st.segmented_control,
                "Outcome",
                [ANY, *OUTCOMES],
                default=ANY,
                required=True,
                key="original",
                wrap=True,
            )
        row = choose_image(view, outcomes, OUTCOMES.get(kind, ""))
        count = address.bound(st.slider, "Samples", 4, 24, 12, 4, key="count", width=150)
        seed = address.bound(
            st.number_input,
            "Seed",
            0,
            2**31 - 1,
            0,
            key="seed",
            width=130,
            help="The same seed gives the same samples, here and in training.",
        )
        st.button("Draw again", key="roll", icon=":material/casino:", on_click=_new_seed, help="Take another seed.")
    return Sampling(row, augmentation, count, int(seed))


def choose_image(view: View, outcomes: pd.Series | None, wanted: str) -> pd.Series:
    """One radiograph of the bone and of the outcome `wanted` ('' for any); one named in the address is kept."""
    index = loader.radiographs(view.dataset)
    rows = index[index["bone"] == view.bone] if view.bone else index
    rows = rows if len(rows) else index
    if outcomes is not None:
        found = rows["study_id"].map(outcomes)
        rows = rows[found.eq(wanted) if wanted else found.notna()] if found.notna().any() else rows
    if rows.empty:
        widgets.note("No radiograph has this outcome; the list shows all of them.")
        rows = index
    options = rows["image_id"].head(MOST_LISTED).tolist()
    name = st.session_state.get("image") or address.value("image", Text())
    if name not in options and wanted == "" and (index["image_id"] == name).any():
        options = [name, *options]
    if name not in options:
        name = first_with_contrast(view, rows)
        address.set_first("image", name)
    picked = address.bound(st.selectbox,
        "Radiograph", options, index=None, key="image", width=300,
        help=f"Up to {MOST_LISTED} of this bone and outcome. The address can name any other.",
    )  # fmt: skip
    return index[index["image_id"] == (picked or name)].iloc[0]


def first_with_contrast(view: View, rows: pd.DataFrame) -> str:
    """The first of the first few radiographs that is not blank, since archives contain blank frames."""
    for row in rows.head(8).itertuples():
        try:
            grey = loader.square(loader.Film(view.dataset.root, row.path, row.sha1), input_spec(view.source))
        except OverreadError:
            continue
        if (visible := grey[grey > 0]).size and visible.std() > LEAST_CONTRAST:
            return row.image_id
    return rows["image_id"].iloc[0]


def study_outcomes(view: View) -> pd.Series | None:
    """The outcome of each study of the split at the threshold; None where the model has not scored it."""
    try:
        if not view.source.has_network or not loaders.is_scored(view.source):
            return None
        studies = loaders.studies(view.every_bone)
    except OverreadError:
        return None
    return outcome_table(studies, view.threshold).set_index("study_id")["outcome"] if len(studies) else None


def _new_seed() -> None:
    st.session_state["seed"] = int(np.random.default_rng().integers(2**31))
