"""Maps, their trust, and a cohort's: cached by the weights' hash and the files' content, or kept on disk by them."""

import numpy as np
import pandas as pd
import streamlit as st

from core.data.index import Dataset
from core.models.checkpoint import Checkpoint
from dashboard import loaders


@st.cache_data(max_entries=128, show_spinner=False)
def attribution(reference: str, sha1: str, method: str, layer: str, baseline: str, _checkpoint: Checkpoint, _pixels):
    """One map of one radiograph. Refused where the method would not be itself: the reason is not cached."""
    from core.explain.attribution import attribute

    return attribute(loaders.classifier(reference, _checkpoint), _pixels, method, layer=layer, baseline=baseline)


@st.cache_data(max_entries=128, show_spinner=False)
def trust(
    reference: str, sha1: str, method: str, layer: str, baseline: str, auroc, _checkpoint: Checkpoint, _pixels, _truth
):
    """The checks of that map."""
    from core.explain.faithfulness import judge

    found = attribution(reference, sha1, method, layer, baseline, _checkpoint, _pixels)
    return judge(
        loaders.classifier(reference, _checkpoint),
        _pixels,
        found,
        truth=_truth,
        model_auroc=auroc,
        options={"layer": layer, "baseline": baseline},
    )


@st.cache_data(max_entries=32, show_spinner="Explaining the study")
def study_attribution(
    reference: str, sha1s: tuple[str, ...], method: str, aggregation: str, _checkpoint: Checkpoint, _pixels
):
    """One map a view, for the logit of the study's score."""
    from core.explain.attribution import attribute_study

    return attribute_study(loaders.classifier(reference, _checkpoint), _pixels, method, aggregation)


@st.cache_data(max_entries=8, show_spinner=False)
def findings(dataset_name: str, index_hash: str, _dataset: Dataset):
    """Where abnormalities are known to lie."""
    from core.data.findings import Findings

    return Findings.of(_dataset)


@st.cache_data(max_entries=64, show_spinner=False)
def framed(reference: str, sha1: str, method: str, _checkpoint: Checkpoint, _pixels) -> tuple[np.ndarray, np.ndarray]:
    """A map and its radiograph in the body's frame, small enough to keep many."""
    from core.explain.cohort import to_frame

    found = attribution(reference, sha1, method, "", "black", _checkpoint, _pixels)
    return to_frame(found.map, _pixels), to_frame(_pixels.astype(np.float64), _pixels)


def judged(checkpoint: Checkpoint) -> pd.DataFrame:
    """What has been judged of a checkpoint's maps; a file of a few hundred lines, read anew each time."""
    from core.explain.cohort import trust_rows

    return trust_rows(checkpoint)
