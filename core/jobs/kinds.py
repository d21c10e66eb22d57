"""The kinds of long work, and the command line that does each."""

from collections.abc import Callable
from dataclasses import dataclass

from core.paths import checkpoint_folder


@dataclass(frozen=True)
class Kind:
    """A kind of job. lane: jobs of one lane run one after another. command: the arguments as a command line.

    occupies: the folder, checkpoint or data set that a job works on; two active jobs of a kind may not share it.
    activity: the work in words, for messages.
    """

    lane: str
    command: Callable[[dict], list[str]]
    occupies: Callable[[dict], str]
    activity: str


def _train_command(asked: dict) -> list[str]:
    parts = ["train", asked["recipe"], "--data", asked["data"], "--out", asked["out"]]
    parts += [part for setting in asked["settings"] for part in ("--set", setting)]
    parts += ["--folds", str(asked["folds"])] if asked["folds"] else []
    return parts + ["--resume"] * asked["resume"]


def _trust_command(asked: dict) -> list[str]:
    parts = ["trust", asked["checkpoint"], "--data", asked["data"], "--split", asked["split"]]
    parts += ["--sample", str(asked["sample"])]
    return parts + [part for name in asked["methods"] for part in ("--method", name)]


# A new kind is one entry here and one workflow that checks the request and calls `enqueue`.
KINDS = {
    "training": Kind("training", _train_command, lambda asked: str(checkpoint_folder(asked["out"])), "training into"),
    "trust": Kind("light", _trust_command, lambda asked: asked["checkpoint"], "checking saliency maps of"),
    "audit": Kind("light", lambda asked: ["audit", asked["data"]], lambda asked: asked["data"], "auditing"),
}
