"""The processor, its precision and the memory layout of convolutions."""

import contextlib
import ctypes
import os
import platform
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch

from core.errors import OverreadError, reason_of

Result = TypeVar("Result")

# The largest difference of a logit that is computed again on another device or in batches of another size,
# in units of max(1, |logit|). On one device, batches of the same size give the same bits.
LOGIT_TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2}


def pick_device(wanted: str = "") -> tuple[torch.device, str]:
    """The device and the reason for it: the wanted one, otherwise the first GPU, otherwise the CPU.

    OverreadError where the wanted one cannot be used.
    """
    # Where float32 is wanted, convolutions on a GPU would otherwise have the mantissa of TensorFloat-32.
    torch.backends.cudnn.allow_tf32 = False
    if wanted:
        try:
            return torch.zeros(1, device=wanted).device, f"{wanted}, as requested"
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = reason_of(error)
            raise OverreadError(
                f"The device {wanted!r} cannot be used ({reason}); leave --device out, or pass --device cpu.",
                code="device-unavailable",
            ) from error
    reason = why_no_gpu()
    if not reason:
        return torch.device("cuda"), f"GPU {torch.cuda.get_device_name()}"
    if torch.backends.mps.is_available():
        return torch.device("mps"), "Apple GPU"
    return torch.device("cpu"), f"the CPU, since {reason}"


def why_no_gpu() -> str:
    """Why torch cannot compute on an NVIDIA GPU, such as a driver that is too old; '' where it can."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    with warnings.catch_warnings():
        # torch also warns of an old driver, which is part of the reason below.
        warnings.simplefilter("ignore")
        try:
            if torch.cuda.is_available():
                torch.zeros(1, device="cuda")
                return ""
            if hidden is not None and not hidden.strip(" -1,"):
                return f"CUDA_VISIBLE_DEVICES={hidden} hides every GPU from torch"
            if os.path.exists(_NVIDIA_DRIVER):
                torch.cuda.init()
        except (RuntimeError, AssertionError) as error:
            return f"the GPU cannot be used ({reason_of(error, 160)})"
    return "torch finds no GPU"


def move_to_device(model: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """Move the network to the device, with channels-last convolutions, which are faster on both GPU and CPU.

    Each weight is converted by itself, since `Module.to` refuses a network with a three-dimensional convolution. On a
    CPU, the process keeps freed memory from now on.
    """
    if torch.device(device).type == "cpu":
        keep_freed_memory()
    model.to(device)
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = channels_last(parameter.data)
    return model


def channels_last(batch: torch.Tensor) -> torch.Tensor:
    """The same values [n, c, h, w] with channels last in memory, like the weights after `move_to_device`.

    With one channel both layouts have the same bytes, and `contiguous` keeps strides that torch reads as the other
    layout. On a CPU a training step then takes a sixth to two fifths longer.
    """
    rows, channels, height, width = batch.shape
    if channels > 1:
        return batch.contiguous(memory_format=torch.channels_last)
    return batch.contiguous().view(rows, height, width, 1).permute(0, 3, 1, 2)


def send(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """An array as a tensor on the device. On a CPU it shares the array's memory where that can be written.

    To a GPU it is copied through page-locked memory, so that the processor does not wait for the steps in the queue.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(values) if values.flags.writeable else values.copy())
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def wait_for(device: torch.device) -> None:
    """Wait until the device has done everything in its queue. A CPU has none."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def keep_freed_memory() -> None:
    """Make the C library keep freed memory for the next step, up to 1 GiB per array, in this process from now on.

    By default glibc returns large arrays to the system, and each pass of a network on a CPU waits for the same pages to
    be zeroed again: 5 to 10% of the epoch of a small network, half of a pass of MobileNetV2 at 224 px in batches of 8.
    Other C libraries ignore the call.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
            mallopt(option, 1 << 30)


def in_a_passing_thread(call: Callable[[], Result]) -> Result:
    """What `call` returns, from a thread of its own that has ended by then.

    Each Python thread that computes with torch on a CPU keeps threads of OpenMP. GNU's OpenMP counts those of all of
    them: where they are more than the cores, they sleep between two layers, and a single radiograph takes twice as
    long. So what is computed once, such as a trial, must not leave its threads to what computes for ever.
    """
    with ThreadPoolExecutor(1) as one:
        return one.submit(call).result()


_NVIDIA_DRIVER = "/proc/driver/nvidia/version"
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h


def autocast(device: torch.device):
    """bfloat16 on a GPU that has it, otherwise float32, so that a CPU gives the same bits every time."""
    if scoring_precision(device) == "bfloat16":
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


def autocast_to(device: torch.device, precision: str):
    """Compute the block in this precision, 'float32' or 'bfloat16'."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else contextlib.nullcontext()


def training_precision(device: torch.device, wanted: str) -> str:
    """The precision to train in. 'auto': bfloat16 on a GPU or CPU with instructions for it, otherwise float32.

    'bfloat16' also means float32 on a CPU that would only emulate it. The choice is not measured, since two runs of a
    recipe on one machine must give the same bits.
    """
    if device.type == "cpu" and wanted != "float32":
        return "bfloat16" if has_bfloat16() else "float32"
    return scoring_precision(device) if wanted == "auto" else wanted


def has_bfloat16() -> bool:
    """Whether this CPU has instructions for bfloat16. oneDNN also reports x86 CPUs that emulate it, more slowly."""
    if not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return False
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def scoring_precision(device: torch.device) -> str:
    """The name of the precision of `autocast`, which is stored with scores."""
    # Without emulation, which is slower than float32.
    has_it = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if has_it else "float32"


def autocast_for_maps(device: torch.device):
    """bfloat16 on every processor with instructions for it, for the many passes of saliency; never for scores."""
    itself = device.type == "cpu" and has_bfloat16()
    return torch.autocast("cpu", torch.bfloat16) if itself else autocast(device)
