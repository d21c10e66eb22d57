"""Attribution maps and the checks of their trust, cached by the weights, the pixels and the settings."""

import numpy as np
import pandas as pd

from core.data.index import Dataset
from core.data.input_spec import InputSpec
from core.models.checkpoint import Checkpoint
from dashboard.shared import loaders
from dashboard.shared.cache import cached_data

# A film is shown about so many pixels wide.
SHARP = 640


def moved_on() -> bool:
    """End this run, by Streamlit's own exception, if its reader has asked for something else meanwhile.

    Called before each pass through a network. Without it, a map of a hundred passes would be finished for nobody.
    """
    # Streamlit has no public name for it; without it a map is finished first, like anything else.
    from streamlit.runtime.scriptrunner_utils import script_run_context

    if check := getattr(script_run_context, "get_run_yield_check", lambda: None)():
        check()
    return False


@cached_data(max_entries=128)
def attribution(checkpoint: Checkpoint, pixels: np.ndarray, method: str, layer: str, baseline: str | np.ndarray):
    """One map of one radiograph uint8 [s, s]; a baseline is a name or a picture uint8 [s, s].

    MethodRefused where the method does not apply; it is not cached.
    """
    from core.explain.attribution import MapSettings, attribute

    network = loaders.classifier(checkpoint)
    return attribute(network, pixels, method, MapSettings(layer, baseline), moved_on)


@cached_data(max_entries=128)
def trust(
    checkpoint: Checkpoint,
    pixels: np.ndarray,
    method: str,
    layer: str,
    baseline: str | np.ndarray,
    model_auroc: tuple[float, float] | None,
    finding: np.ndarray | None,
):
    """The checks of that map. finding: where the known abnormality is, bool [s, s]."""
    from core.explain.attribution import MapSettings
    from core.explain.faithfulness import Evidence, check_map

    return check_map(
        loaders.classifier(checkpoint),
        pixels,
        attribution(checkpoint, pixels, method, layer, baseline),
        Evidence(finding, model_auroc),
        MapSettings(layer, baseline),
        cancelled=moved_on,
    )


@cached_data(max_entries=32, show_spinner="Explaining the study")
def study_attribution(checkpoint: Checkpoint, pixels: np.ndarray, method: str, aggregation: str):
    """One map a view, for the logit of the study's score. pixels: uint8 [n, s, s]."""
    from core.explain.attribution import attribute_study

    return attribute_study(loaders.classifier(checkpoint), pixels, method, aggregation, cancelled=moved_on)


@cached_data(max_entries=64)
def view_trust(
    checkpoint: Checkpoint,
    pixels: np.ndarray,
    place: int,
    method: str,
    aggregation: str,
    model_auroc: tuple[float, float] | None,
    finding: np.ndarray | None,
):
    """The checks of the map of one view, the one at `place`, for its study's score."""
    from core.explain.faithfulness import Evidence, check_map
    from core.explain.score_functions import StudyView

    maps = study_attribution(checkpoint, pixels, method, aggregation)
    return check_map(
        loaders.classifier(checkpoint),
        pixels[place],
        maps[place],
        Evidence(finding, model_auroc),
        study=StudyView(pixels, place, aggregation),
        cancelled=moved_on,
    )


@cached_data(max_entries=8, show_spinner="Making the mean radiograph")
def mean_radiograph(dataset: Dataset, spec: InputSpec) -> np.ndarray:
    """The mean of up to 500 radiographs of a data set, at the network's input size."""
    from core.explain.trust_sample import mean_radiograph as made

    return made(dataset, spec)


@cached_data(max_entries=64)
def sharp(root: str, path: str, sha1: str, fit: str, size: int) -> np.ndarray:
    """The radiograph fitted as for the network, but at least SHARP pixels a side, for display."""
    from core.data.pixels import read_grey, to_square

    return to_square(read_grey(f"{root}/{path}"), max(size, SHARP), fit)


@cached_data(max_entries=16)
def cam_maps(checkpoint: Checkpoint, pixels: np.ndarray, method: str) -> np.ndarray:
    """HiRes-CAM or Grad-CAM of many radiographs uint8 [n, s, s] in one pass, float16 [n, s, s]."""
    from core.explain.grid_cam import cam_grid

    network = loaders.classifier(checkpoint)
    return cam_grid(network, pixels, fine=method == "hires_cam", cancelled=moved_on).astype(np.float16)


@cached_data(max_entries=8)
def findings(dataset: Dataset):
    """Where abnormalities are known to be."""
    from core.data.abnormality_masks import AbnormalityMasks

    return AbnormalityMasks.of(dataset)


def judged(checkpoint: Checkpoint) -> pd.DataFrame:
    """The checked maps of a checkpoint; a file of a few hundred lines, read each time."""
    from core.explain.cohort import trust_rows

    return trust_rows(checkpoint)
