"""Which processor computes, in which precision, from which seed."""

import contextlib
import ctypes
import platform

import torch

from core.errors import OverreadError


def pick_device(wanted: str = "") -> tuple[torch.device, str]:
    """The device to compute on and one line on why: the one asked for, else the first GPU, else the CPU."""
    if wanted:
        try:
            return torch.zeros(1, device=wanted).device, f"{wanted}, as asked"
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = str(error).splitlines()[0]
            raise OverreadError(
                f"The device {wanted!r} cannot be used ({reason}); leave --device out, or give cpu."
            ) from error
    if torch.cuda.is_available():
        return torch.device("cuda"), f"GPU {torch.cuda.get_device_name()}"
    if torch.backends.mps.is_available():
        return torch.device("mps"), "Apple GPU"
    return torch.device("cpu"), "CPU, since torch finds no GPU"


def placed(model: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """The network on the device, its convolutions' weights channels last, which is how both kinds of processor like it.

    Weight by weight: `Module.to` refuses a network that has a three-dimensional convolution as well.
    """
    model.to(device)
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = channels_last(parameter.data)
    return model


def channels_last(batch: torch.Tensor) -> torch.Tensor:
    """The same [n, c, h, w], its channels innermost, as `placed` has the weights.

    `contiguous` leaves a single channel as it is, since both layouts are the same bytes then, and torch takes it for
    the other one: what follows on a CPU, up to the first step down, then takes longer, a step a sixth to two fifths.
    """
    rows, channels, height, width = batch.shape
    if channels > 1:
        return batch.contiguous(memory_format=torch.channels_last)
    return batch.contiguous().view(rows, height, width, 1).permute(0, 3, 1, 2)


def keep_freed_memory() -> None:
    """Have the C library keep what is freed for the next step, up to 1 GiB a piece, for this process from here on.

    By itself glibc gives every large array back to the system, and each step of a training on a CPU waits for the same
    pages to be emptied again: 5 to 10% of a small network's epoch. Elsewhere nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
            mallopt(option, 1 << 30)


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h


def autocast(device: torch.device):
    """bfloat16 where a GPU has it; elsewhere float32, so that a CPU gives the same bits every time."""
    if precision(device) == "bfloat16":
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


def cast(device: torch.device, exact: str):
    """`exact` ('float32' or 'bfloat16') for what is computed inside."""
    return torch.autocast(device.type, torch.bfloat16) if exact == "bfloat16" else contextlib.nullcontext()


def training_precision(device: torch.device, wanted: str) -> str:
    """What to train in. 'auto': bfloat16 on a GPU or a processor with instructions for it, else float32.

    'bfloat16' trains in float32 all the same on a processor that would only emulate it. No trial decides: two runs of
    one recipe on one machine must give the same bits.
    """
    if device.type == "cpu" and wanted != "float32":
        return "bfloat16" if has_bfloat16() else "float32"
    return precision(device) if wanted == "auto" else wanted


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 itself. oneDNN alone would also count x86 that emulates it, slower."""
    if not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return False
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def precision(device: torch.device) -> str:
    """The name of what `autocast` computes in, to be recorded beside scores."""
    # Without emulation, which is slower than float32.
    has_it = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if has_it else "float32"


def autocast_for_maps(device: torch.device):
    """bfloat16 wherever the processor computes it itself, a CPU too: for saliency's many passes, never for scores."""
    itself = device.type == "cpu" and has_bfloat16()
    return torch.autocast("cpu", torch.bfloat16) if itself else autocast(device)
