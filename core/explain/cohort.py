"""Checks of the maps of many radiographs, stored row by row; the trust table of each method; and mean maps."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from core.among import among
from core.checksums import json_text, parse_json
from core.data.pixels import UnreadableImage
from core.errors import OverreadError
from core.explain.make_maps import make_records
from core.explain.map_record import MapRecord, MapTask
from core.explain.methods import METHODS
from core.explain.regions import find_regions
from core.explain.trust_report import HOLDS_UP, network_knows
from core.models.checkpoint import Checkpoint
from core.paths import home
from core.scores.classifier import Classifier

DEFAULT_METHODS = ("hires_cam", "grad_cam", "occlusion", "integrated_gradients", "saliency", "smooth_grad")
# The figures stored for each map, named after the checks of faithfulness.check_map.
FIGURES = (
    "model",
    "edges",
    "random",
    "centre",
    "randomisation",
    "stability",
    "border",
    "marks",
    "outside",
    "pointing",
    "inside",
)
FACTS = ("method", "image_id", "sha1", "label", "bone", "refused", "verdict", "why", "better_than_edges", "seconds")
# Raised when a method or a check changes, so that older rows are computed again.
VERSION = 5
BODY_FRAME = 64


@dataclass(frozen=True)
class Cohort:
    """Radiographs to check maps on. rows: image_id, sha1, label and bone of each.

    task: from a row and a method to the task of its map. read_finding: from a row to the mask of its known finding, if
    any.
    """

    rows: pd.DataFrame
    task: Callable[[pd.Series, str], MapTask]
    read_finding: Callable[[pd.Series], np.ndarray | None] = lambda row: None


def sample_rows(rows: pd.DataFrame, count: int, seed: int = 0) -> pd.DataFrame:
    """Sample up to `count` labelled rows of PREDICTIONS, half of them abnormal, over all bones; deterministic."""
    known = rows[rows["label"].notna()]
    order = [hashlib.blake2b(f"{seed} {image}".encode(), digest_size=8).hexdigest() for image in known["image_id"]]
    known = known.assign(_order=order).sort_values("_order")
    # Within each label the bones take turns, so that a rare bone is not lost; then the labels take turns.
    known = known.assign(_turn=known.groupby(["label", "bone"]).cumcount()).sort_values(["_turn", "_order"])
    known = known.assign(_turn=known.groupby("label").cumcount()).sort_values(["_turn", "label"])
    return known.head(count).drop(columns=["_turn", "_order"])


def trust_folder(checkpoint: Checkpoint) -> Path:
    """The folder of the rows about a checkpoint's maps; other weights have another hash, so another folder."""
    return home() / "trust" / checkpoint.reference.replace("@", "-")


def trust_rows(checkpoint: Checkpoint) -> pd.DataFrame:
    """Read one row for each (method, image) checked so far. Lines that were cut off or altered are skipped."""
    file, entries = _rows_file(checkpoint), []
    if file.exists():
        for line in file.read_text().splitlines():
            try:
                entries.append(parse_json(line))
            except ValueError:
                continue
    rows = pd.DataFrame(entries, columns=[*FACTS, *FIGURES, "model_low", "chance"])
    return rows.drop_duplicates(["method", "sha1"], keep="last")


