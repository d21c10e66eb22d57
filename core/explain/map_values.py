"""A saliency map and the settings it was made with, as values. Imports no torch."""

import math
from dataclasses import dataclass

import numpy as np

# The pair of methods that pages and commands use where no method is named.
DEFAULT_PAIR = ("hires_cam", "occlusion")


@dataclass(frozen=True)
class MapSettings:
    """Settings of a map. layer: of the CAM methods; '' finds one.

    baseline: the picture that replaces removed evidence, in pixels: black, blur, grey, or a picture uint8 [size, size]
    such as the data set's mean. seed: of the methods and checks that draw random numbers.
    """

    layer: str = ""
    baseline: str | np.ndarray = "black"
    seed: int = 0


DEFAULT_SETTINGS = MapSettings()


@dataclass(frozen=True)
class Attribution:
    """One map of one radiograph, float32 [size, size].

    Where `signed`, positive values are evidence for abnormal and negative ones for normal; otherwise values are
    magnitudes. value: the logit that is explained. gap: the share of the change from the baseline that the map leaves
    unexplained (NaN where the method promises no completeness). note: the method's settings in words.
    """

    method: str
    map: np.ndarray
    value: float
    explains: str
    note: str
    signed: bool = True
    gap: float = math.nan
    layer: str = ""
    baseline: str = ""
