"""The pixels: what training gets, and to the bit what the preview shows."""

from core.data.augment.draws import draws_of
from core.data.augment.plan import Plan, plan_of
from core.data.augment.spec import Augmentation


def apply(augmentation: Augmentation, pixels, image_ids, seed: int, epoch):
    """Grey bytes to augmented grey: uint8 tensor [n, s, s] to float32 tensor [n, 1, s, s] in 0..1, on its device.

    One resampling (a homography, bilinear, black outside), then blur, sharpness, equalisation, CLAHE, all in bytes;
    one table of grey levels (inversion, gamma, contrast, brightness); noise, erasing. MixUp and CutMix need company:
    `core.data.augment.mixing`. epoch: one for all, or one each. A sample's bits depend on the device alone, never on
    its batch or on threads.
    """
    return carried_out(planned(augmentation, image_ids, seed, epoch, pixels.shape[-1]), pixels)


def planned(augmentation: Augmentation, image_ids, seed: int, epoch, side: int) -> Plan:
    """What `apply` does to these images of that side; `Plan.part` of it does the same to some of them."""
    return plan_of(augmentation, draws_of(augmentation, image_ids, seed, epoch), side)


def carried_out(plan: Plan, pixels):
    """The plan done to its images: uint8 tensor [n, s, s] to a new float32 tensor [n, 1, s, s], on its device."""
    import torch

    if pixels.device.type == "cpu":
        from core.data.augment.on_cpu import carry_out

        return torch.from_numpy(carry_out(pixels.contiguous().numpy(), plan, torch.get_num_threads()))[:, None]
    from core.data.augment.on_device import carry_out

    return carry_out(pixels, plan)[:, None]
