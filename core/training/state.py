"""Where a run stands after an epoch, in one safetensors file that is replaced in one step."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from core.errors import OverreadError
from core.paths import write_atomically

FILE = "resume.safetensors"


def save_state(folder: Path, model, optimiser, facts: dict, average=None, sums: dict | None = None) -> None:
    """Keep network, optimiser, mean of the weights, sums (name to tensor) and random state; `facts` are what JSON can
    hold (epoch, best)."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, values in optimiser.state_dict()["state"].items():
        tensors.update({f"optimiser.{index}.{name}": value for name, value in values.items() if value is not None})
    if average is not None:
        tensors.update({f"average.{name}": value for name, value in average.state_dict().items()})
    tensors.update({f"sums.{name}": value for name, value in (sums or {}).items()})
    tensors["random"] = torch.get_rng_state()
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    # As bytes, since safetensors' own writer has an error of its own for a full disk.
    content = save(tensors, metadata={"facts": json.dumps(facts)})
    write_atomically(folder / FILE, lambda path: path.write_bytes(content))


def load_state(folder: Path, model, optimiser, average=None, sums: dict | None = None) -> dict:
    """Put the state back, `sums` as well, and return the facts. OverreadError where the file is missing or damaged."""
    file = folder / FILE
    facts = read_facts(folder)
    with safe_open(file, framework="pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  not a mapping
    model.load_state_dict({name[6:]: value for name, value in tensors.items() if name.startswith("model.")})
    if average is not None:
        average.load_state_dict({name[8:]: value for name, value in tensors.items() if name.startswith("average.")})
    for name, value in (sums or {}).items():
        if f"sums.{name}" in tensors:  # a run begun before they were kept goes on without
            value.copy_(tensors[f"sums.{name}"])
    state: dict[int, dict] = {}
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".", 2)
            owner = parameters[int(index)]
            # A fused step walks moments and parameters by their place in memory, so both need one memory format.
            state.setdefault(int(index), {})[key] = (
                torch.empty_like(owner).copy_(value) if value.shape == owner.shape else value
            )
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["random"])
    return facts


def read_facts(folder: Path) -> dict:
    """The facts of a stopped run, without its tensors."""
    file = folder / FILE
    try:
        with safe_open(file, framework="pt") as stored:
            return json.loads(stored.metadata()["facts"])
    except FileNotFoundError:
        raise OverreadError(
            f"{folder} holds no run to go on with ({FILE} is missing): it was finished, or never ended an "
            "epoch. Train without --resume, into a new folder."
        ) from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise OverreadError(
            f"{file} is damaged ({error}). Train again into a new folder; the checkpoint itself is intact."
        ) from error
