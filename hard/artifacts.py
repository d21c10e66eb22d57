"""Every kind of file that is read again, with the function that reads it and gives its values as text."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.datasets import read_dataset, read_index
from core.data.input_spec import InputSpec
from core.errors import OverreadError
from core.models.checkpoint import read_checkpoint
from core.scores.source import find_source
from hard.workspace import MODEL

AGAIN = "made again"


@dataclass(frozen=True)
class Artifact:
    """A file, and `read`: all values that are read from it, or AGAIN where it is ignored and made again.

    names: one of these is in a sentence that refuses the file. block: set so many bytes to zero instead of one flip.
    """

    name: str
    file: Path
    read: Callable[[], object]
    names: tuple[str, ...] = ()
    block: int = 0
    beside: tuple[Path, ...] = field(default=(), compare=False)


def find_artifacts(home: Path) -> list[Artifact]:
    """Those that the workspace has; of a kind that several files have, the first one."""
    return [*_of_data(home), *_of_models(home), *_of_reviews(home), *_of_records(home)]


def _of_data(home: Path) -> list[Artifact]:
    folder, cache = home / "datasets" / "demo", home / "cache" / "demo"
    pixels = _first(cache, "pad64/g*/pixels.npy")
    return [
        Artifact("index", folder / "index.parquet", _index),
        Artifact("checksum of the index", folder / "index.parquet.sha256", _index),
        Artifact("dataset.json", folder / "dataset.json", _index),
        Artifact("problems.json", folder / "problems.json", _problems),
        Artifact("pixels", pixels, _pixels),
        Artifact("pixels, 4 KiB of zeros", pixels, _pixels, block=4096),
        Artifact("rows of the pixels", pixels.with_name("rows.txt"), _pixels),
        Artifact("thumbnail", _first(cache, "thumbnails/*/*.jpg"), lambda: _thumbnail(home)),
        Artifact("measures", _first(cache, "measures-v*/*.parquet"), _measures),
        Artifact("audit", home / "audits" / "demo.json", _audit),
        Artifact("labels after review", _first(home / "labels" / "demo", "revision*.parquet"), lambda: _labels(home)),
        Artifact("weights of radiographs", _first(home / "radiograph_weights" / "demo", "*.parquet"), _weights),
    ]


def _of_models(home: Path) -> list[Artifact]:
    folder = home / "checkpoints" / MODEL
    vectors = _first(home / "embeddings" / "demo", "*.npy")
    scores = home / "predictions" / "demo" / f"{MODEL}.parquet"
    names = ("recipe.json", "input_spec.json", "weights.safetensors", "checkpoint.json", "learned.parquet")
    return [
        *(Artifact(name, folder / name, _checkpoint) for name in names),
        Artifact("history", folder / "history.csv", lambda: _frame(read_checkpoint(MODEL).history())),
        Artifact("predictions", scores, _predictions),
        Artifact("predictions beside the weights", folder / "predictions.parquet", _own_predictions),
        Artifact("imported scores", home / "imported" / "outside" / "predictions.parquet", _imported),
        Artifact("imported.json", home / "imported" / "outside" / "imported.json", _imported),
        Artifact("feature vectors", vectors, _vectors),
        Artifact("rows of the vectors", _first(vectors.parent, "*.parquet"), _vectors),
        Artifact("state of a run", home / "run" / "resume.safetensors", lambda: _state(home)),
    ]


def _of_reviews(home: Path) -> list[Artifact]:
    file = home / "review.sqlite"
    return [Artifact("verdicts", file, _verdicts), Artifact("walkthroughs", file, _walkthroughs)]


def _of_records(home: Path) -> list[Artifact]:
    source = find_source(MODEL, read_dataset("demo"))
    points, looks = source.file_to_read("operating_points.json"), source.file_to_read("looks.jsonl")
    log, job = home / "decisions" / "decisions.jsonl", _first(home / "jobs", "*.json")
    key = json.loads(_first(home / "maps", "*/*.json").read_text())["key"]
    map_file = _map_file(key)
    return [
        Artifact("operating points", points, _points),
        Artifact("verifications", looks, _looks),
        Artifact("map", map_file, lambda: _map(key)),
        Artifact("pixels of a map", map_file.with_suffix(".npz"), lambda: _map(key)),
        Artifact("decisions, verified", log, lambda: _decisions(home, verify=True)),
        Artifact("decisions, as a table", log, lambda: _decisions(home, verify=False)),
        *([Artifact("job", job, _jobs, (job.stem,))] if job.name else []),
    ]


def _first(folder: Path, pattern: str) -> Path:
    return next(iter(sorted(folder.glob(pattern))), Path())


def _sha1(values: np.ndarray) -> str:
    return hashlib.sha1(np.ascontiguousarray(values).tobytes()).hexdigest()


def _frame(frame: pd.DataFrame) -> str:
    return frame.reset_index(drop=True).to_csv(index=False)


def _index() -> object:
    return repr(read_dataset("demo")), _frame(read_index("demo"))


def _problems() -> object:
    dataset = read_dataset("demo")
    return json.dumps(dataset.problems(), sort_keys=True), [str(note) for note in dataset.notes()]


def _pixels() -> object:
    from core.data import pixel_store
    from core.data.cache import pixel_cache

    pixel_store._compared.clear()  # as in a new process
    dataset, index = read_dataset("demo"), read_index("demo")
    stored = pixel_cache(dataset, index, InputSpec(64))
    return _sha1(stored.pixels[stored.rows_of(index["image_id"])])


def _thumbnail(home: Path) -> object:
    from core.data.thumbnails import thumbnail

    dataset, file = read_dataset("demo"), _first(home / "cache" / "demo", "thumbnails/*/*.jpg")
    row = read_index("demo").set_index("sha1").loc[file.stem]
    return hashlib.sha1(thumbnail(dataset, row["path"], file.stem)).hexdigest()


def _measures() -> object:
    from core.data.measure_store import read_measures

    found = read_measures(read_dataset("demo")).sort_index()
    known = set(read_index("demo")["sha1"])
    if len(found) < len(known):
        return AGAIN
    return _frame(found.drop(columns="sketch").reset_index()), [bytes(one).hex() for one in found["sketch"]]


def _audit() -> object:
    from core.audit.audit import read_audit

    found = read_audit(read_dataset("demo"))
    return AGAIN if found is None else repr(found)


def _labels(home: Path) -> object:
    from core.data.labels import read_labels

    return _frame(read_labels("demo", json.loads((home / "revision.json").read_text())))


def _weights() -> object:
    from core.data.radiograph_weights import read_weights, weight_references

    return _frame(read_weights("demo", weight_references("demo")[0]).reset_index())


def _checkpoint() -> object:
    from core.models.checkpoint import load_model

    found = read_checkpoint(MODEL)
    weights = b"".join(value.numpy().tobytes() for value in load_model(found).state_dict().values())
    facts = {name: value for name, value in found.manifest.items() if name != "sha256"}
    learned = _frame(found.learned().reset_index())
    return facts, found.recipe, repr(found.input_spec), found.weights_hash, hashlib.sha1(weights).hexdigest(), learned


def _predictions() -> object:
    from core.scores.source import source_of
    from core.scores.stored_scores import read_predictions

    found = read_predictions(source_of(read_checkpoint(MODEL), read_dataset("demo")))
    return AGAIN if found is None else _frame(found)


def _own_predictions() -> object:
    from core.scores.predictions import read_file

    return _frame(read_file(read_checkpoint(MODEL).folder / "predictions.parquet"))


def _imported() -> object:
    from core.scores.imports import imported_predictions, read_imported

    found = read_imported("outside")
    return repr(found), _frame(imported_predictions(found))


def _vectors() -> object:
    from core.scores.embeddings import read_embeddings

    found = read_embeddings(find_source(MODEL, read_dataset("demo")))
    return AGAIN if found is None else (_frame(found.rows), _sha1(found.vectors))


def _state(home: Path) -> object:
    from safetensors import safe_open

    from core.training.state import STATE_FILE, read_state

    found = read_state(home / "run")
    with safe_open(home / "run" / STATE_FILE, framework="np") as opened:
        values = b"".join(opened.get_tensor(name).tobytes() for name in sorted(opened.keys()))
    return repr(found), hashlib.sha1(values).hexdigest()


def _verdicts() -> object:
    from core.review.readers import list_reviewers
    from core.review.store import open_store, verdicts_table

    store = open_store()
    try:
        history, current = verdicts_table(store, history=True), verdicts_table(store, "demo")
        return _frame(history), _frame(current), sorted(list_reviewers(store))
    finally:
        store.engine.dispose()


def _walkthroughs() -> object:
    from core.review.snapshots import read_snapshot
    from core.review.store import open_store
    from core.review.walkthroughs import list_walkthroughs, read_walkthrough

    store, found = open_store(), []
    try:
        rows = list_walkthroughs(store, "demo")
        for name in rows["id"]:
            snapshot = read_snapshot(store, name, 0.5)
            tables = None if snapshot is None else (_frame(snapshot.table.reset_index()), _frame(snapshot.views))
            found.append((repr(read_walkthrough(store, name)), tables))
        return rows.to_csv(), found
    finally:
        store.engine.dispose()


def _points() -> object:
    from core.scores.operating_points import read_points

    return repr(read_points(find_source(MODEL, read_dataset("demo"))))


def _looks() -> object:
    from core.scores.verification_log import LOOKS, read_looks

    return repr(read_looks(find_source(MODEL, read_dataset("demo")).file_to_read(LOOKS)))


def _map_file(key: dict) -> Path:
    from core.explain import map_store
    from core.explain.map_record import MapKey

    return map_store._file(MapKey(**key), "json")


def _map(key: dict) -> object:
    from core.explain.map_record import MapKey
    from core.explain.map_store import read_record

    found = read_record(MapKey(**key), None)
    if found is None:
        return AGAIN
    facts = {name: value for name, value in vars(found.attribution).items() if name != "map"}
    return repr(facts), _sha1(found.attribution.map), repr(found.checks)


def _decisions(home: Path, verify: bool) -> object:
    from core.serving.decision_log import log_table, verify_log

    if verify and (problem := verify_log(home / "decisions").problem):
        raise OverreadError(f"decisions.jsonl: {problem}", code="log-altered")
    return _frame(log_table(home / "decisions"))


def _jobs() -> object:
    from core import jobs

    if broken := jobs.broken_jobs():
        raise OverreadError(f"{next(iter(broken))}: {next(iter(broken.values()))}", code="job-unreadable")
    return [repr(job) for job in jobs.list_jobs()]
