"""Time `core.data` and `core.audit` on an artificial archive: index, decoding, loading, copies.

Run: `python -m bench.data FOLDER [FILES [PART]]`. The archive of bench.archive (2.2 GB at 40,000 files) is made in
FOLDER unless it exists. PART is index, pixels, loading (which makes 2,000 files of 300 to 512 px) or copies. The peers
are the usual code without Overread: a walk with Pillow, a loop with Pillow, a DataLoader over the files, perceptual
hashes. Rows are appended to bench/results/data.csv.
"""

import hashlib
import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from bench.archive import write_archive
from bench.pairs import Case, keep, measure
from core.audit.duplicates import near_pairs
from core.data.augment import Augmentation, apply
from core.data.cache import pixel_cache
from core.data.index import build_index, read_dataset, read_earlier_index, read_index, write_dataset
from core.data.input_spec import InputSpec
from core.data.pixels import padded_box

COMMAND = "python -m bench.data"
PACKAGES = ("numpy", "pandas", "pillow", "torch", "torchvision")
SIDE, LOADED = 128, 2_000
SIDES = (128, 224, 320)  # of an epoch of loading
LIGHT = Augmentation(horizontal_flip=0.5, rotation=10)


def main(folder: str, files: str = "40000", part: str = "") -> None:
    root = (
        write_archive(Path(folder) / "loading", LOADED, (300, 512))
        if part == "loading"
        else write_archive(Path(folder), int(files))
    )
    with tempfile.TemporaryDirectory(dir=folder) as home:
        os.environ["OVERREAD_HOME"] = home
        write_dataset("all", build_index(root))
        parts = {"index": index_rows, "pixels": pixel_rows, "copies": copies_rows, "loading": loading_rows}
        for make in [parts[part]] if part else list(parts.values())[:3]:
            keep(make(root), "data.csv")


def index_rows(root: Path) -> list[dict]:
    """Time a first index, which also hashes every byte; an index after no change; and reading the stored one."""
    n = len(read_index("all"))

    def pillow():
        found = 0
        for file in root.rglob("*"):
            if file.suffix.lower() in (".png", ".jpg", ".jpeg"):
                try:
                    with Image.open(file) as image:
                        found += image.size[0] > 0
                except OSError:
                    continue
        return found

    def hashed():
        found = 0
        for file in root.rglob("*"):
            if file.suffix.lower() in (".png", ".jpg", ".jpeg"):
                data = file.read_bytes()
                hashlib.sha1(data).hexdigest()
                try:
                    with Image.open(io.BytesIO(data)) as image:
                        found += image.size[0] > 0
                except OSError:
                    continue
        return found

    def again():
        return len(build_index(root, earlier=read_earlier_index("all", root)).frame)

    # Half of the planted broken files have a valid header, and the peer reads only headers.
    close = lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=8)  # noqa: E731
    peer, same_work = "rglob and Pillow headers, nothing hashed", "rglob, Pillow headers and SHA-1, one thread"
    return [
        measure(case, COMMAND, PACKAGES, 3)
        for case in (
            Case("index, every byte hashed", n, same_work, lambda: len(build_index(root).frame), hashed, same=close),
            Case("index, every byte hashed", n, peer, lambda: len(build_index(root).frame), pillow, same=close),
            Case("index again, nothing changed", n, peer, again, pillow, same=close),
            Case("index kept, read again", n, peer, lambda: len(read_index("all")), pillow, same=close),
        )
    ]


def pixel_rows(root: Path) -> list[dict]:
    """Time decoding to squares with thumbnails, against Pillow."""
    dataset = read_dataset("all")
    index = read_index("all").iloc[:LOADED].reset_index(drop=True)
    paths = [str(root / path) for path in index["path"]]
    spec = InputSpec(SIDE)

    def decoded():
        shutil.rmtree(Path(os.environ["OVERREAD_HOME"]) / "cache", ignore_errors=True)
        cache = pixel_cache(dataset, index, spec)
        return np.asarray(cache.pixels[cache.rows_of(index["image_id"])])

    def loop():
        return np.stack([square(path) for path in paths])

    def same_pixels(ours, theirs):
        np.testing.assert_array_equal(ours, theirs)

    def loop_with_thumbnails():
        with tempfile.TemporaryDirectory() as folder:
            return np.stack([square(path, f"{folder}/{place}.jpg") for place, path in enumerate(paths)])

    return [
        measure(
            Case(f"decoding to {SIDE} px, with thumbnails", LOADED, peer, decoded, theirs, same=same_pixels),
            COMMAND,
            PACKAGES,
            5,
        )
        for peer, theirs in (
            ("a loop with Pillow, one thread, with thumbnails", loop_with_thumbnails),
            ("a loop with Pillow, one thread, without", loop),
        )
    ]


