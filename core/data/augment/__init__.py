"""Augmentation: one value that produces both the training pixels and their preview.

A sample depends only on (augmentation, image, epoch, seed), never on its place in a batch, so the preview of an image
is what training sees. `spec` is the value, `draws` the random numbers of each sample, `plan` the operations that follow
from them. `on_cpu`, `on_device` and, on NVIDIA GPUs, `fused` apply a plan; `pixels` chooses between them. `mixing` is
MixUp and CutMix.
"""

from core.data.augment.draws import draw_table, homographies
from core.data.augment.mixing import EpochImages, mix, mix_table, mixed_targets
from core.data.augment.named import find_augmentation, list_named, read_file, save_named
from core.data.augment.pixels import apply, apply_plan, make_plan, network_input, normalise_, send_plan
from core.data.augment.preview import preview
from core.data.augment.spec import LIMITS, PRESETS, VERSION, Augmentation, difference

__all__ = [
    "LIMITS",
    "PRESETS",
    "VERSION",
    "Augmentation",
    "EpochImages",
    "apply",
    "apply_plan",
    "difference",
    "draw_table",
    "find_augmentation",
    "homographies",
    "list_named",
    "make_plan",
    "mix",
    "mix_table",
    "mixed_targets",
    "network_input",
    "normalise_",
    "preview",
    "read_file",
    "save_named",
    "send_plan",
]
