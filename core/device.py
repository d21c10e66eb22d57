"""Which processor computes, in which precision, from which seed."""

import contextlib

import torch


def pick_device(wanted: str = "") -> tuple[torch.device, str]:
    """The device to compute on and one line on why: the one asked for, else the first GPU, else the CPU."""
    if wanted:
        return torch.device(wanted), f"{wanted}, as asked"
    if torch.cuda.is_available():
        return torch.device("cuda"), f"GPU {torch.cuda.get_device_name()}"
    if torch.backends.mps.is_available():
        return torch.device("mps"), "Apple GPU"
    return torch.device("cpu"), "CPU, since torch finds no GPU"


def autocast(device: torch.device):
    """bfloat16 where a GPU has it; elsewhere float32, so that a CPU gives the same bits every time."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


def precision(device: torch.device) -> str:
    """The name of what `autocast` computes in, to be recorded beside scores."""
    return "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"
