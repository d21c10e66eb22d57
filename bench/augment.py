"""Time augmentation of a batch against per-sample torchvision v2 with the same operations, on PIL images and tensors.

Run: `python -m bench.augment` (`--device cuda` keeps the batch on the GPU). Both sides start from decoded grey bytes in
memory and end in one float32 batch of 64 in 0..1. Both draw anew each time from the same ranges, except for noise:
torchvision's has a fixed strength, ours one drawn up to it. `threads` applies to torch and OpenCV. The DataLoader has
two persistent workers and is compared with two threads. Rows are appended to bench/results/augment.csv.
"""

import argparse

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from bench.pairs import Case, keep, measure
from core.data.augment import PRESETS, Augmentation, apply

BATCH = 64
# The ranges of `strong` that torchvision also has, and its other operations with a fixed or a drawn strength.
FULL = Augmentation(
    horizontal_flip=0.5, perspective=0.2, crop=0.999, crop_area=0.5, rotation=10, brightness=0.1, contrast=0.2,
    equalisation=0.2, sharpness=0.5, blur=0.01, noise=0.05, erasing=0.25,
)  # fmt: skip
SPECS = {
    "mura_paper": PRESETS["mura_paper"],
    "light": PRESETS["light"],
    "all operations": FULL,
    "all, no noise": Augmentation(**{**FULL.to_dict(), "noise": 0.0}),
}


def peer(a: Augmentation, size: int, from_pil: bool) -> v2.Compose:
    """Return torchvision v2 transforms with the same ranges."""
    bilinear = v2.InterpolationMode.BILINEAR
    steps = [v2.RandomHorizontalFlip(a.horizontal_flip)]
    if a.crop:
        ratio = (1 / (1 + a.crop_aspect), 1 + a.crop_aspect)
        steps.append(v2.RandomResizedCrop(size, (a.crop_area, 1), ratio, bilinear))
    if a.perspective:
        steps.append(v2.RandomPerspective(a.perspective, 1.0, bilinear))
    if a.rotation or a.translation or a.scale:
        shift = (a.translation, a.translation) if a.translation else None
        scale = (1 - a.scale, 1 + a.scale) if a.scale else None
        steps.append(v2.RandomAffine(a.rotation, shift, scale, None, bilinear))
    if a.blur:
        steps.append(v2.GaussianBlur(2 * int(3 * a.blur * size) + 1, (0.01, a.blur * size)))
    if a.sharpness:
        steps.append(v2.RandomAdjustSharpness(1 + a.sharpness, 1.0))
    if a.equalisation:
        steps.append(v2.RandomEqualize(a.equalisation))
    if a.brightness or a.contrast:
        steps.append(v2.ColorJitter(a.brightness, a.contrast))
    steps += [v2.ToImage()] if from_pil else []
    steps.append(v2.ToDtype(torch.float32, scale=True))
    steps += [v2.GaussianNoise(0, a.noise / 2)] if a.noise else []
    steps += [v2.RandomErasing(a.erasing, (0.001, a.erasing_area), (1, 1))] if a.erasing else []
    return v2.Compose(steps)


class Films(Dataset):
    """Decoded radiographs as a data set for a DataLoader."""

    def __init__(self, pixels: np.ndarray, transform: v2.Compose):
        self.films, self.transform = [Image.fromarray(one) for one in pixels], transform

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, place: int) -> torch.Tensor:
        return self.transform(self.films[place])


def films(count: int, size: int) -> np.ndarray:
    """Grey bytes with soft structure, letterboxed."""
    random, made = np.random.default_rng(0), np.zeros((count, size, size), np.uint8)
    for film in made:
        rough = random.integers(0, 256, (8, 8)).astype(np.uint8)
        film[:, size // 8 : -size // 8] = cv2.resize(
            rough, (size - 2 * (size // 8), size), interpolation=cv2.INTER_CUBIC
        )
    return made


def alike(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Compare shape, type and mean level; the random draws of the two sides differ."""
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype == torch.float32
    assert abs(float(ours.mean()) - float(theirs.mean())) < 0.08, (float(ours.mean()), float(theirs.mean()))


def threads(count: int) -> None:
    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def rows_of(name: str, a: Augmentation, size: int, device: str, command: str):
    """Measure one row for each peer."""
    pixels = films(BATCH, size)
    on_device, ids = torch.from_numpy(pixels).to(device), [f"patient/{number}/image.png" for number in range(BATCH)]
    epoch = iter(range(1_000_000))

    def ours():
        found = apply(a, on_device, ids, 0, next(epoch))
        if device == "cuda":
            torch.cuda.synchronize()
        return found.cpu() if device != "cpu" else found

    images, tensors = [Image.fromarray(one) for one in pixels], [torch.from_numpy(one)[None] for one in pixels]
    of_pil, of_tensor = peer(a, size, True), peer(a, size, False)
    where = "" if device == "cpu" else f", ours on {torch.cuda.get_device_name()} and brought back"
    what = f"augment {name}, {size} px"
    packages = ("torch", "torchvision", "opencv-python-headless", "pillow", "numpy")
    for title, theirs in (
        ("torchvision v2 per sample, PIL", lambda: torch.stack([of_pil(image) for image in images])),
        ("torchvision v2 per sample, tensors", lambda: torch.stack([of_tensor(image) for image in tensors])),
    ):
        threads(1)
        case = Case(f"{what}{where}, 1 thread", BATCH, title, ours, theirs, same=alike)
        yield measure(case, command, packages)
    count = 8 * BATCH
    many = np.tile(pixels, (8, 1, 1))
    loader = DataLoader(Films(many, of_pil), BATCH, num_workers=2, persistent_workers=True)
    all_ids = [f"patient/{number}/image.png" for number in range(count)]
    all_pixels = torch.from_numpy(many).to(device)

    def our_epoch():
        turn = next(epoch)
        return torch.cat(
            [
                apply(a, all_pixels[start : start + BATCH], all_ids[start : start + BATCH], 0, turn)
                for start in range(0, count, BATCH)
            ]
        ).cpu()

    threads(2)
    case = Case(
        f"{what}{where}, 2 threads", count, "DataLoader of 2 workers, PIL, torchvision v2", our_epoch,
        lambda: torch.cat(list(loader)), same=alike,
    )  # fmt: skip
    yield measure(case, command, packages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, action="append")
    given = parser.parse_args()
    command = "python -m bench.augment" + (f" --device {given.device}" if given.device != "cpu" else "")
    for size in given.size or (64, 128, 224, 320):
        for name, augmentation in SPECS.items():
            keep(list(rows_of(name, augmentation, size, given.device, command)), "augment.csv")


if __name__ == "__main__":
    main()
