"""The effect of an augmentation on abnormalities whose place is known: how much it keeps, how often it loses them."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from core.data.abnormality_masks import AbnormalityMasks
from core.data.augment import Augmentation, draw_table, homographies
from core.data.augment.draws import inverse
from core.data.index import Dataset, read_index
from core.data.input_spec import InputSpec
from core.errors import OverreadError
from core.plural import count_text

MOST_POINTS = 400
_EPOCHS_PER_TABLE = 16
WORST = 10


def retention_table(
    augmentation: Augmentation,
    masks: dict[str, np.ndarray],
    seed: int,
    draws: int,
    progress: Callable[[int, int, str], None] | None = None,
) -> pd.DataFrame:
    """Share of each abnormality's area that stays in the image: image_id, epoch, kept (0..1); one row per draw.

    masks: bool [s, s] by image_id; empty ones are skipped. A point is kept if it stays inside the frame and outside
    the erased square; magnification does not count. MixUp and CutMix are ignored, since they mix the label as well.
    """
    names = [name for name, mask in masks.items() if mask.any()]
    if not names:
        return pd.DataFrame({"image_id": [], "epoch": [], "kept": []})
    points = [_points(masks[name]) for name in names]
    moves = any(
        getattr(augmentation, name) for name in ("rotation", "translation", "scale", "shear", "perspective", "crop")
    )
    flips = bool(augmentation.horizontal_flip or augmentation.vertical_flip)
    rows = []
    for first in range(0, draws, _EPOCHS_PER_TABLE):
        epochs = np.arange(first, min(first + _EPOCHS_PER_TABLE, draws))
        drawn = draw_table(augmentation, names * len(epochs), seed, np.repeat(epochs, len(names)))
        forward = inverse(homographies(drawn)) if moves or flips else np.repeat(np.eye(3)[None], len(drawn), axis=0)
        squares = drawn[["erasing_x", "erasing_y", "erasing_side"]].to_numpy()
        for place, ((left, top, side), back) in enumerate(zip(squares, forward)):
            x, y, w = back @ points[place % len(names)]
            # As fractions of the side, like the erased square.
            x, y = (x / w + 1) / 2, (y / w + 1) / 2
            in_frame = (w > 0) & (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
            erased = (x >= left) & (x < left + side) & (y >= top) & (y < top + side)
            kept = float((in_frame & ~erased).mean())
            rows.append((names[place % len(names)], int(epochs[place // len(names)]), kept))
        if progress:
            progress(int(epochs[-1]) + 1, draws, "drawing")
    return pd.DataFrame(rows, columns=["image_id", "epoch", "kept"])


def retention_facts(table: pd.DataFrame) -> dict:
    """kept: mean share of the area; lost: share of draws that keep nothing; halved: that keep less than half.

    Each with _low and _high: a 95% interval over radiographs, since draws of one radiograph are not independent.
    `worst`: the radiographs lost most often. NaN without radiographs.
    """
    by_image = table.assign(lost=table["kept"] == 0, halved=table["kept"] < 0.5).groupby("image_id")
    means = by_image[["kept", "lost", "halved"]].mean()
    facts: dict = {"radiographs": len(means), "draws": int(table["epoch"].nunique())}
    for name in ("kept", "lost", "halved"):
        values = means[name].to_numpy(float)
        mean = float(values.mean()) if len(values) else float("nan")
        half = 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("nan")
        facts |= {name: mean, f"{name}_low": max(0.0, mean - half), f"{name}_high": min(1.0, mean + half)}
    worst = means[means["lost"] > 0].sort_values(["lost", "kept"], ascending=[False, True]).head(WORST)
    facts["worst"] = [
        {"image_id": name, "lost": float(row.lost), "kept": float(row.kept)}
        for name, row in zip(worst.index, worst.itertuples())
    ]
    return facts


def known_masks(
    dataset: Dataset,
    spec: InputSpec,
    split: str = "",
    most: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, np.ndarray]:
    """Masks bool [s, s] in the network's input, of up to `most` radiographs (0: all), spread evenly over the set.

    OverreadError for a split without radiographs.
    """
    known, index = AbnormalityMasks.of(dataset), read_index(dataset.name)
    if split and split not in set(index["split"].unique()):
        splits = ", ".join(sorted(set(index["split"].unique())))
        raise OverreadError(
            f"Data set {dataset.name} has no radiograph in the split {split}; its splits are {splits}.",
            code="split-empty",
        )
    rows = index[index["split"] == split] if split else index
    names = sorted(set(rows["image_id"]) & set(known.image_ids()))
    if most and len(names) > most:
        names = [names[place] for place in np.linspace(0, len(names) - 1, most).round().astype(int)]
    found = {}
    for done, name in enumerate(names, 1):
        mask = known.mask(name, spec)
        if mask is not None and mask.any():
            found[name] = mask
        if progress:
            progress(done, len(names), "reading masks")
    return found


def retention_sentence(facts: dict, what: str = "known abnormalities") -> str:
    """Such as `keeps 93% of the area of known abnormalities, loses it entirely in 4% of draws`, with the counts."""
    if not facts["radiographs"]:
        return "no radiograph of this set has a known location of its abnormality, so losses cannot be counted"
    return (
        f"keeps {_percent(facts['kept'])} of the area of {what}, loses it entirely in {_percent(facts['lost'])} of "
        f"draws ({count_text(facts['radiographs'], 'radiograph')}, {count_text(facts['draws'], 'draw')} each)"
    )


def augmentation_warnings(augmentation: Augmentation) -> list[str]:
    """One sentence for each effect of an augmentation that a radiologist would object to."""
    a, found = augmentation, []
    if a.horizontal_flip:
        found.append(
            f"Flips left-right in {_percent(a.horizontal_flip)} of samples: left becomes right, and an L or R marker "
            "is mirrored. Do not use it if the side matters."
        )
    if a.vertical_flip:
        found.append(
            f"Flips top-bottom in {_percent(a.vertical_flip)} of samples: markers are mirrored, and no radiograph is "
            "read upside down."
        )
    if a.rotation >= 90:
        found.append(f"Rotates by up to {a.rotation:g} degrees: radiographs are never taken in such poses.")
    if a.inversion:
        found.append(f"Inverts {_percent(a.inversion)} of samples: metal and bone become dark.")
    if a.cutmix:
        found.append("CutMix may cover the abnormality, while the label is still shared by area.")
    return found


def _points(mask: np.ndarray) -> np.ndarray:
    """Pixel centres of a mask, homogeneous [3, n] in -1..1; at most MOST_POINTS, evenly chosen."""
    down, across = np.nonzero(mask)
    if len(down) > MOST_POINTS:
        chosen = np.linspace(0, len(down) - 1, MOST_POINTS).round().astype(int)
        down, across = down[chosen], across[chosen]
    side = mask.shape[-1]
    return np.stack([(2 * across + 1) / side - 1, (2 * down + 1) / side - 1, np.ones(len(down))])


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share in (0, 1) or 0.01 <= share <= 0.99 else f"{100 * share:.1f}%"
