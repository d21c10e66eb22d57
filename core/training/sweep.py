"""Many recipes on the same patients, and whether what differs between them is more than chance.

Every run is a checkpoint of its own, called after its settings. The table compares them on studies that none of them
learned from and all of them scored, by default the fold on which each chose its epoch.
"""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.index import Dataset
from core.errors import OverreadError
from core.metrics.intervals import auroc_statistic, draws_within, patient_bootstrap
from core.metrics.ranking import auroc
from core.metrics.studies import labelled, study_table
from core.metrics.subgroups import holm
from core.models.checkpoint import MANIFEST, PREDICTIONS, RECIPE, Checkpoint, read_checkpoint, read_manifest
from core.paths import checked_name, checkpoint_folder, home, write_atomically
from core.scores.predictions import read_file
from core.training.loop import Progress, train
from core.training.parallel import alone_or_refuse
from core.training.recipe import Recipe, with_settings

MOST_RUNS = 500


@dataclass(frozen=True)
class Point:
    """One combination of settings, its recipe for the first seed, and a name made of what is set."""

    settings: dict
    recipe: Recipe
    slug: str


def points_of(recipe: Recipe, grid: list[str]) -> list[Point]:
    """Every combination of `key=a,b,c` entries, in their order; `bones=wrist,all` trains on one bone or on all,
    `weights=random,FILE` from scratch or from a file.

    OverreadError where a key, a value or their number is not possible, before anything is trained.
    """
    axes = []
    for entry in grid:
        key, equals, text = entry.partition("=")
        values = [value.strip() for value in text.split(",") if value.strip()]
        if not equals or not values:
            raise OverreadError(f"--grid {entry}: expected key=value,value, as in size=32,64,128.")
        if key in dict(axes):
            raise OverreadError(f"--grid {key} is given twice; list its values together.")
        axes.append((key.strip(), values))
    if not axes:
        raise OverreadError("A sweep needs at least one --grid key=value,value.")
    points = []
    for values in itertools.product(*(values for _, values in axes)):
        settings = dict(zip((key for key, _ in axes), values))
        spelled = [f"{key}={_spelled(key, value)}" for key, value in settings.items()]
        slug = "-".join(f"{key.split('.')[-1]}_{value}" for key, value in settings.items())
        slug = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in slug)[:60]
        points.append(Point(settings, with_settings(recipe, spelled), slug))
    if len({point.slug for point in points}) < len(points):
        raise OverreadError("Two combinations of the grid would have one name; list each value once.")
    return points


def _spelled(key: str, value: str) -> str:
    if key == "bones":
        return json.dumps([] if value == "all" else [value])
    return "" if (key, value) == ("weights", "random") else value


def run_sweep(
    recipe: Recipe,
    dataset: Dataset,
    name: str,
    grid: list[str],
    seeds: int = 1,
    split: str = "tune",
    resume: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda text: None,
    device: str = "",
) -> pd.DataFrame:
    """Train every combination with `seeds` seeds and compare them: the table of `compare_runs`.

    It is kept as workspace/sweeps/<name>.csv. With `resume` finished runs are read and a stopped one goes on.
    """
    alone_or_refuse("sweep")
    checked_name(name)
    points = points_of(recipe, grid)
    if len(points) * seeds > MOST_RUNS:
        raise OverreadError(f"The grid asks for {len(points) * seeds} runs; expected {MOST_RUNS} at most.")
    runs = []
    for number, (point, seed) in enumerate(itertools.product(points, range(seeds)), 1):
        own = replace(point.recipe, seed=recipe.seed + seed)
        folder = checkpoint_folder(f"{name}-{point.slug}" + (f"-seed{own.seed}" if seeds > 1 else ""))
        say(f"run {number} of {len(points) * seeds}: {folder.name}")
        runs.append((point, _run(own, dataset, folder, resume, progress, say, device)))
    table = compare_runs(runs, split)
    file = home() / "sweeps" / f"{name}.csv"
    write_atomically(file, lambda path: table.to_csv(path, index=False))
    return table


def _run(recipe: Recipe, dataset: Dataset, folder: Path, resume: bool, progress, say, device) -> Checkpoint:
    if resume and (folder / MANIFEST).exists() and read_manifest(folder).get("complete"):
        found = read_checkpoint(folder)
        if Recipe.from_json(json.dumps(found.recipe)) == recipe:
            return found
        raise OverreadError(f"{folder} was trained with another recipe; give the sweep another --name.")
    return train(recipe, dataset, folder, resume and (folder / RECIPE).exists(), progress, say, device)


