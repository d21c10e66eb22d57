"""The work that is killed: each writes something, says what it has acknowledged, and can be done again afterwards."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.data.datasets import read_dataset, read_index
from core.data.index import build_index, write_dataset
from core.errors import OverreadError
from hard.workspace import MODEL

# Told of each thing that was acknowledged.
Acknowledge = Callable[[str], None]


@dataclass(frozen=True)
class Work:
    """One kind of work in the workspace `home`.

    do: the work. kept: after a kill, whether what was acknowledged is there; its values are read, so that damage shows.
    result: after the work was done again, its values, which are those of work that nobody killed ('' if they differ by
    nature, such as times). endless: it goes on until it is killed. slow: killed a quarter as often.
    """

    name: str
    do: Callable[[Path, Acknowledge], object]
    kept: Callable[[Path, list[str]], bool]
    result: Callable[[Path], object]
    endless: bool = False
    slow: bool = False


def works() -> list[Work]:
    """All of them."""
    return [
        Work("index", _index, _nothing_halved("second"), lambda home: _frame(read_index("second"))),
        Work("import of scores", _import, _import_whole, lambda home: _imported()),
        Work("pixel cache", _cache, lambda home, said: True, _pixels),
        Work("scores", _predict, _scores_whole, lambda home: _scores()),
        Work("lock of a threshold", _lock, _point_kept, lambda home: len(_points())),
        Work("training", _train, _checkpoint_whole, _weights, slow=True),
        Work("verdicts", _verdicts, _verdicts_kept, lambda home: "", endless=True),
        Work("decisions", _decisions, _decisions_kept, lambda home: "", endless=True),
    ]


def _frame(frame) -> str:
    return frame.reset_index(drop=True).to_csv(index=False)


def _index(home: Path, acknowledge: Acknowledge) -> None:
    write_dataset("second", build_index(home / "phantoms" / "demo" / "MURA-v1.1"))
    acknowledge("second")


def _nothing_halved(name: str) -> Callable[[Path, list[str]], bool]:
    def kept(home: Path, said: list[str]) -> bool:
        from core.data.datasets import list_datasets

        found = {dataset.name for dataset in list_datasets()}
        return len(read_index(name)) == len(read_index("demo")) if name in found else not said

    return kept


def _import(home: Path, acknowledge: Acknowledge) -> None:
    from core.scores.import_frame import Columns
    from core.workflows.import_scores import import_scores

    columns = Columns("label", "p", "study_id", "image_id", "patient_id", "bone", "split")
    import_scores(home / "outside.csv", "again", columns)
    acknowledge("again")


def _imported() -> str:
    from core.scores.imports import imported_predictions, read_imported

    return _frame(imported_predictions(read_imported("again")))


def _import_whole(home: Path, said: list[str]) -> bool:
    from core.scores.imports import broken_imports, list_imported

    found = {imported.name for imported in list_imported()}
    if broken_imports():
        return False
    return bool(_imported()) if "again" in found else not said


def _cache(home: Path, acknowledge: Acknowledge) -> None:
    _pixels(home)


def _pixels(home: Path) -> str:
    import hashlib

    from core.data.cache import pixel_cache
    from core.data.input_spec import InputSpec

    index = read_index("demo")
    stored = pixel_cache(read_dataset("demo"), index, InputSpec(48))
    return hashlib.sha1(stored.pixels[stored.rows_of(index["image_id"])].tobytes()).hexdigest()


def _predict(home: Path, acknowledge: Acknowledge) -> None:
    from core.models.checkpoint import read_checkpoint
    from core.scores.predict import predict
    from core.scores.predictions import store_predictions
    from core.scores.source import source_of

    store_predictions(predict(source_of(read_checkpoint(MODEL), read_dataset("demo"))))
    acknowledge(MODEL)


def _scores() -> str:
    from core.models.checkpoint import read_checkpoint
    from core.scores.source import source_of
    from core.scores.stored_scores import read_predictions

    found = read_predictions(source_of(read_checkpoint(MODEL), read_dataset("demo")))
    return "" if found is None else _frame(found)


def _scores_whole(home: Path, said: list[str]) -> bool:
    return bool(_scores())  # the workspace had scores before


def _source():
    from core.scores.source import find_source

    return find_source(MODEL, read_dataset("demo"))


def _points() -> list:
    from core.scores.operating_points import read_points

    return read_points(_source())


def _lock(home: Path, acknowledge: Acknowledge) -> None:
    import io
    from contextlib import redirect_stdout

    from core.__main__ import app

    if _points():
        return
    words = ("threshold", MODEL, "--data", "demo", "--rule", "youden", "--split", "valid", "--lock", "--author", "Ana")
    with redirect_stdout(io.StringIO()):
        app(list(words), standalone_mode=False)
    acknowledge(_points()[0].id)


def _point_kept(home: Path, said: list[str]) -> bool:
    return set(said) <= {point.id for point in _points()}


def _train(home: Path, acknowledge: Acknowledge) -> None:
    from core.models.checkpoint import read_manifest
    from core.paths import checkpoint_folder
    from core.training.loop import train
    from core.training.options import RunOptions
    from core.training.recipe import Recipe

    recipe = Recipe("killed", "small_cnn", {"width": 4, "hidden": 8}, size=32, epochs=2, batch_size=16)
    folder = checkpoint_folder("trained")
    try:
        train(recipe, read_dataset("demo"), folder, RunOptions(resume=folder.exists()))
    except OverreadError as error:
        # It had ended before it was killed.
        if error.code != "nothing-to-resume" or not read_manifest(folder).get("complete"):
            raise
    acknowledge("trained")


def _checkpoint_whole(home: Path, said: list[str]) -> bool:
    from core.models.checkpoint import MANIFEST, list_checkpoints, load_model, read_checkpoint

    if not (home / "checkpoints" / "trained" / MANIFEST).exists():
        return not said
    load_model(read_checkpoint("trained"))
    return "trained" not in list_checkpoints()[1]


def _weights(home: Path) -> str:
    from core.models.checkpoint import read_checkpoint

    return read_checkpoint("trained").weights_hash


def _verdicts(home: Path, acknowledge: Acknowledge) -> None:
    from core.review.store import Verdict, add_verdict, open_store

    store, number = open_store(), 0
    while True:
        number += 1
        acknowledge(add_verdict(store, Verdict("demo", f"s{number % 50}", "Ana", "cannot_tell", note="n" * 200)).id)


def _verdicts_kept(home: Path, said: list[str]) -> bool:
    from core.review.store import open_store, verdicts_table
    from core.workflows.verify_verdicts import verify_verdicts

    store = open_store()
    try:
        kept = verdicts_table(store, history=True)["id"]
        return set(said) <= set(kept) and not kept.duplicated().any() and not verify_verdicts(store).problems
    finally:
        store.engine.dispose()


def _decisions(home: Path, acknowledge: Acknowledge) -> None:
    from core.serving.decision_log import DecisionLog
    from core.serving.decoding import Upload
    from core.serving.reader import load

    root, row = Path(read_dataset("demo").root), read_index("demo").iloc[0]
    answer = load(home / "checkpoints" / MODEL).read([Upload("a.png", (root / row["path"]).read_bytes())])
    log, number = DecisionLog(home / "decisions"), 0
    while True:
        log.append(answer, bone=row["bone"])
        number += 1
        acknowledge(str(number))


def _decisions_kept(home: Path, said: list[str]) -> bool:
    from core.serving.decision_log import DecisionLog, log_table, verify_log

    if not any((home / "decisions").glob("*.jsonl")):
        return not said
    DecisionLog(home / "decisions")
    kept = len(log_table(home / "decisions"))
    return kept >= int(said[-1] if said else 0) and not verify_log(home / "decisions").problem
