"""Augmented pixels, the same for training and preview."""

import functools
import importlib.util
from typing import TYPE_CHECKING

from core.data.augment.draws import draws_of
from core.data.augment.plan import Plan, plan_from_draws
from core.data.augment.spec import Augmentation
from core.data.input_spec import InputSpec

if TYPE_CHECKING:
    from core.data.augment.device_plan import DevicePlan


def apply(augmentation: Augmentation, pixels, image_ids, seed: int, epoch):
    """uint8 tensor [n, s, s] to augmented float32 tensor [n, 1, s, s] in 0..1, on its device.

    One resampling (a homography, bilinear, black outside); blur, sharpness, equalisation and CLAHE, all in uint8; one
    table of grey levels (inversion, gamma, contrast, brightness); noise, erasing. MixUp and CutMix are in
    `core.data.augment.mixing`. epoch: one for all samples, or one each. A sample's bits may differ between kinds of
    device, but not between batches or numbers of threads.
    """
    return apply_plan(make_plan(augmentation, image_ids, seed, epoch, pixels.shape[-1]), pixels)


def make_plan(augmentation: Augmentation, image_ids, seed: int, epoch, side: int) -> Plan:
    """The Plan that `apply` uses for these images of this side; `Plan.part` gives that of some of them."""
    return plan_from_draws(augmentation, draws_of(augmentation, image_ids, seed, epoch), side)


def send_plan(plan: Plan, side: int, device) -> "DevicePlan":
    """The plan for images of this side as tensors on a device."""
    from core.data.augment.device_plan import send_plan

    return send_plan(plan, side, device)


def apply_plan(plan: "Plan | DevicePlan", pixels):
    """Apply a plan to its images: uint8 tensor [n, s, s] to a new float32 tensor [n, 1, s, s], on its device.

    A plan that was sent to the device is applied by torch, any other one on a CPU by OpenCV.
    """
    import torch

    if isinstance(plan, Plan) and pixels.device.type == "cpu":
        from core.data.augment import on_cpu

        return torch.from_numpy(on_cpu.apply_plan(pixels.contiguous().numpy(), plan, torch.get_num_threads()))[:, None]
    from core.data.augment import on_device

    sent = send_plan(plan, pixels.shape[-1], pixels.device) if isinstance(plan, Plan) else plan
    return on_device.apply_plan(pixels, sent)[:, None]


def normalise_(unit, spec: InputSpec):
    """Normalise in place: grey in 0..1 to input of the network. A fresh array would cost more than the arithmetic."""
    return unit.sub_(spec.mean).div_(spec.std)


def network_input(plan: "Plan | DevicePlan", pixels, rows, spec: InputSpec):
    """Input of the network, float32 [n, 1, s, s]: the given rows of uint8 [N, s, s], or all for None, augmented.

    On an NVIDIA GPU with Triton two kernels do it, with the bits of `apply_plan` and `normalise_`.
    """
    if not isinstance(plan, Plan) and pixels.device.type == "cuda" and has_triton():
        import torch

        from core.data.augment import fused

        rows = torch.arange(len(pixels), device=pixels.device) if rows is None else rows
        return fused.normalised(pixels, rows, plan, spec.mean, spec.std)[:, None]
    return normalise_(apply_plan(plan, pixels if rows is None else pixels[rows]), spec)


@functools.cache
def has_triton() -> bool:
    """Whether Triton, which comes with torch's build for NVIDIA GPUs, can be imported."""
    return importlib.util.find_spec("triton") is not None
