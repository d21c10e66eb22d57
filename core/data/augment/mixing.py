"""MixUp (Zhang 2018) and CutMix (Yun 2019): a sample gets part of another one's pixels, and of its label.

A sample's partner depends on seed, epoch, image and the images of the epoch, never on the batch: the partner is
augmented from its own pixels, wherever it comes in the epoch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.augment.draws import DRAWS, keys_of, uniform_draws
from core.data.augment.pixels import apply
from core.data.augment.spec import Augmentation


@dataclass(frozen=True)
class EpochImages:
    """The images of an epoch: their ids, sorted, and the place of each in the original list."""

    ids: np.ndarray
    places: np.ndarray

    @classmethod
    def of(cls, image_ids) -> "EpochImages":
        """The images of a list of ids, in which an id may occur several times."""
        ids, places = np.unique(np.asarray(image_ids, dtype=object), return_index=True)
        return cls(ids, places)


def mix_table(augmentation: Augmentation, images: EpochImages, image_ids, seed: int, epoch, side: int) -> pd.DataFrame:
    """The partner of each sample, one row per image.

    partner (id, '' for none), place (of the partner in the original list, -1 for none), share (the sample's own part of
    the label, 0..1), cut (bool: CutMix), and its window left, top, right, bottom (pixels, right and bottom exclusive).
    """
    from scipy.special import betaincinv

    a, rows = augmentation, []
    for image, values in zip(image_ids, uniform_draws(keys_of(image_ids, seed, epoch)).T.tolist()):
        drawn = dict(zip(DRAWS, values))
        mixed, cut = drawn["mixup"] < a.mixup, drawn["cutmix"] < a.cutmix
        own, present = _place(images.ids, image)
        others = len(images.ids) - present
        if not (mixed or cut) or others < 1:
            rows.append(("", -1, 1.0, False, 0, 0, 0, 0))
            continue
        found = int(drawn["partner"] * others)
        found += present and found >= own  # never itself
        partner, place = str(images.ids[found]), int(images.places[found])
        if mixed:
            share = float(betaincinv(a.mixup_alpha, a.mixup_alpha, drawn["mixup_share"]))
            # The larger part is the sample's own.
            rows.append((partner, place, max(share, 1 - share), False, 0, 0, 0, 0))
            continue
        box = _window(drawn, side)
        share = 1 - (box[2] - box[0]) * (box[3] - box[1]) / side**2
        rows.append((partner, place, share, True, *box))
    names = ["partner", "place", "share", "cut", "left", "top", "right", "bottom"]
    return pd.DataFrame(rows, columns=names, index=pd.Index(image_ids, name="image_id"))


def mix(
    augmentation: Augmentation,
    unit,
    table: pd.DataFrame,
    fetch: Callable[[np.ndarray], object],
    seed: int,
    epoch,
):
    """Samples float32 [n, 1, s, s] from `apply`, mixed by the table.

    fetch: from places in the original list to their pixels, uint8 tensor [m, s, s] on the samples' device.
    """
    import torch

    from core.data.augment.on_device import inside
    from core.device import send

    taken = np.flatnonzero(table["place"].to_numpy() >= 0)
    if not len(taken):
        return unit
    chosen = table.iloc[taken]
    epochs = np.broadcast_to(epoch, len(table))[taken]
    other = apply(augmentation, fetch(chosen["place"].to_numpy()), chosen["partner"].to_list(), seed, epochs)
    places = send(taken, unit.device)
    own = unit[places]
    share = send(chosen["share"].to_numpy().astype(np.float32), unit.device)[:, None, None, None]
    cut = send(chosen["cut"].to_numpy(), unit.device)[:, None, None, None]
    windows = send(chosen[["left", "top", "right", "bottom"]].to_numpy(), unit.device)
    mixed = torch.where(cut, torch.where(inside(windows, own)[:, None], other, own), own * share + other * (1 - share))
    unit = unit.clone()
    unit[places] = mixed
    return unit


def mixed_targets(
    table: pd.DataFrame, chosen: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Soft labels and loss weights float32 [n] of the samples at the places `chosen` of the original list.

    Binary cross-entropy is linear in its target, so the result equals the sum of both losses, each with its weight.
    """
    place = table["place"].to_numpy()
    share = np.where(place < 0, 1.0, table["share"].to_numpy())
    partner = np.where(place < 0, chosen, place)
    own, other = share * weights[chosen], (1 - share) * weights[partner]
    weight = own + other
    target = (own * labels[chosen] + other * labels[partner]) / np.maximum(weight, 1e-12)
    return target.astype(np.float32), weight.astype(np.float32)


def _place(ids: np.ndarray, image: str) -> tuple[int, bool]:
    """The place of an id among the sorted ids, and whether it is among them."""
    found = int(np.searchsorted(ids, image))
    return found, found < len(ids) and ids[found] == image


def _window(drawn: dict[str, float], side: int) -> tuple[int, int, int, int]:
    """The window of CutMix in pixels: uniform area, uniform centre, clipped at the edges."""
    length = drawn["cutmix_area"] ** 0.5
    ends = []
    for centre in (drawn["cutmix_x"], drawn["cutmix_y"]):
        low, high = centre - length / 2, centre + length / 2
        ends.append((max(0, round(low * side)), min(side, round(high * side))))
    (left, right), (top, bottom) = ends
    return left, top, right, bottom
