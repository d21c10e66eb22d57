"""Sweeps: many recipes on the same patients, and a test of whether they differ by more than chance.

Each run is a checkpoint named after its settings. The runs are compared on studies that all of them scored and none
was trained on, by default those of the fold that chose the epoch.
"""

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.among import among
from core.data.index import Dataset
from core.data.spreadsheet import csv_for_spreadsheets
from core.errors import OverreadError
from core.metrics.intervals import auroc_statistic, draws_within, patient_bootstrap
from core.metrics.paired_figures import paired_difference_of
from core.metrics.ranking import auroc
from core.metrics.studies import labelled, study_table
from core.metrics.subgroups import holm
from core.models.checkpoint import MANIFEST, PREDICTIONS, RECIPE, Checkpoint, read_checkpoint, read_manifest
from core.paths import checked_name, checkpoint_folder, home, write_atomically
from core.plural import count_text
from core.scores.predictions import read_file
from core.training.loop import train
from core.training.options import RunOptions
from core.training.parallel import refuse_several_processes
from core.training.recipe import Recipe, with_settings

MOST_RUNS = 500

_VALUES = re.compile(r"(?:\[[^]]*]|\{[^}]*}|[^,])+")


@dataclass(frozen=True)
class GridPoint:
    """One combination of settings, its recipe for the first seed, and a name made of the settings."""

    settings: dict
    recipe: Recipe
    slug: str


def grid_points(recipe: Recipe, grid: list[str]) -> list[GridPoint]:
    """Every combination of `key=a,b,c` entries, in their order.

    `bones=wrist,all` trains on one bone or on all; `weights=random,FILE` starts from random weights or from a file;
    `left_out=[],[1,2]` leaves folds of train out. Commas in brackets and braces belong to the value.
    OverreadError where a key or a value is not valid.
    """
    axes: list[tuple[str, list[str]]] = []
    for entry in grid:
        key, equals, text = entry.partition("=")
        values = [value.strip() for value in _VALUES.findall(text) if value.strip()]
        if not equals or not values:
            raise OverreadError(f"--grid {entry}: expected key=value,value, as in size=32,64,128.", code="grid-invalid")
        if key in dict(axes):
            raise OverreadError(f"--grid {key} is given twice; list its values together.", code="grid-repeated")
        axes.append((key.strip(), values))
    if not axes:
        raise OverreadError("A sweep needs at least one --grid key=value,value.", code="grid-empty")
    points = []
    for chosen in itertools.product(*(values for _, values in axes)):
        settings = dict(zip((key for key, _ in axes), chosen))
        changes = [f"{key}={_setting_value(key, value)}" for key, value in settings.items()]
        slug = "-".join(f"{key.split('.')[-1]}_{value}" for key, value in settings.items())
        slug = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in slug)[:60]
        points.append(GridPoint(settings, with_settings(recipe, changes), slug))
    if len({point.slug for point in points}) < len(points):
        raise OverreadError(
            "Two combinations of the grid would have the same name; list each value once.", code="grid-repeated"
        )
    return points


def _setting_value(key: str, value: str) -> str:
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
    options: RunOptions = RunOptions(),
) -> pd.DataFrame:
    """Train every combination with `seeds` seeds, and compare them as in `compare_runs`.

    The table is stored as workspace/sweeps/<name>.csv. With `resume` finished runs are read and a stopped one is
    continued. OverreadError for too many runs.
    """
    refuse_several_processes("sweep")
    checked_name(name)
    points = grid_points(recipe, grid)
    if len(points) * seeds > MOST_RUNS:
        raise OverreadError(
            f"The grid asks for {count_text(len(points) * seeds, 'run')}; expected {MOST_RUNS} at most.",
            code="grid-too-large",
        )
    runs = []
    for number, (point, seed) in enumerate(itertools.product(points, range(seeds)), 1):
        own = replace(point.recipe, seed=recipe.seed + seed)
        folder = checkpoint_folder(f"{name}-{point.slug}" + (f"-seed{own.seed}" if seeds > 1 else ""))
        options.say(f"run {number} of {len(points) * seeds}: {folder.name}")
        runs.append((point, train_or_read(own, dataset, folder, options)))
    table = compare_runs(runs, split)
    file = home() / "sweeps" / f"{name}.csv"
    write_atomically(file, lambda path: path.write_text(csv_for_spreadsheets(table), encoding="utf-8", newline=""))
    return table


