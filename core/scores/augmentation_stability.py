"""Change of a network's score under an augmentation: each radiograph is augmented many times."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.special import expit

from core.among import among
from core.data.augment import Augmentation, apply
from core.errors import OverreadError
from core.parquet_files import read_parquet, write_parquet
from core.paths import home
from core.plural import count_text
from core.scores.classifier import Classifier, load_classifier
from core.scores.halves import in_split
from core.scores.source import Source
from core.scores.stored_scores import splits_for

DRAWS = 64
# Rows are written after so many radiographs, so an interruption loses fewer than that.
_KEEP_EVERY = 10
COLUMNS = {"image_id": "str", "sha1": "str", "bone": "str", "label": "float64", "original": "float64"}


def logits_of(classifier: Classifier, units: torch.Tensor, batch_size: int = 64) -> np.ndarray:
    """Logits float64 [n] of augmented grey in 0..1, float32 tensor [n, 1, s, s]."""
    return classifier.scores_of_units(units, batch_size)[:, 0]


def draw_logits(
    classifier: Classifier,
    augmentation: Augmentation,
    pixels: np.ndarray,
    image_id: str,
    seed: int,
    epochs: Sequence[int],
) -> np.ndarray:
    """Logits float64 [n] of one radiograph, uint8 [s, s], augmented as in each of these epochs, without mixing."""
    one = torch.from_numpy(np.ascontiguousarray(pixels))[None].to(classifier.device)
    many = one.expand(len(epochs), -1, -1)
    return logits_of(classifier, apply(augmentation.without_mixing, many, [image_id] * len(epochs), seed, list(epochs)))


def score_stability(original: float, logits: np.ndarray, threshold: float) -> dict:
    """Probability: original, mean, spread (standard deviation), low and high (95% of draws); flips: the share of draws
    that fall on the other side of the threshold."""
    scores, base = expit(np.asarray(logits, float)), float(expit(original))
    low, high = np.quantile(scores, [0.025, 0.975])
    return {
        "original": base,
        "mean": float(scores.mean()),
        "spread": float(scores.std()),
        "low": float(low),
        "high": float(high),
        "flips": float(((scores >= threshold) != (base >= threshold)).mean()),
        "draws": len(scores),
    }


def sample_radiographs(source: Source, split: str, count: int) -> pd.DataFrame:
    """Up to `count` rows of the index, the same number for each bone, and the same rows every time.

    OverreadError for an unknown split.
    """
    index = splits_for(source)
    rows = index[in_split(index, split)]
    if rows.empty:
        raise OverreadError(
            f"{source.data} has no radiograph in the split {split} for {source.name}.", code="split-unknown"
        )
    order = [hashlib.blake2b(name.encode(), digest_size=8).hexdigest() for name in rows["image_id"]]
    rows = rows.assign(order=order).sort_values("order")
    rows = rows.assign(turn=rows.groupby("bone").cumcount()).sort_values(["turn", "bone"])
    return rows.head(count).drop(columns=["order", "turn"]).reset_index(drop=True)


@dataclass(frozen=True)
class StabilitySample:
    """Up to `count` radiographs of a split, each augmented `draws` times."""

    split: str
    count: int
    draws: int = DRAWS
    seed: int = 0


def stability_rows(
    source: Source,
    augmentation: Augmentation,
    sample: StabilitySample,
    progress: Callable[[int, int, str], None] | None = None,
    device: str = "",
    classifier: Classifier | None = None,
) -> pd.DataFrame:
    """Logits of each sampled radiograph and of its draws, one row per radiograph: COLUMNS and draw_0 .. draw_n.

    Stored in the workspace by the hashes of weights and augmentation; an interrupted run continues where it stopped.
    """
    file = stability_file(source, augmentation, sample.draws, sample.seed)
    known, rows = stored_rows(file), sample_radiographs(source, sample.split, sample.count)
    missing = rows[~among(rows["sha1"], set(known["sha1"]))]
    if len(missing):
        classifier = classifier or load_classifier(source.checkpoint, device)
    made = []
    for done, row in enumerate(missing.itertuples(), 1):
        if progress:
            progress(done - 1, len(missing), f"{count_text(sample.draws, 'draw')} of each radiograph")
        try:
            pixels = source.checkpoint.input_spec.pixels(f"{source.indexed.root}/{row.path}")
        except OverreadError:
            continue  # the audit lists it
        logits = draw_logits(classifier, augmentation, pixels, row.image_id, sample.seed, range(sample.draws))
        drawn = {f"draw_{place}": value for place, value in enumerate(logits)}
        original = float(classifier.logits(pixels[None])[0])
        made.append({"image_id": row.image_id, "sha1": row.sha1, "bone": row.bone, "label": row.label,
                     "original": original, **drawn})  # fmt: skip
        if done % _KEEP_EVERY == 0 or done == len(missing):
            known, made = pd.concat([known, pd.DataFrame(made)], ignore_index=True), []
            write_parquet(file, known)
    if made:
        known = pd.concat([known, pd.DataFrame(made)], ignore_index=True)
        write_parquet(file, known)
    if progress:
        progress(len(missing), len(missing), "drawn")
    return known[among(known["sha1"], set(rows["sha1"]))].reset_index(drop=True)


def stability_file(source: Source, augmentation: Augmentation, draws: int, seed: int) -> Path:
    """The file of the draws of these weights under this augmentation."""
    name = f"{source.digest[:16]}-{augmentation.without_mixing.hash()}-{draws}-{seed}.parquet"
    return home() / "stability" / source.data / name


def stored_rows(file: Path) -> pd.DataFrame:
    """The stored draws; empty if there is no such file, or if it is damaged."""
    try:
        found = read_parquet(file)
        return found if set(COLUMNS) <= set(found) else pd.DataFrame(columns=list(COLUMNS))
    except (OSError, ValueError):
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMNS.items()})


def stability_table(rows: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Per bone, the least stable first: radiographs, flips (mean share of draws that change the decision) with
    flips_low, flips_high (95% by radiograph), unsteady (share of radiographs that flip at all), spread (mean standard
    deviation of the score), worst (the image_id that flips most)."""
    draws = [name for name in rows if name.startswith("draw_")]
    columns = ["bone", "radiographs", "flips", "flips_low", "flips_high", "unsteady", "spread", "worst"]
    found = []
    for bone, part in rows.groupby("bone"):
        scores, base = expit(part[draws].to_numpy(float)), expit(part["original"].to_numpy(float))
        flips = ((scores >= threshold) != (base >= threshold)[:, None]).mean(axis=1)
        half = 1.96 * flips.std(ddof=1) / len(flips) ** 0.5 if len(flips) > 1 else np.nan
        mean = float(flips.mean())
        found.append(
            (bone, len(part), mean, max(0.0, mean - half), min(1.0, mean + half), float((flips > 0).mean()),
             float(scores.std(axis=1).mean()), part["image_id"].iloc[int(flips.argmax())])
        )  # fmt: skip
    return pd.DataFrame(found, columns=columns).sort_values(["flips", "spread"], ascending=False, ignore_index=True)