def check_cohort(
    checkpoint: Checkpoint,
    classifier: Classifier,
    cohort: Cohort,
    methods: tuple[str, ...] = DEFAULT_METHODS,
    model_auroc: tuple[float, float] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> pd.DataFrame:
    """Check each method's map of each radiograph, and return the rows of these methods and radiographs.

    Rows on disk are not computed again. Each row is written at once, so that a stop loses one map at most.
    Radiographs that cannot be read are skipped. OverreadError for an unknown method.
    """
    if unknown := [name for name in methods if name not in METHODS]:
        raise OverreadError(
            f"There is no saliency method {unknown[0]!r}; choose from {', '.join(METHODS)}.",
            code="saliency-method-unknown",
        )
    file = _rows_file(checkpoint)
    file.parent.mkdir(parents=True, exist_ok=True)
    known = trust_rows(checkpoint)
    done = set(zip(known["method"], known["sha1"]))
    wanted = [(name, row) for _, row in cohort.rows.iterrows() for name in methods]
    with open(file, "a") as lines:
        if lines.tell() and not _ends_in_newline(file):
            lines.write("\n")
        for number, (name, row) in enumerate(wanted):
            if progress:
                progress(number, len(wanted), f"{METHODS[name].title} on {row['image_id']}")
            if cancelled and cancelled():
                break
            if (name, row["sha1"]) in done:
                continue
            try:
                (record,) = make_records(classifier, cohort.task(row, name), model_auroc)
            except UnreadableImage:
                continue  # the audit page lists it
            lines.write(json_text(_checked_row(record, row, cohort.read_finding(row))))
            lines.flush()
        else:
            # Not after a cancellation, which leaves some maps unchecked.
            if progress:
                progress(len(wanted), len(wanted), "maps checked")
    rows = trust_rows(checkpoint)
    return rows[among(rows["sha1"], set(cohort.rows["sha1"])) & rows["method"].isin(methods)].reset_index(drop=True)


def _checked_row(record: MapRecord, row: pd.Series, finding: np.ndarray | None) -> dict:
    method = record.key.method
    facts = {"method": method, **{key: row[key] for key in ("image_id", "sha1", "bone")}, "label": float(row["label"])}
    report = record.report_with(finding)
    if report is None:
        return {**facts, "refused": record.refused}
    checks = {check.name: check for check in report.checks}
    edges, pointed = checks.get("edges"), checks.get("pointing")
    return {
        **facts,
        **{name: _plain(check.value) for name, check in checks.items() if name in FIGURES},
        "edges": _plain(edges.value - edges.reference) if edges else None,
        "chance": _plain(pointed.reference) if pointed else None,
        "model_low": _plain(record.network[1]) if record.network else None,
        "verdict": report.verdict,
        "why": report.why,
        "better_than_edges": report.better_than_edges,
        "seconds": _plain(record.seconds),
    }


def trust_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per method: n, refused, judged, better (than an edge detector, of `judged`), medians, verdict and why.

    `advantage`: the median of the map's figure minus the edge detector's. `hits`: how many of the `pointed` maps point
    at the known finding; `chance` is that share for random places. `held`, `held_hits`: the same of the maps that hold
    up, which shows whether the verdict on a map says anything about where it points. The verdict is 'do not use' where
    at most half of the maps beat the edge detector, where shuffled weights give similar maps, or where every radiograph
    was refused.
    """
    table = []
    for name, group in rows.groupby("method", sort=False):
        judged, pointed = group[group["better_than_edges"].notna()], group[group["pointing"].notna()]
        better = int(judged["better_than_edges"].astype(bool).sum())
        held = pointed[pointed["verdict"] == HOLDS_UP]
        reason = _reason_against(group, judged, better)
        table.append(
            {
                "method": name,
                "n": len(group),
                "refused": int(group["refused"].notna().sum()),
                "judged": len(judged),
                "better": better,
                "advantage": judged["edges"].astype(float).median(),
                "randomisation": group["randomisation"].median(),
                "stability": group["stability"].median(),
                "outside": group["outside"].median(),
                "pointed": len(pointed),
                "hits": int(pointed["pointing"].astype(float).sum()),
                "chance": pointed["chance"].astype(float).mean(),
                "held": len(held),
                "held_hits": int(held["pointing"].astype(float).sum()),
                "seconds": group["seconds"].median(),
                "verdict": "do not use" if reason else "usable",
                "why": reason,
            }
        )
    return pd.DataFrame(table)


def _reason_against(group: pd.DataFrame, judged: pd.DataFrame, better: int) -> str:
    """The reason from its rows why a method should not be used; '' if it is usable."""
    if group["refused"].notna().all():
        return str(group["refused"].iloc[0])
    knows, words = network_knows(_lowest_auroc(group))
    if not knows:
        return words
    if judged.empty:
        return "blurring moves the score of none of these radiographs enough to check a map"
    if better <= len(judged) / 2:
        return f"better than an edge detector on only {better} of {len(judged)}"
    if (alike := group["randomisation"].median()) >= 0.5:
        return f"shuffled weights give similar maps (correlation {alike:.2f})"
    return ""


def _lowest_auroc(group: pd.DataFrame) -> tuple[float, float] | None:
    """The network's AUROC and lower bound from a method's rows, taking the row with the lowest bound."""
    checked = group[group["refused"].isna()]
    if checked.empty or checked["model"].isna().any():
        return None
    lowest = checked.astype({"model": float, "model_low": float}).sort_values("model_low", na_position="first").iloc[0]
    return lowest["model"], lowest["model_low"]


def spread_out(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """Up to `most` rows at even steps from the first to the last."""
    if rows.empty:
        return rows
    return rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))]


def crop_to_body(values: np.ndarray, pixels: np.ndarray, size: int = BODY_FRAME) -> np.ndarray:
    """Crop a map float [s, s] to the body's bounding box, resize it to [size, size] and scale its peak to 1.

    This is not a registration: bones in different poses still do not coincide.
    """
    body = find_regions(pixels).body
    rows, columns = np.flatnonzero(body.any(1)), np.flatnonzero(body.any(0))
    cropped = values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float64)
    zoom = (size / cropped.shape[0], size / cropped.shape[1])
    resized = ndimage.zoom(cropped, zoom, order=1, grid_mode=True, mode="nearest")
    peak = np.percentile(np.abs(resized), 99.5)
    return resized / peak if peak > 0 else resized


def mean_map(maps: list[tuple[np.ndarray, np.ndarray]], size: int = BODY_FRAME) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean map and the mean radiograph [size, size] of (map, pixels) pairs; zeros for an empty list."""
    if not maps:
        return np.zeros((size, size)), np.zeros((size, size))
    cropped_maps = [crop_to_body(values, pixels, size) for values, pixels in maps]
    cropped_films = [crop_to_body(pixels.astype(np.float64), pixels, size) for _, pixels in maps]
    return np.mean(cropped_maps, 0), np.mean(cropped_films, 0)


def _rows_file(checkpoint: Checkpoint) -> Path:
    return trust_folder(checkpoint) / f"rows-{VERSION}.jsonl"


def _ends_in_newline(file: Path) -> bool:
    with open(file, "rb") as opened:
        opened.seek(-1, 2)
        return opened.read(1) == b"\n"


def _plain(value: float) -> float | None:
    return None if value is None or np.isnan(value) else float(value)