def train_or_read(recipe: Recipe, dataset: Dataset, folder: Path, options: RunOptions) -> Checkpoint:
    """The checkpoint in a folder: read with `resume` where it is complete, otherwise trained or continued.

    OverreadError where it has another recipe.
    """
    if options.resume and (folder / MANIFEST).exists() and read_manifest(folder).get("complete"):
        found = read_checkpoint(folder)
        if Recipe.from_json(json.dumps(found.recipe)) == recipe:
            return found
        raise OverreadError(
            f"{folder} was trained with another recipe; choose another --name for the sweep.", code="recipe-changed"
        )
    return train(recipe, dataset, folder, replace(options, resume=options.resume and (folder / RECIPE).exists()))


def compare_runs(runs: list[tuple[GridPoint, Checkpoint]], split: str = "tune") -> pd.DataFrame:
    """One row for each combination, the best first.

    Columns: the settings, `seeds`, `n`, `abnormal`, `auroc` (mean over seeds) with `_low`, `_high` (DeLong for one
    seed, otherwise a bootstrap of patients), `spread` (standard deviation over seeds), `behind` (AUROC of the best
    minus this one) with `_low`, `_high` (paired bootstrap of patients, 2,000 resamples), `p`, `p_holm`, `verdict`,
    `seconds` per epoch, `checkpoints`.

    Only studies that every run scored count. OverreadError where they do not have both labels.
    """
    tables = [_studies(checkpoint, split) for _, checkpoint in runs]
    common = set.intersection(*(set(table["study_id"]) for table in tables))
    bones = [set(point.recipe.bones) for point, _ in runs if point.recipe.bones]
    base = tables[0][among(tables[0]["study_id"], common)].sort_values("study_id")
    if bones:
        base = base[base["bone"].isin(set.intersection(*bones))]
    if base["label"].nunique() < 2:
        raise OverreadError(
            f"The studies of {split} that all {count_text(len(runs), 'run')} scored do not have both labels; "
            "compare the runs on "
            "another --split, or train each bone in a sweep of its own.",
            code="one-class-only",
        )
    scores = [table.set_index("study_id")["score"].loc[base["study_id"]].to_numpy() for table in tables]
    labels, groups = base["label"].to_numpy(), base["group_id"].to_numpy()
    by_point: dict[str, list[int]] = {}
    for place, (point, _) in enumerate(runs):
        by_point.setdefault(point.slug, []).append(place)
    areas = {slug: [auroc(scores[place], labels) for place in places] for slug, places in by_point.items()}
    means = {slug: float(np.mean([area.value for area in found])) for slug, found in areas.items()}
    best = max(means, key=lambda slug: means[slug])
    statistic = {slug: _mean_area([scores[place] for place in places], labels) for slug, places in by_point.items()}
    rows = []
    for slug, places in by_point.items():
        point, first = runs[places[0]][0], areas[slug][0]
        if len(places) > 1:
            first = patient_bootstrap(groups, statistic[slug], draws_within(len(base)))
        behind = None
        if slug != best:
            behind = paired_difference_of(statistic[best], statistic[slug], groups, draws_within(len(base)))
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
    return "behind the best" if row.p_holm < 0.05 and row.behind_low > 0 else "not distinguishable from the best"


def _studies(checkpoint: Checkpoint, split: str) -> pd.DataFrame:
    frame = read_file(checkpoint.folder / PREDICTIONS)
    return labelled(study_table(frame[frame["split"] == split]))


def _mean_area(scores: list[np.ndarray], labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    parts = [auroc_statistic(each, labels) for each in scores]
    return lambda weights: np.mean([part(weights) for part in parts], axis=0)
