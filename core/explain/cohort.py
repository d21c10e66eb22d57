"""Maps of many radiographs: a trust table per method, made as a job that can be stopped and goes on; and mean maps."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from core.errors import OverreadError
from core.explain.attribution import METHODS, Refused, attribute
from core.explain.faithfulness import judge, network_knows
from core.explain.regions import regions
from core.models.checkpoint import Checkpoint
from core.paths import home
from core.scores.classifier import Classifier

DEFAULT_METHODS = ("hires_cam", "grad_cam", "occlusion", "integrated_gradients", "saliency", "smooth_grad")
# What is kept of each map; the names of checks are those of faithfulness.judge.
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
# Raised when a method or a check changes, so that older rows are made again.
VERSION = 4
FRAME = 64


def sample_rows(rows: pd.DataFrame, count: int, seed: int = 0) -> pd.DataFrame:
    """Up to `count` rows of PREDICTIONS: as many abnormal as normal, spread over the bones, the same for a seed."""
    known = rows[rows["label"].notna()]
    order = [hashlib.blake2b(f"{seed} {image}".encode(), digest_size=8).hexdigest() for image in known["image_id"]]
    known = known.assign(_order=order).sort_values("_order")
    # Within a label dealt in turn from each bone, so that a rare one is not lost; then one of each label in turn.
    known = known.assign(_turn=known.groupby(["label", "bone"]).cumcount()).sort_values(["_turn", "_order"])
    known = known.assign(_turn=known.groupby("label").cumcount()).sort_values(["_turn", "label"])
    return known.head(count).drop(columns=["_turn", "_order"])


def trust_folder(checkpoint: Checkpoint) -> Path:
    """Where the rows about a checkpoint's maps are kept; another weights' hash is another folder."""
    return home() / "trust" / checkpoint.reference.replace("@", "-")


def trust_rows(checkpoint: Checkpoint) -> pd.DataFrame:
    """One row a (method, image) judged so far; empty where there is none. Lines cut off by a kill are left out."""
    file, found = trust_folder(checkpoint) / f"rows-{VERSION}.jsonl", []
    if file.exists():
        for line in file.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    columns = [
        "method",
        "image_id",
        "sha1",
        "label",
        "bone",
        "refused",
        "verdict",
        "why",
        "better_than_edges",
        "seconds",
    ]
    rows = pd.DataFrame(found, columns=[*columns, *FIGURES, "model_low", "chance"])
    return rows.drop_duplicates(["method", "sha1"], keep="last")


def judge_cohort(
    checkpoint: Checkpoint,
    classifier: Classifier,
    rows: pd.DataFrame,
    read_pixels: Callable[[pd.Series], np.ndarray],
    methods: tuple[str, ...] = DEFAULT_METHODS,
    model_auroc: tuple[float, float] | None = None,
    read_truth: Callable[[pd.Series], np.ndarray | None] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> pd.DataFrame:
    """Judge each method on each of `rows` (image_id, sha1, label, bone); rows already judged are not made again.

    Each row is written as soon as it is known, so that a stop loses one map. A radiograph that cannot be read is left
    out. Returns the rows of these images and methods.
    """
    if unknown := [name for name in methods if name not in _methods()]:
        raise OverreadError(f"There is no saliency method {unknown[0]!r}; choose from {', '.join(_methods())}.")
    folder = trust_folder(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    known = trust_rows(checkpoint)
    done = set(zip(known["method"], known["sha1"]))
    wanted = [(name, row) for _, row in rows.iterrows() for name in methods]
    with open(folder / f"rows-{VERSION}.jsonl", "a") as file:
        if file.tell() and not _ends_in_newline(folder / f"rows-{VERSION}.jsonl"):
            file.write("\n")
        for number, (name, row) in enumerate(wanted):
            if progress:
                progress(number, len(wanted), f"{METHODS[name].title} on {row['image_id']}")
            if cancelled and cancelled():
                break
            if (name, row["sha1"]) in done:
                continue
            try:
                pixels = read_pixels(row)
            except OverreadError:
                continue  # named on the audit page
            truth = read_truth(row) if read_truth else None
            file.write(json.dumps(_one(classifier, row, name, pixels, truth, model_auroc)) + "\n")
            file.flush()
        else:
            # Only where nobody stopped it: all of them are judged.
            if progress:
                progress(len(wanted), len(wanted), "maps judged")
    found = trust_rows(checkpoint)
    return found[found["sha1"].isin(set(rows["sha1"])) & found["method"].isin(methods)].reset_index(drop=True)


def _one(classifier, row, name, pixels, truth, model_auroc) -> dict:
    facts = {"method": name, **{key: row[key] for key in ("image_id", "sha1", "bone")}, "label": float(row["label"])}
    started = time.perf_counter()
    try:
        found = attribute(classifier, pixels, name)
    except Refused as error:
        return {**facts, "refused": str(error)}
    seconds = time.perf_counter() - started
    trust = judge(classifier, pixels, found, truth=truth, model_auroc=model_auroc)
    figures = {check.name: _plain(check.value) for check in trust.checks if check.name in FIGURES}
    edges = next((check for check in trust.checks if check.name == "edges"), None)
    pointed = next((check for check in trust.checks if check.name == "pointing"), None)
    return {
        **facts,
        **figures,
        "edges": _plain(edges.value - edges.reference) if edges else None,
        "chance": _plain(pointed.reference) if pointed else None,
        "model_low": _plain(model_auroc[1]) if model_auroc else None,
        "verdict": trust.verdict,
        "why": trust.why,
        "better_than_edges": trust.better_than_edges,
        "seconds": seconds,
    }


def trust_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a method: n, refused, judged, better (share better than an edge detector), its k, and medians.

    `advantage` is the median of the map's figure less the edge detector's; `hits` of `pointed` maps point at the known
    finding, where `chance` of them would by luck. `verdict` 'do not use' where no more than half beat the edges, where
    shuffled weights give the same maps, or where every radiograph was refused.
    """
    made = []
    for name, group in rows.groupby("method", sort=False):
        judged, pointed = group[group["better_than_edges"].notna()], group[group["pointing"].notna()]
        better = int(judged["better_than_edges"].astype(bool).sum())
        alike = group["randomisation"].median()
        knows, words = network_knows(_auroc(group))
        reason = ""
        if group["refused"].notna().all():
            reason = str(group["refused"].iloc[0])
        elif not knows:
            reason = words
        elif judged.empty:
            reason = "on none of these radiographs does blurring move the score enough to judge a map by"
        elif better <= len(judged) / 2:
            reason = f"better than an edge detector on only {better} of {len(judged)}"
        elif alike >= 0.5:
            reason = f"shuffled weights give much the same maps (likeness {alike:.2f})"
        made.append(
            {
                "method": name,
                "n": len(group),
                "refused": int(group["refused"].notna().sum()),
                "judged": len(judged),
                "better": better,
                "advantage": judged["edges"].astype(float).median(),
                "randomisation": alike,
                "stability": group["stability"].median(),
                "outside": group["outside"].median(),
                "pointed": len(pointed),
                "hits": int(pointed["pointing"].astype(float).sum()),
                "chance": pointed["chance"].astype(float).mean(),
                "seconds": group["seconds"].median(),
                "verdict": "do not use" if reason else "usable",
                "why": reason,
            }
        )
    return pd.DataFrame(made)


