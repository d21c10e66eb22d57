"""The state of a run after an epoch, in one safetensors file that is replaced in one step."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from core.checksums import check_file, file_hash, write_checked
from core.errors import OverreadError, reason_of
from core.models.checkpoint import WEIGHTS, read_manifest

STATE_FILE = "resume.safetensors"


@dataclass(frozen=True)
class RunState:
    """How far a run has come, besides its tensors.

    epoch: the last full epoch, counted from 0; -1 before the first. best: score of the epoch whose weights are kept.
    scores: the score of each epoch, its tuning AUROC or, with one class held out, minus its tuning loss. history: the
    rows of history.csv. manifest: that of the checkpoint. index_hash, precision: those the run began with.
    """

    index_hash: str
    precision: str
    manifest: dict = field(default_factory=dict)
    epoch: int = -1
    best: float = -1.0
    scores: tuple[float, ...] = ()
    history: tuple[dict, ...] = ()

    def to_json(self) -> str:
        """The keys are those of version 0.1."""
        return json.dumps(
            {
                "epoch": self.epoch,
                "best": self.best,
                "manifest": self.manifest,
                "history": list(self.history),
                "judged": list(self.scores),
                "index_hash": self.index_hash,
                "precision": self.precision,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "RunState":
        """The inverse of to_json. KeyError where a key is missing."""
        stored = json.loads(text)
        return cls(
            index_hash=stored["index_hash"],
            precision=stored["precision"],
            manifest=stored["manifest"],
            epoch=stored["epoch"],
            best=stored["best"],
            scores=tuple(stored["judged"]),
            history=tuple(stored["history"]),
        )


@dataclass(frozen=True)
class Learner:
    """Everything an epoch changes: network, optimiser, running mean of the weights, sums of margins (by name)."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    average: nn.Module | None = None
    sums: dict[str, torch.Tensor] = field(default_factory=dict)


def save_state(folder: Path, learner: Learner, state: RunState) -> None:
    """Write the state of the run, the tensors of the learner and the state of torch's random generator."""
    tensors = {f"model.{name}": value for name, value in learner.model.state_dict().items()}
    for index, values in learner.optimiser.state_dict()["state"].items():
        tensors.update({f"optimiser.{index}.{name}": value for name, value in values.items() if value is not None})
    if learner.average is not None:
        tensors.update({f"average.{name}": value for name, value in learner.average.state_dict().items()})
    tensors.update({f"sums.{name}": value for name, value in learner.sums.items()})
    tensors["random"] = torch.get_rng_state()
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    # As bytes, since safetensors' own writer raises an error of its own for a full disk.
    content = save(tensors, metadata={"facts": state.to_json()})
    write_checked(folder / STATE_FILE, lambda path: path.write_bytes(content))


def load_state(folder: Path, learner: Learner) -> RunState:
    """Fill the learner and torch's random generator from the file, and return the state of the run.

    OverreadError where the file is missing or damaged.
    """
    file = folder / STATE_FILE
    state = read_state(folder)
    with safe_open(file, framework="pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  not a mapping
    learner.model.load_state_dict({name[6:]: value for name, value in tensors.items() if name.startswith("model.")})
    if learner.average is not None:
        average = {name[8:]: value for name, value in tensors.items() if name.startswith("average.")}
        learner.average.load_state_dict(average)
    for name, value in learner.sums.items():
        if f"sums.{name}" in tensors:  # missing in a run that began before margins were logged
            value.copy_(tensors[f"sums.{name}"])
    _load_optimiser(learner.optimiser, tensors)
    torch.set_rng_state(tensors["random"])
    return state


def _load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    moments: dict[int, dict] = {}
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".", 2)
            owner = parameters[int(index)]
            # A fused step reads moments and parameters in the order of memory, so both need one memory format.
            moments.setdefault(int(index), {})[key] = (
                torch.empty_like(owner).copy_(value) if value.shape == owner.shape else value
            )
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})


def read_state(folder: Path) -> RunState:
    """The state of a stopped run, without its tensors. OverreadError where the file is missing or damaged."""
    file = folder / STATE_FILE
    try:
        check_file(file)
        with safe_open(file, framework="pt") as stored:
            return RunState.from_json(stored.metadata()["facts"])
    except FileNotFoundError:
        raise OverreadError(
            f"{folder} has no run to resume ({STATE_FILE} is missing): the run is finished, or it never ended an "
            "epoch. Train into a new folder, without --resume.",
            code="nothing-to-resume",
        ) from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise OverreadError(
            f"{file} is damaged ({reason_of(error)}). Train again into a new folder; the checkpoint itself is intact.",
            code="state-damaged",
        ) from error


def match_manifest(state: RunState, folder: Path) -> RunState:
    """The state, corrected where a kill came after the weights of an epoch were written and before its state.

    A manifest that names new weights while the old file is still in place counts for nothing: the epoch runs again.
    """
    manifest = read_manifest(folder)
    if manifest.get("epoch", 0) <= state.epoch + 1 or file_hash(folder / WEIGHTS) != manifest["weights"][-1]:
        return state
    return replace(state, manifest=manifest, best=manifest["judged"])
