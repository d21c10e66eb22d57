"""Augmentation: one value from which both the training pixels and the preview are made.

What a sample gets depends only on (augmentation, image, epoch, seed), never on its place in a batch, so that the
preview of an image is what training sees. `spec` the value, `draws` what each sample is given, `plan` what that means
for pixels, `on_cpu` and `on_device` the two ways of doing it, `pixels` both under one name, `mixing` MixUp and CutMix.
"""

from core.data.augment.draws import draw_table, matrices
from core.data.augment.mixing import Company, mix, mix_table, mixed_targets
from core.data.augment.named import find_augmentation, list_named, read_file, save_named
from core.data.augment.pixels import apply, carried_out, planned
from core.data.augment.preview import preview
from core.data.augment.spec import LIMITS, PRESETS, VERSION, Augmentation, difference

__all__ = [
    "LIMITS",
    "PRESETS",
    "VERSION",
    "Augmentation",
    "Company",
    "apply",
    "carried_out",
    "difference",
    "draw_table",
    "find_augmentation",
    "list_named",
    "matrices",
    "mix",
    "mix_table",
    "mixed_targets",
    "planned",
    "preview",
    "read_file",
    "save_named",
]