def loading_rows(root: Path) -> list[dict]:
    """Time an epoch of pure loading from the pixel cache, at each of SIDES, against a DataLoader."""
    return [row for side in SIDES for row in _loading_rows(root, side)]


def _loading_rows(root: Path, side: int) -> list[dict]:
    index = read_index("all").iloc[:LOADED].reset_index(drop=True)
    cache = pixel_cache(read_dataset("all"), index, InputSpec(side))
    places, ids = cache.rows_of(index["image_id"]), index["image_id"].to_numpy()

    def gathered():
        return sum(len(torch.from_numpy(cache.pixels[places[batch]])) for batch in batches())

    def augmented():
        return sum(
            len(apply(LIGHT, torch.from_numpy(cache.pixels[places[batch]]), ids[batch], 0, 0)) for batch in batches()
        )

    def through(loader):
        return lambda: sum(len(batch) for batch in loader)

    paths = [str(root / path) for path in index["path"]]
    peers = {
        f"DataLoader over the files, {what}, 2 workers": through(DataLoader(files, batch_size=64, num_workers=2))
        for what, files in (
            ("Pillow to RGB and torchvision v2", InColour(paths, side)),
            ("Pillow to grey letterboxed and torchvision v2", Files(paths, side)),
        )
    }
    return [
        measure(Case(f"an epoch of loading, {what}, {side} px", LOADED, peer, ours, theirs), COMMAND, PACKAGES, 5)
        for what, ours in (("flip and rotation", augmented), ("bytes only", gathered))
        for peer, theirs in list(peers.items())[: 2 if ours is augmented else 1]
    ]


def copies_rows(root: Path) -> list[dict]:
    """Time all pairs of the archive's sketches against all pairs of 64-bit perceptual hashes, both made before."""
    n = len(read_index("all"))
    random = np.random.default_rng(0)
    # The work does not depend on the content, so random shapes will do, a hundred of them copied.
    broad = random.integers(0, 256, (n, 8, 8)).astype(np.uint8).repeat(8, 1).repeat(8, 2)
    sketches = np.clip(broad.astype(int) + random.integers(-20, 20, broad.shape), 0, 255).astype(np.uint8)
    sketches[-100:] = sketches[:100]
    hashes = (broad[:, ::8, ::8].reshape(n, 64) > 127) @ (1 << np.arange(64, dtype=np.uint64))
    hashes = hashes.astype(np.uint64)
    hashes[-100:] = hashes[:100]

    def ours():
        return len(near_pairs(sketches, np.full(n, 0.8)))

    def theirs():
        found = 0
        for start in range(0, n, 1024):
            block = hashes[start : start + 1024]
            first, second = np.nonzero(np.bitwise_count(block[:, None] ^ hashes[None, start:]) <= 4)
            found += int((second > first).sum())
        return found

    def enough(mine, peers):
        assert mine == 100 and peers >= 100, (mine, peers)

    case = Case("near copies, all pairs", n, "64-bit hashes in numpy, all pairs", ours, theirs, same=enough)
    return [measure(case, COMMAND, PACKAGES, 3)]


def square(path: str, thumbnail: str = "", side: int = SIDE) -> np.ndarray:
    """Letterbox to a square with Pillow; write a thumbnail if a file is named."""
    with Image.open(path) as image:
        grey = image.convert("L")
        left, top, width, height = padded_box(*grey.size, side)
        out = Image.new("L", (side, side))
        out.paste(grey.resize((width, height), Image.Resampling.BILINEAR), (left, top))
        if thumbnail:
            grey.thumbnail((160, 160))
            grey.save(thumbnail, quality=82)
    return np.array(out)


def batches(size: int = 64) -> list[slice]:
    return [slice(start, start + size) for start in range(0, LOADED, size)]


class Files(torch.utils.data.Dataset):
    """The usual data set: each file is decoded and augmented separately."""

    def __init__(self, paths: list[str], side: int = SIDE):
        self.paths, self.side = paths, side
        self.change = v2.Compose(
            [v2.ToImage(), v2.RandomHorizontalFlip(), v2.RandomRotation(10), v2.ToDtype(torch.float32, scale=True)]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> torch.Tensor:
        return self.change(square(self.paths[place], side=self.side))


class InColour(Files):
    """The same as usual for ImageNet weights: three channels, stretched to a square, normalised."""

    def __init__(self, paths: list[str], side: int = SIDE):
        super().__init__(paths, side)
        self.change = v2.Compose(
            [
                v2.ToImage(),
                v2.Resize((side, side), antialias=True),
                v2.RandomHorizontalFlip(),
                v2.RandomRotation(10),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    def __getitem__(self, place: int) -> torch.Tensor:
        with Image.open(self.paths[place]) as image:
            return self.change(image.convert("RGB"))


if __name__ == "__main__":
    main(*sys.argv[1:])
