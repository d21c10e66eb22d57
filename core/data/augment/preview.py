"""What training makes of one radiograph in each epoch: the pixels of the preview, equal to training's to the bit."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from core.data.augment.draws import draw_table
from core.data.augment.mixing import Company, mix, mix_table
from core.data.augment.pixels import apply
from core.data.augment.spec import Augmentation


def preview(
    augmentation: Augmentation,
    read: Callable[[str], np.ndarray],
    image_id: str,
    seed: int,
    epochs: Sequence[int],
    everyone: Sequence[str] = (),
    device="cpu",
):
    """Samples float32 tensor [n, 1, s, s] on the device, and their draws: one row an epoch, partner and share too.

    read: from an image_id to its bytes, uint8 [s, s]. everyone: who takes part in the epoch, for MixUp and CutMix;
    without, nothing is mixed.
    """
    import torch

    def tensor(names: Sequence[str]):
        return torch.from_numpy(np.stack([read(name) for name in names])).to(device)

    own, everyone, epochs = tensor([image_id]), list(everyone), np.asarray(epochs)
    names = [image_id] * len(epochs)
    # One batch over the epochs, since no batch changes a sample.
    units = apply(augmentation, own.expand(len(epochs), -1, -1), names, seed, epochs)
    draws = draw_table(augmentation, names, seed, epochs).assign(epoch=epochs)
    if augmentation.mixes and everyone:
        table = mix_table(augmentation, Company.of(everyone), names, seed, epochs, own.shape[-1])
        units = mix(augmentation, units, table, lambda at: tensor([everyone[place] for place in at]), seed, epochs)
        draws = pd.concat([draws, table], axis=1)
    return units, draws
