"""A small workspace that has every kind of file that Overread writes and reads."""

import io
import json
import os
import random
import shutil
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from core.data.datasets import read_dataset, read_index
from core.data.index import build_index, write_dataset
from core.models.checkpoint import read_checkpoint
from core.paths import REPOSITORY
from core.phantom import write_phantoms
from core.scores.source import Source, find_source, source_of
from core.scores.view import View

MODEL, SHIPPED = "model", REPOSITORY / "checkpoints" / "original-cnn-64"


def enter(home: Path) -> Path:
    """Make a folder the workspace of this process and of those it starts."""
    home.mkdir(parents=True, exist_ok=True)
    os.environ["OVERREAD_HOME"] = str(home)
    os.environ.pop("OVERREAD_DATABASE_URL", None)
    return home


def make_data(home: Path, patients: int = 60, name: str = "demo") -> None:
    """An indexed data set of phantoms."""
    write_phantoms(home / "phantoms" / name, patients, 3, processes=1, valid_fraction=0.5)
    write_dataset(name, build_index(home / "phantoms" / name / "MURA-v1.1"))


def make_scores(home: Path) -> Source:
    """A checkpoint of the workspace's own, and its scores."""
    from core.scores.predict import predict
    from core.scores.predictions import store_predictions

    if not (home / "checkpoints" / MODEL).exists():
        shutil.copytree(SHIPPED, home / "checkpoints" / MODEL)
    dataset, checkpoint = read_dataset("demo"), read_checkpoint(MODEL)
    scores = predict(source_of(checkpoint, dataset))
    store_predictions(scores)
    store_predictions(scores, checkpoint.folder / "predictions.parquet")
    return find_source(MODEL, dataset)


def make_import(home: Path) -> None:
    """Imported scores, from a table of the model's own."""
    from core.scores.import_frame import Columns
    from core.scores.stored_scores import read_predictions
    from core.workflows.import_scores import import_scores

    known = ["image_id", "study_id", "patient_id", "bone", "label", "split"]
    scores = read_predictions(source_of(read_checkpoint(MODEL), read_dataset("demo")))
    probability = 1 / (1 + np.exp(-scores["logit"]))
    scores[known].assign(p=probability).to_csv(home / "outside.csv", index=False)
    columns = Columns("label", "p", "study_id", "image_id", "patient_id", "bone", "split")
    import_scores(home / "outside.csv", "outside", columns)


def make_verdicts(count: int = 120) -> None:
    """Verdicts of three readers, two walkthroughs, a revision of labels and weights of radiographs."""
    from core.data.radiograph_weights import write_weights
    from core.review.label_revisions import accept_labels
    from core.review.store import Verdict, add_verdict, open_store
    from core.workflows.walkthroughs import Draw, candidates_of, make_walkthrough

    store, draw = open_store(), random.Random(1)
    write_weights("demo", "doubts", read_index("demo")[["image_id"]].head(40).assign(weight=0.5))
    studies = read_index("demo")["study_id"].drop_duplicates().tolist()
    for _ in range(count):
        note = draw.choice(("", "see the film", "cast, motion"))
        reading, reader = draw.choice(("abnormal", "normal")), draw.choice(("Ana", "Ben", "Cem"))
        add_verdict(store, Verdict("demo", draw.choice(studies), reader, reading=reading, note=note, given_label=1.0))
    view = View(find_source(MODEL, read_dataset("demo")), "valid", threshold=1.0)
    for name, author, cases in (("Monday", "Ana", 4), ("Tuesday", "Ben", 3)):
        make_walkthrough(store, view, name, author, candidates_of(view, "missed"), Draw(cases, 2))
    reference = accept_labels(store, "demo", "Ana", "agreed").reference
    Path(os.environ["OVERREAD_HOME"], "revision.json").write_text(json.dumps(reference))
    store.engine.dispose()


def make_records(home: Path) -> None:
    """A locked threshold with its verification, an audit, feature vectors, maps, decisions, and the state of a run."""
    from core.__main__ import app

    def command(*words: object) -> None:
        with redirect_stdout(io.StringIO()):
            app([str(word) for word in words], standalone_mode=False)

    command("threshold", MODEL, "--data", "demo", "--rule", "youden", "--lock", "--author", "Ana", "--split", "valid")
    command("verify", MODEL, "--data", "demo", "--split", "train")
    command("cache", "demo", "--size", 64)
    command("audit", "demo")
    command("embed", MODEL, "--data", "demo")
    make_maps()
    make_decisions(home)
    make_state(home)


def make_maps() -> None:
    """Saliency maps of two radiographs, with their checks."""
    from core.workflows.trust import keep_maps
    from core.workflows.walkthroughs import candidates_of

    view = View(find_source(MODEL, read_dataset("demo")), "valid", threshold=1.0)
    keep_maps(view, list(candidates_of(view, "missed").listed[:2]), None, checks=True)


def make_decisions(home: Path) -> None:
    """A log of decisions of the service."""
    from core.serving.decision_log import DecisionLog
    from core.serving.decoding import Upload
    from core.serving.reader import load

    reader, log = load(home / "checkpoints" / MODEL), DecisionLog(home / "decisions")
    root = Path(read_dataset("demo").root)
    for row in read_index("demo").head(8).itertuples():
        log.append(reader.read([Upload("a.png", (root / row.path).read_bytes())]), bone=row.bone)


def make_state(home: Path) -> None:
    """The state of a run after an epoch."""
    import torch

    from core.models.networks import build
    from core.training.state import Learner, RunState, save_state

    network = build("small_cnn", {"width": 4, "hidden": 8})
    optimiser = torch.optim.AdamW(network.parameters())
    network(torch.zeros(2, 1, 64, 64)).sum().backward()
    optimiser.step()
    (home / "run").mkdir(exist_ok=True)
    history = ({"epoch": 1, "seconds": 2.0},)
    save_state(
        home / "run",
        Learner(network, optimiser),
        RunState("abc", "float32", {"weights": ["x"]}, 1, 0.5, (0.5,), history),
    )


def make_workspace(home: Path, patients: int = 60) -> Path:
    """All of it."""
    enter(home)
    make_data(home, patients)
    make_scores(home)
    make_import(home)
    make_verdicts()
    make_records(home)
    return home