def compare_runs(runs: list[tuple[Point, Checkpoint]], split: str = "tune") -> pd.DataFrame:
    """One row a combination, the best first.

    Columns: its settings, `seeds`, `n`, `abnormal`, `auroc` (mean over seeds) with `_low`, `_high` (DeLong for one
    seed, else by patients), `spread` (standard deviation over seeds), `behind` the best with `_low`, `_high`
    (2,000 resamples of patients, paired), `p`, `p_holm`, `verdict`, `seconds` an epoch, `checkpoints`.

    Only studies that every run scored count. OverreadError where there are none with both labels.
    """
    tables = [_studies(checkpoint, split) for _, checkpoint in runs]
    common = set.intersection(*(set(table["study_id"]) for table in tables))
    bones = [set(point.recipe.bones) for point, _ in runs if point.recipe.bones]
    base = tables[0][tables[0]["study_id"].isin(common)].sort_values("study_id")
    if bones:
        base = base[base["bone"].isin(set.intersection(*bones))]
    if base["label"].nunique() < 2:
        raise OverreadError(
            f"No normal and abnormal studies of {split} were scored by all {len(runs)} runs; compare them on another "
            "--split, or train bones apart."
        )
    scores = [table.set_index("study_id")["score"].loc[base["study_id"]].to_numpy() for table in tables]
    labels, groups = base["label"].to_numpy(), base["group_id"].to_numpy()
    by_point: dict[str, list[int]] = {}
    for place, (point, _) in enumerate(runs):
        by_point.setdefault(point.slug, []).append(place)
    areas = {slug: [auroc(scores[place], labels) for place in places] for slug, places in by_point.items()}
    means = {slug: float(np.mean([area.value for area in found])) for slug, found in areas.items()}
    best = max(means, key=means.get)
    statistic = {slug: _mean_area([scores[place] for place in places], labels) for slug, places in by_point.items()}
    rows = []
    for slug, places in by_point.items():
        point, first = runs[places[0]][0], areas[slug][0]
        if len(places) > 1:
            first = patient_bootstrap(groups, statistic[slug], draws_within(len(base)))
        behind = _behind(statistic[best], statistic[slug], groups) if slug != best else None
        checkpoints = [runs[place][1] for place in places]
        rows.append(
            {
                **point.settings,
                "seeds": len(places),
                "n": len(base),
                "abnormal": int(labels.sum()),
                "auroc": means[slug],
                "auroc_low": first.low,
                "auroc_high": first.high,
                "spread": float(np.std([area.value for area in areas[slug]], ddof=1)) if len(places) > 1 else np.nan,
                "behind": 0.0 if behind is None else behind[0].value,
                "behind_low": np.nan if behind is None else behind[0].low,
                "behind_high": np.nan if behind is None else behind[0].high,
                "p": np.nan if behind is None else behind[1],
                "seconds": float(np.median([checkpoint.history()["seconds"].median() for checkpoint in checkpoints])),
                "checkpoints": " ".join(checkpoint.reference for checkpoint in checkpoints),
            }
        )
    table = pd.DataFrame(rows).sort_values("auroc", ascending=False, kind="stable").reset_index(drop=True)
    known = table["p"].notna()
    table["p_holm"] = np.nan
    table.loc[known, "p_holm"] = holm(table.loc[known, "p"].to_numpy())
    table["verdict"] = [_verdict(row) for row in table.itertuples()]
    return table


def _verdict(row) -> str:
    if np.isnan(row.p):
        return "best" if row.behind == 0 else "not estimable"
    return "behind the best" if row.p_holm < 0.05 and row.behind_low > 0 else "not told apart from the best"


def _studies(checkpoint: Checkpoint, split: str) -> pd.DataFrame:
    frame = read_file(checkpoint.folder / PREDICTIONS)
    return labelled(study_table(frame[frame["split"] == split]))


def _mean_area(scores: list[np.ndarray], labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    parts = [auroc_statistic(each, labels) for each in scores]
    return lambda weights: np.mean([part(weights) for part in parts], axis=0)


def _behind(best, other, groups: np.ndarray):
    """How far the other is behind the best, with its interval, and the two-sided p of no difference."""
    draws = []

    def difference(weights: np.ndarray) -> np.ndarray:
        found = best(weights) - other(weights)
        draws.append(found)
        return found

    estimate = patient_bootstrap(groups, difference, draws_within(len(groups)))
    resampled = np.concatenate(draws[1:]) if len(draws) > 1 else np.array([np.nan])
    resampled = resampled[~np.isnan(resampled)]
    if not len(resampled) or np.isnan(estimate.low):
        return estimate, np.nan
    # Never 0: so many resamples cannot show less than one in their number.
    tail = min((resampled <= 0).mean(), (resampled >= 0).mean())
    return estimate, float(min(1.0, 2 * max(tail, 1 / len(resampled))))
