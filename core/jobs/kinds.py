"""The kinds of long work, and the command line that does each."""

from collections.abc import Callable
from dataclasses import dataclass

from core.paths import checkpoint_folder


@dataclass(frozen=True)
class Kind:
    """A kind of job. lane: jobs of one lane run one after another. command: the arguments as a command line.

    occupies: the folder, checkpoint or data set that a job works on; two active jobs of a kind may not share it.
    task: the permission that queueing or stopping one needs (core/roles.py). activity: the work in words, for
    messages. steps: how the messages of its steps begin, in their order.
    """

    lane: str
    command: Callable[[dict], list[str]]
    occupies: Callable[[dict], str]
    task: str
    activity: str
    steps: tuple[str, ...] = ()


def _train_command(asked: dict) -> list[str]:
    parts = ["train", asked["recipe"], "--data", asked["data"], "--out", asked["out"]]
    parts += [part for setting in asked["settings"] for part in ("--set", setting)]
    parts += ["--folds", str(asked["folds"])] if asked["folds"] else []
    return parts + ["--resume"] * asked["resume"]


def _trust_command(asked: dict) -> list[str]:
    parts = ["trust", asked["checkpoint"], "--data", asked["data"], "--split", asked["split"]]
    parts += ["--sample", str(asked["sample"])]
    return parts + [part for name in asked["methods"] for part in ("--method", name)]


def _estimate_command(asked: dict) -> list[str]:
    parts = ["estimate", asked["recipe"], "--data", asked["data"]]
    return parts + [part for setting in asked["settings"] for part in ("--set", setting)]


def _index_command(asked: dict) -> list[str]:
    parts = ["index", asked["source"], "--name", asked["name"]]
    parts += [part for ours, theirs in asked["columns"].items() for part in ("--column", f"{ours}={theirs}")]
    parts += [part for name in asked["match_ignoring"] for part in ("--match-ignoring", name)]
    for name in ("labels", "label_level", "study_rule", "table", "split_of"):
        parts += ["--" + name.replace("_", "-"), asked[name]] if asked.get(name) else []
    for name in ("valid_fraction", "folds", "seed"):
        parts += ["--" + name.replace("_", "-"), str(asked[name])]
    switches = ("allow_unmatched", "allow_lost_labels", "guess_columns", "new", "allow_outside", "preview")
    return parts + ["--" + name.replace("_", "-") for name in switches if asked.get(name)]


def _score_command(asked: dict) -> list[str]:
    parts = ["predict", asked["checkpoint"], "--data", asked["data"]]
    return parts + [part for split in asked["splits"] for part in ("--split", split)]


def _scored(asked: dict) -> str:
    return f"{asked['data']} with {asked['checkpoint']}"


AUDIT = ("decoding", "comparing pairs", "aligning pairs", "predicting the label")
INDEX = ("unpacking", "reading files")
SCORE = ("decoding", "scoring")

# A new kind is one entry here and one workflow that checks the request and calls `enqueue`.
KINDS = {
    "training": Kind(
        "training", _train_command, lambda asked: str(checkpoint_folder(asked["out"])), "train", "training into"
    ),
    "estimate": Kind(
        "estimates", _estimate_command, lambda asked: " ".join(_estimate_command(asked)[1:]), "train", "timing"
    ),
    "trust": Kind("light", _trust_command, lambda asked: asked["checkpoint"], "compute", "checking saliency maps of"),
    "audit": Kind(
        "light", lambda asked: ["audit", asked["data"]], lambda asked: asked["data"], "compute", "auditing", AUDIT
    ),
    "index": Kind("data", _index_command, lambda asked: asked["name"], "data", "adding the data set", INDEX),
    "score": Kind("scores", _score_command, _scored, "compute", "scoring", SCORE),
    "download": Kind(
        "download",
        lambda asked: ["download", asked["set"], "--name", asked["name"]],
        lambda asked: asked["name"],
        "data",
        "downloading",
        ("downloading", *INDEX),
    ),
}
