"""Networks by name. Importing this package imports torch and timm, and registers every network of ours.

To add one: a module here with a function marked `@register`, and its name in the first import below.
"""

import core.models.networks.timm_import  # noqa: F401  before any other import of timm
from core.models.networks import (  # noqa: F401  register themselves
    attention,
    ensemble,
    grey_resnet,
    patch_attention,
    small_cnn,
)
from core.models.networks.poolings import POOLINGS
from core.models.networks.registry import CUSTOM, architecture_names, build, register
from core.models.networks.structure import check_size, find_head, reads_studies, stages
from core.models.networks.weights import load_weights

__all__ = [
    "CUSTOM",
    "POOLINGS",
    "architecture_names",
    "build",
    "check_size",
    "find_head",
    "load_weights",
    "reads_studies",
    "register",
    "stages",
]
