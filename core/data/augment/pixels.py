"""Augmented pixels, the same for training and preview."""

from core.data.augment.draws import draws_of
from core.data.augment.plan import Plan, plan_from_draws
from core.data.augment.spec import Augmentation


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


def apply_plan(plan: Plan, pixels):
    """Apply a plan to its images: uint8 tensor [n, s, s] to a new float32 tensor [n, 1, s, s], on its device."""
    import torch

    if pixels.device.type == "cpu":
        from core.data.augment import on_cpu

        return torch.from_numpy(on_cpu.apply_plan(pixels.contiguous().numpy(), plan, torch.get_num_threads()))[:, None]
    from core.data.augment import on_device

    return on_device.apply_plan(pixels, plan)[:, None]
