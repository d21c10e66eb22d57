"""Saliency maps and their checks, cached by the weights, the pixels and the settings."""

import numpy as np
import pandas as pd

from core.data.index import Dataset
from core.data.input_spec import InputSpec
from core.models.checkpoint import Checkpoint
from dashboard.shared import loaders
from dashboard.shared.cache import cached_data

# Radiographs are shown with at least this many pixels a side.
SHOWN_SIDE = 640


def end_outdated_run() -> bool:
    """End this run with Streamlit's own exception if the visitor has changed something meanwhile; else return False.

    Passed as `cancelled`, so it is called before each pass through a network. Without it, the visitor would wait for
    a map of a hundred passes that nobody looks at.
    """
    # Streamlit has no public name for this check. Without it, the map is finished first.
    from streamlit.runtime.scriptrunner_utils import script_run_context

    if check := getattr(script_run_context, "get_run_yield_check", lambda: None)():
        check()
    return False


@cached_data(max_entries=128)
def attribution(checkpoint: Checkpoint, pixels: np.ndarray, method: str, settings):
    """The Attribution of one radiograph, uint8 [s, s]. settings: MapSettings.

    MethodRefused where the method does not apply; an error is not cached.
    """
    from core.explain.attribution import attribute

    return attribute(loaders.classifier(checkpoint), pixels, method, settings, end_outdated_run)


@cached_data(max_entries=128)
def check_map(checkpoint: Checkpoint, pixels: np.ndarray, method: str, settings, evidence):
    """The TrustReport of that map. evidence: Evidence."""
    from core.explain import faithfulness

    return faithfulness.check_map(
        loaders.classifier(checkpoint),
        pixels,
        attribution(checkpoint, pixels, method, settings),
        evidence,
        settings,
        cancelled=end_outdated_run,
    )


@cached_data(max_entries=32, show_spinner="Making the maps of the study")
def study_attribution(checkpoint: Checkpoint, pixels: np.ndarray, method: str, aggregation: str):
    """One Attribution for each view, for the logit of the study's score. pixels: uint8 [n, s, s]."""
    from core.explain.attribution import attribute_study

    return attribute_study(loaders.classifier(checkpoint), pixels, method, aggregation, cancelled=end_outdated_run)


@cached_data(max_entries=64)
def check_view_map(checkpoint: Checkpoint, view, method: str, evidence):
    """The TrustReport of the map of one view for its study's score. view: StudyView. evidence: Evidence."""
    from core.explain import faithfulness

    return faithfulness.check_map(
        loaders.classifier(checkpoint),
        view.views[view.place],
        study_attribution(checkpoint, view.views, method, view.aggregation)[view.place],
        evidence,
        study=view,
        cancelled=end_outdated_run,
    )


@cached_data(max_entries=8, show_spinner="Making the mean radiograph")
def mean_radiograph(dataset: Dataset, spec: InputSpec) -> np.ndarray:
    """The mean of up to 500 radiographs of a data set, at the network's input size."""
    from core.explain.mean_radiograph import mean_radiograph as mean_of

    return mean_of(dataset, spec)


@cached_data(max_entries=64)
def large_pixels(root: str, path: str, sha1: str, fit: str, size: int) -> np.ndarray:
    """The radiograph fitted as for the network, with at least SHOWN_SIDE pixels a side."""
    from core.data.pixels import read_grey, to_square

    return to_square(read_grey(f"{root}/{path}"), max(size, SHOWN_SIDE), fit)


@cached_data(max_entries=16)
def cam_maps(checkpoint: Checkpoint, pixels: np.ndarray, method: str) -> np.ndarray:
    """HiRes-CAM or Grad-CAM of many radiographs uint8 [n, s, s] in one pass, float16 [n, s, s]."""
    from core.explain.grid_cam import cam_grid

    network = loaders.classifier(checkpoint)
    return cam_grid(network, pixels, fine=method == "hires_cam", cancelled=end_outdated_run).astype(np.float16)


@cached_data(max_entries=8)
def known_findings(dataset: Dataset):
    """The known places of abnormalities, AbnormalityMasks."""
    from core.data.abnormality_masks import AbnormalityMasks

    return AbnormalityMasks.of(dataset)


def checked_rows(checkpoint: Checkpoint) -> pd.DataFrame:
    """The stored checks of a checkpoint's maps; a file of a few hundred lines, read each time."""
    from core.explain.cohort import trust_rows

    return trust_rows(checkpoint)
