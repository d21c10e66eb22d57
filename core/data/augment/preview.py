"""One radiograph as training augments it in each epoch, bit for bit."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from core.data.augment.draws import draw_table
from core.data.augment.mixing import EpochImages, mix, mix_table
from core.data.augment.pixels import apply
from core.data.augment.spec import Augmentation


def preview(
    augmentation: Augmentation,
    read: Callable[[str], np.ndarray],
    image_id: str,
    seed: int,
    epochs: Sequence[int],
    epoch_images: Sequence[str] = (),
    device="cpu",
):
    """Samples float32 tensor [n, 1, s, s] on the device, and their draws, one row per epoch, with partner and share.

    read: from an image_id to its pixels, uint8 [s, s]. epoch_images: all images of an epoch, the possible partners for
    MixUp and CutMix; without them nothing is mixed.
    """
    import torch

    def tensor(names: Sequence[str]):
        return torch.from_numpy(np.stack([read(name) for name in names])).to(device)

    own, epoch_images, epochs = tensor([image_id]), list(epoch_images), np.asarray(epochs)
    names = [image_id] * len(epochs)
    # All epochs in one batch, since the batch does not change a sample.
    units = apply(augmentation, own.expand(len(epochs), -1, -1), names, seed, epochs)
    draws = draw_table(augmentation, names, seed, epochs).assign(epoch=epochs)
    if augmentation.mixes and epoch_images:
        table = mix_table(augmentation, EpochImages.of(epoch_images), names, seed, epochs, own.shape[-1])
        units = mix(
            augmentation, units, table, lambda places: tensor([epoch_images[place] for place in places]), seed, epochs
        )
        draws = pd.concat([draws, table], axis=1)
    return units, draws
