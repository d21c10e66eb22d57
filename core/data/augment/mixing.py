"""MixUp (Zhang 2018) and CutMix (Yun 2019): a sample gets a part of another one's pixels, and of its label.

Who is mixed with whom depends on seed, epoch, image and who takes part in the epoch, never on the batch: the partner is
made anew from its own pixels, wherever it comes in the epoch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.augment.draws import DRAWS, keys_of, uniform_draws
from core.data.augment.pixels import apply
from core.data.augment.spec import Augmentation


@dataclass(frozen=True)
class Company:
    """All who take part in an epoch: their ids in order, and where each stood in the list they came from."""

    ids: np.ndarray
    places: np.ndarray

    @classmethod
    def of(cls, image_ids) -> "Company":
        ids, places = np.unique(np.asarray(image_ids, dtype=object), return_index=True)
        return cls(ids, places)


def mix_table(augmentation: Augmentation, company: Company, image_ids, seed: int, epoch, side: int) -> pd.DataFrame:
    """With whom each sample is mixed: one row an image.

    partner (id, '' for none), place (of the partner in the company's list, -1 for none), share (the sample's own part
    of the label, 0..1), cut (bool: CutMix), and of its window left, top, right, bottom (pixels, the last ones out).
    """
    from scipy.special import betaincinv

    a, rows = augmentation, []
    for image, values in zip(image_ids, uniform_draws(keys_of(image_ids, seed, epoch)).T.tolist()):
        drawn = dict(zip(DRAWS, values))
        mixed, cut = drawn["mixup"] < a.mixup, drawn["cutmix"] < a.cutmix
        own, there = _place(company.ids, image)
        others = len(company.ids) - there
        if not (mixed or cut) or others < 1:
            rows.append(("", -1, 1.0, False, 0, 0, 0, 0))
            continue
        found = int(drawn["partner"] * others)
        found += there and found >= own  # never itself
        partner, place = str(company.ids[found]), int(company.places[found])
        if mixed:
            share = float(betaincinv(a.mixup_alpha, a.mixup_alpha, drawn["mixup_share"]))
            # The larger part is the sample's own, so that what is seen goes by its name.
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
    """The samples float32 [n, 1, s, s] that `apply` made, mixed as the table says.

    fetch: from places in the company's list to the bytes there, uint8 tensor [m, s, s] on the samples' device.
    """
    import torch

    from core.data.augment.on_device import inside

    taken = np.flatnonzero(table["place"].to_numpy() >= 0)
    if not len(taken):
        return unit
    chosen = table.iloc[taken]
    epochs = np.broadcast_to(epoch, len(table))[taken]
    other = apply(augmentation, fetch(chosen["place"].to_numpy()), chosen["partner"].to_list(), seed, epochs)
    own = unit[taken]
    share = torch.tensor(chosen["share"].to_numpy().astype(np.float32), device=unit.device)[:, None, None, None]
    cut = torch.tensor(chosen["cut"].to_numpy(), device=unit.device)[:, None, None, None]
    windows = chosen[["left", "top", "right", "bottom"]].to_numpy()
    mixed = torch.where(cut, torch.where(inside(windows, own)[:, None], other, own), own * share + other * (1 - share))
    unit = unit.clone()
    unit[torch.tensor(taken, device=unit.device)] = mixed
    return unit


def mixed_targets(
    table: pd.DataFrame, chosen: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Soft labels and loss weights float32 [n] of the samples `chosen` from the company's list.

    Binary cross-entropy is linear in its target, so these give the sum of both losses, each with its own weight.
    """
    place = table["place"].to_numpy()
    share = np.where(place < 0, 1.0, table["share"].to_numpy())
    partner = np.where(place < 0, chosen, place)
    own, other = share * weights[chosen], (1 - share) * weights[partner]
    weight = own + other
    target = (own * labels[chosen] + other * labels[partner]) / np.maximum(weight, 1e-12)
    return target.astype(np.float32), weight.astype(np.float32)


def _place(ids: np.ndarray, image: str) -> tuple[int, bool]:
    """Where an id stands among those in order, and whether it is there."""
    found = int(np.searchsorted(ids, image))
    return found, found < len(ids) and ids[found] == image


def _window(drawn: dict[str, float], side: int) -> tuple[int, int, int, int]:
    """The window of CutMix in pixels: an area drawn evenly, a centre drawn evenly, cut off at the edges."""
    length = drawn["cutmix_area"] ** 0.5
    ends = []
    for centre in (drawn["cutmix_x"], drawn["cutmix_y"]):
        low, high = centre - length / 2, centre + length / 2
        ends.append((max(0, round(low * side)), min(side, round(high * side))))
    (left, right), (top, bottom) = ends
    return left, top, right, bottom
