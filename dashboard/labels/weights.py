"""Weights of doubtful radiographs, stored from the list of the Labels page for the loss of a training."""

import pandas as pd
import streamlit as st

from core.among import among
from core.data.index import Dataset
from core.errors import OverreadError
from core.plural import count_text
from core.workflows.label_audit import WeightOrder, keep_weights
from dashboard.shared import loaders, widgets
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate

BY_SCORE, FIRST = "Suspects: the score of their given label", "The first studies: one weight"


def draw_weights(dataset: Dataset, ranked: pd.DataFrame) -> None:
    """A popover that stores weights of the listed studies. ranked: as `rank_suspects` returns it, in this order."""
    index = loaders.index(dataset)
    ranked = ranked[among(ranked["study_id"], index.loc[index["split"] == "train", "study_id"])]
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.popover("Weights for a training", icon=":material/balance:"):
            widgets.note(
                "A training multiplies the loss of a radiograph by its weight; 0 leaves it out. Radiographs that are "
                "not in this list, or not in train, have the weight 1."
            )
            if ranked.empty:
                widgets.note(
                    "No study of this list is in train: a network ranks only studies that it has not learned from. "
                    "Rank from features, or choose a model that was trained fold by fold."
                )
            how = st.radio("Weights", (BY_SCORE, FIRST), key="weights_how")
            first, weight = 0, 0.0
            if how == FIRST:
                left, right = st.columns(2)
                first = int(
                    left.number_input(
                        "Studies of train, from the first", 1, max(len(ranked), 1), 1, key="weights_first"
                    )
                )
                weight = float(right.number_input("Weight", 0.0, 1.0, 0.0, 0.1, key="weights_weight"))
            name = st.text_input("Name", "doubts", max_chars=60, key="weights_name")
            st.button(
                "Store weights",
                key="store_weights",
                type="primary",
                on_click=_store,
                args=(ranked, dataset, WeightOrder(name.strip(), first, weight)),
                **gate("train", not name.strip() or ranked.empty),
            )
        # The sentence is about the data set whose weights were stored.
        of, said = st.session_state.get("weights_said", ("", ""))
        if of == dataset.reference:
            widgets.note(said)
            st.page_link("runs/page.py", label="Train with them", query_params={}, icon=":material/arrow_forward:")
    if error := st.session_state.pop("weights_error", None):
        st.error(plain(error))


def _store(ranked: pd.DataFrame, dataset: Dataset, order: WeightOrder) -> None:
    # Repeating it does no harm: the same weights have the same reference.
    try:
        kept = keep_weights(ranked, dataset, order)
    except OverreadError as error:
        st.session_state["weights_error"] = str(error)
        return
    st.session_state["weights_said"] = (
        dataset.reference,
        f"Stored the weights of {count_text(kept.radiographs, 'radiograph')} of {dataset.name} as {kept.reference}, "
        f"{kept.left_out:,} of them 0. Choose them on the Runs page under Radiograph weights.",
    )
