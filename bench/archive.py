"""Write an artificial archive in MURA's layout with planted faults, for the benches of `core.data` and `core.audit`.

`python -m bench.archive FOLDER [FILES]`. Each picture shows different smooth random shapes with grain, so the planted
copies are the only ones; `planted.json` beside the tree lists them. Sides are 256 to 400 px by default; MURA's longer
side is 512.
"""

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from core.schema import MURA_BONES

VIEWS, SPECIAL = 2, 8


def picture(seed: int, sides: tuple[int, int] = (256, 400)) -> Image.Image:
    """A grey picture that depends on the seed alone."""
    random = np.random.default_rng(seed)
    height, width = random.integers(*sides, 2)
    broad = Image.fromarray(random.integers(0, 200, (11, 9)).astype(np.uint8)).resize((width, height), 3)
    fine = Image.fromarray(random.integers(0, 56, (48, 40)).astype(np.uint8)).resize((width, height), 3)
    grain = random.integers(0, 3, (height, width)).astype(np.uint8)
    return Image.fromarray(np.asarray(broad) + np.asarray(fine) // 2 + grain)


def study(root: Path, patient: int, valid: bool, number: int = 1) -> Path:
    """The folder of a patient's study. Every third patient is abnormal."""
    bone = MURA_BONES[patient % 7].upper()
    side, label = ("valid" if valid else "train"), ("positive" if patient % 3 == 0 else "negative")
    return root / side / f"XR_{bone}" / f"patient{patient:05}" / f"study{number}_{label}"


def write_patients(root: Path, patients: range, total: int, sides: tuple[int, int]) -> None:
    """Write VIEWS pictures for each patient. The last fifth of the patients is valid."""
    for patient in patients:
        folder = study(root, patient, patient >= total * 0.8)
        folder.mkdir(parents=True, exist_ok=True)
        for view in range(VIEWS):
            picture(VIEWS * patient + view, sides).save(folder / f"image{view + 1}.png", compress_level=1)


def plant(root: Path, total: int) -> dict[str, list]:
    """Plant SPECIAL faults of each kind: patients in two splits, copies within and across studies, unreadable files."""
    planted = {"patient_overlap": [], "duplicates_within": [], "duplicates_across": [], "unreadable": []}

    def place(file: Path) -> str:
        return str(file.relative_to(root))

    changes = (
        lambda image: image,
        lambda image: image.resize((image.width // 2, image.height // 2)),
        ImageOps.mirror,
        lambda image: image.point(lambda level: int(level * 0.8)),
    )
    for turn in range(SPECIAL):
        leaking, twin, source, broken = (turn * 4 + part for part in range(4))
        other = study(root, leaking, True, 2)
        other.mkdir(parents=True, exist_ok=True)
        picture(10_000_000 + turn).save(other / "image1.png")
        planted["patient_overlap"].append(f"patient{leaking:05}")
        inside = study(root, twin, False)
        (inside / "image9.png").write_bytes((inside / "image1.png").read_bytes())
        planted["duplicates_within"].append([place(inside / "image1.png"), place(inside / "image9.png")])
        first, copy = study(root, source, False) / "image1.png", study(root, total - 1 - turn, True) / "image9.png"
        changes[turn % len(changes)](Image.open(first)).save(copy)
        planted["duplicates_across"].append([place(first), place(copy)])
        bad = study(root, broken, False) / "image8.png"
        whole = (study(root, broken, False) / "image1.png").read_bytes()
        bad.write_bytes((b"", b"text, not a picture", whole[: len(whole) // 2], whole[:20])[turn % 4])
        planted["unreadable"].append(place(bad))
    return planted


def write_archive(folder: Path, files: int = 40_000, sides: tuple[int, int] = (256, 400)) -> Path:
    """Write the tree below `folder` unless it exists. Returns its root."""
    root, total = folder / "MURA-v1.1", files // VIEWS
    if not (folder / "planted.json").exists():
        steps = [range(start, min(start + 250, total)) for start in range(0, total, 250)]
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(write_patients, *zip(*((root, step, total, sides) for step in steps))))
        (folder / "planted.json").write_text(json.dumps(plant(root, total)))
    return root


if __name__ == "__main__":
    print(write_archive(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 40_000))
