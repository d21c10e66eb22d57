"""Count which changed copies of radiographs the audit finds.

Run: `python -m bench.copies NAME [COUNT]`. COUNT (120) radiographs of a data set, at regular steps, and a changed copy
of each are compared as in the audit. Found copies and other found pairs are counted in bench/results/copies.csv.
"""

import csv
import datetime
import io
import sys

import cv2
import numpy as np
from PIL import Image, ImageFilter, ImageOps

from bench.pairs import RESULTS
from core.audit.duplicates import near_pairs
from core.data.index import read_dataset, read_index
from core.data.measures import SKETCH, measure
from core.data.pixels import read_grey


def cropped(left: float, right: float, top: float, bottom: float):
    """Return a function that crops these shares from the sides."""
    return lambda image: image.crop(
        (
            int(image.width * left),
            int(image.height * top),
            int(image.width * (1 - right)),
            int(image.height * (1 - bottom)),
        )
    )


def curve(power: float):
    """Return a function that applies a power to the grey levels."""
    return lambda image: image.point(lambda level: int(255 * (level / 255) ** power))


def turned(degrees: float, expand: bool = False):
    """Return a function that rotates, with black corners; `expand` enlarges the frame to keep everything."""
    return lambda image: image.rotate(degrees, Image.Resampling.BILINEAR, expand=expand)


def saved(quality: int):
    """Return a function that compresses as JPEG."""

    def save(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("L")

    return save


def marked(image: Image.Image) -> Image.Image:
    """Add a white label in a corner."""
    copy = image.copy()
    copy.paste(255, (8, 8, 40, 30))
    return copy


def clahe(image: Image.Image) -> Image.Image:
    """Equalise in 8 x 8 tiles with clip limit 2."""
    return Image.fromarray(cv2.createCLAHE(2.0, (8, 8)).apply(np.asarray(image)))


CHANGES = {
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "JPEG quality 20": saved(20),
    "blurred by 2 px": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "darkened to .7": lambda image: image.point(lambda level: int(0.7 * level)),
    "gamma .6": curve(0.6),
    "gamma 2": curve(2.0),
    "a label in a corner": marked,
    "mirrored": ImageOps.mirror,
    "a quarter turn": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "a half turn": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "negative": ImageOps.invert,
    **{f"cropped by {share}% a side": cropped(*[share / 100] * 4) for share in (1, 2, 3, 5, 8, 10)},
    "cropped by 5% on the left": cropped(0.05, 0, 0, 0),
    "cropped by 5% below": cropped(0, 0, 0, 0.05),
    "cropped by 10% below": cropped(0, 0, 0, 0.1),
    "cropped by 5% on the left and above": cropped(0.05, 0, 0.05, 0),
    "a black frame of 5%": lambda image: ImageOps.expand(image, int(image.width * 0.05)),
    "a white frame of 5%": lambda image: ImageOps.expand(image, int(image.width * 0.05), 255),
    "a black frame of 10%": lambda image: ImageOps.expand(image, int(image.width * 0.1)),
    **{f"turned by {degrees}°": turned(degrees) for degrees in (1, 2, 3)},
    "turned by 3°, all of it kept": turned(-3, expand=True),
    "equalised": ImageOps.equalize,
    "CLAHE": clahe,
    "cropped by 2% a side, turned by 2°, gamma .8": lambda image: curve(0.8)(cropped(*[0.02] * 4)(turned(2)(image))),
    "half the size, cropped by 3% a side, JPEG quality 40, darker": lambda image: saved(40)(
        cropped(*[0.03] * 4)(image.resize((image.width // 2, image.height // 2)))
    ).point(lambda level: int(0.8 * level)),
    "mirrored, cropped by 4% a side": lambda image: ImageOps.mirror(cropped(*[0.04] * 4)(image)),
}


def main(name: str, count: str = "120") -> None:
    dataset, index = read_dataset(name), read_index(name).drop_duplicates("sha1").sort_values("path")
    paths = index["path"].iloc[:: max(1, len(index) // int(count))].head(int(count))
    images = [Image.fromarray(read_grey(f"{dataset.root}/{path}")) for path in paths]
    own = found_among(images, images[:0])
    rows = []
    for change, make in CHANGES.items():
        pairs = found_among(images, [make(image) for image in images])
        right = {(place, place + len(images)) for place in range(len(images))}
        # Radiographs of the set that are copies of each other, and their changed copies, are no false finds.
        other = {tuple(sorted((first % len(images), second % len(images)))) for first, second in pairs - right} - own
        rows.append(
            {
                "date": datetime.date.today().isoformat(),
                "change": change,
                "n": len(images),
                "found": len(pairs & right),
                "other pairs": len(other),
                "command": f"python -m bench.copies {name} {count}",
            }
        )
        print(f"{rows[-1]['found']:4} of {len(images)}, {len(other)} other pairs: {change}", flush=True)
    with (RESULTS / "copies.csv").open("a", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        if not opened.tell():
            writer.writeheader()
        writer.writerows(rows)


def found_among(images: list[Image.Image], copies: list[Image.Image]) -> set[tuple[int, int]]:
    """Pairs of positions, images before copies, that the audit reports as copies."""
    measured = [measure(np.asarray(image)) for image in [*images, *copies]]
    sketches = np.stack([np.frombuffer(row["sketch"], np.uint8).reshape(SKETCH, SKETCH) for row in measured])
    pairs = near_pairs(sketches, np.array([row["aspect"] for row in measured]))
    return set(zip(pairs["first"], pairs["second"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