def _auroc(group: pd.DataFrame) -> tuple[float, float] | None:
    """The network's AUROC and lower bound as the rows of a method have it: the least sure of them."""
    asked = group[group["refused"].isna()]
    if asked.empty or asked["model"].isna().any():
        return None
    worst = asked.astype({"model": float, "model_low": float}).sort_values("model_low", na_position="first").iloc[0]
    return worst["model"], worst["model_low"]


def to_frame(found: np.ndarray, pixels: np.ndarray, size: int = FRAME) -> np.ndarray:
    """A map float [s, s] cut to the body's bounding box and brought to [size, size], scaled so that its peak is 1.

    A frame, no registration: bones of different pose still do not lie on each other.
    """
    parts = regions(pixels)
    rows, columns = np.flatnonzero(parts.body.any(1)), np.flatnonzero(parts.body.any(0))
    cut = found[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float64)
    scaled = ndimage.zoom(cut, (size / cut.shape[0], size / cut.shape[1]), order=1, grid_mode=True, mode="nearest")
    peak = np.percentile(np.abs(scaled), 99.5)
    return scaled / peak if peak > 0 else scaled


def mean_map(maps: list[tuple[np.ndarray, np.ndarray]], size: int = FRAME) -> tuple[np.ndarray, np.ndarray]:
    """The mean map and mean radiograph, both [size, size], of (map, pixels) pairs in one frame; zeros for none."""
    if not maps:
        return np.zeros((size, size)), np.zeros((size, size))
    framed = [to_frame(found, pixels, size) for found, pixels in maps]
    films = [to_frame(pixels.astype(np.float64), pixels, size) for _, pixels in maps]
    return np.mean(framed, 0), np.mean(films, 0)


def _methods() -> dict:
    from core.explain import methods  # noqa: F401  registers them

    return METHODS


def _ends_in_newline(file: Path) -> bool:
    with open(file, "rb") as opened:
        opened.seek(-1, 2)
        return opened.read(1) == b"\n"


def _plain(value: float) -> float | None:
    return None if value is None or np.isnan(value) else float(value)
