"""Maps, their trust, and a cohort's: cached by the weights' hash and the files' content, or kept on disk by them."""

import numpy as np
import pandas as pd
import streamlit as st

from core.data.index import Dataset
from core.models.checkpoint import Checkpoint
from dashboard.shared import loaders

# A film is shown about so many pixels wide.
SHARP = 640


def moved_on() -> bool:
    """Ends this run, by Streamlit's own exception, where its reader has asked for something else meanwhile.

    Asked before each pass through a network: without it a map of a hundred passes would be finished for nobody.
    """
    # Streamlit has no public name for it; without it a map is finished first, as anything else is.
    from streamlit.runtime.scriptrunner_utils import script_run_context

    if check := getattr(script_run_context, "get_run_yield_check", lambda: None)():
        check()
    return False


@st.cache_data(max_entries=128, show_spinner=False)
def attribution(
    reference: str, sha1: str, method: str, layer: str, baseline: str, _checkpoint: Checkpoint, _pixels, _nothing=None
):
    """One map of one radiograph. MethodRefused is raised and not cached.

    `_nothing` is the picture that a baseline such as 'mean of demo@hash' names.
    """
    from core.explain.attribution import MapSettings, attribute

    nothing = baseline if _nothing is None else _nothing
    network = loaders.classifier(reference, _checkpoint)
    return attribute(network, _pixels, method, MapSettings(layer, nothing), moved_on)


@st.cache_data(max_entries=128, show_spinner=False)
def trust(
    reference: str,
    sha1: str,
    method: str,
    layer: str,
    baseline: str,
    auroc,
    _checkpoint: Checkpoint,
    _pixels,
    _truth,
    _nothing=None,
):
    """The checks of that map."""
    from core.explain.attribution import MapSettings
    from core.explain.faithfulness import Evidence, check_map

    found = attribution(reference, sha1, method, layer, baseline, _checkpoint, _pixels, _nothing)
    return check_map(
        loaders.classifier(reference, _checkpoint),
        _pixels,
        found,
        Evidence(_truth, auroc),
        MapSettings(layer, baseline if _nothing is None else _nothing),
        cancelled=moved_on,
    )


@st.cache_data(max_entries=32, show_spinner="Explaining the study")
def study_attribution(
    reference: str, sha1s: tuple[str, ...], method: str, aggregation: str, _checkpoint: Checkpoint, _pixels
):
    """One map a view, for the logit of the study's score."""
    from core.explain.attribution import attribute_study

    network = loaders.classifier(reference, _checkpoint)
    return attribute_study(network, _pixels, method, aggregation, cancelled=moved_on)


@st.cache_data(max_entries=64, show_spinner=False)
def view_trust(
    reference: str,
    sha1s: tuple[str, ...],
    place: int,
    method: str,
    aggregation: str,
    auroc,
    _checkpoint: Checkpoint,
    _pixels,
    _truth,
):
    """The checks of one view's map of a study's score."""
    from core.explain.faithfulness import Evidence, check_map
    from core.explain.score_functions import StudyView

    maps = study_attribution(reference, sha1s, method, aggregation, _checkpoint, _pixels)
    return check_map(
        loaders.classifier(reference, _checkpoint),
        _pixels[place],
        maps[place],
        Evidence(_truth, auroc),
        study=StudyView(_pixels, place, aggregation),
        cancelled=moved_on,
    )


@st.cache_data(max_entries=8, show_spinner="Making the mean radiograph")
def mean_radiograph(dataset_name: str, index_hash: str, spec: str, _dataset: Dataset, _spec) -> np.ndarray:
    """The mean of up to 500 radiographs of a data set, as the network is given one."""
    from core.explain.trust_sample import mean_radiograph as made

    return made(_dataset, _spec)


@st.cache_data(max_entries=64, show_spinner=False)
def sharp(root: str, path: str, sha1: str, fit: str, size: int) -> np.ndarray:
    """The radiograph fitted as the network is given it, but with so many pixels a side as are worth looking at."""
    from core.data.pixels import read_grey, to_square

    return to_square(read_grey(f"{root}/{path}"), max(size, SHARP), fit)


@st.cache_data(max_entries=16, show_spinner=False)
def grid(reference: str, sha1s: tuple[str, ...], method: str, _checkpoint: Checkpoint, _pixels) -> np.ndarray:
    """HiRes-CAM or Grad-CAM of many radiographs at once, float16 [n, s, s]."""
    from core.explain.grid_cam import cam_grid

    network = loaders.classifier(reference, _checkpoint)
    return cam_grid(network, _pixels, fine=method == "hires_cam", cancelled=moved_on).astype(np.float16)


@st.cache_data(max_entries=8, show_spinner=False)
def findings(dataset_name: str, index_hash: str, _dataset: Dataset):
    """Where abnormalities are known to lie."""
    from core.data.abnormality_masks import AbnormalityMasks

    return AbnormalityMasks.of(_dataset)


def judged(checkpoint: Checkpoint) -> pd.DataFrame:
    """What has been judged of a checkpoint's maps; a file of a few hundred lines, read anew each time."""
    from core.explain.cohort import trust_rows

    return trust_rows(checkpoint)
