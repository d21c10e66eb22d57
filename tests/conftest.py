"""What the tests share: a workspace of their own, a small MURA tree with a signal to learn, the real radiographs."""

import os
from pathlib import Path

# Before anything computes, and for what the tests start as well: threads that wait for each other in a loop take ten
# times as long where another process has their core, and what the tests compute is too small to gain from them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from PIL import Image

from core import paths

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real radiographs, weights and published predictions; tests that need it skip without it."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the folder of real test material (shared/) is not beside the repository")
    return folder


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    """An empty OVERREAD_HOME, and an empty place for checkpoints."""
    monkeypatch.setenv("OVERREAD_HOME", str(tmp_path / "workspace"))
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path / "checkpoints")
    return tmp_path / "workspace"


@pytest.fixture(scope="session")
def mura(tmp_path_factory) -> Path:
    """A tree in MURA's layout: 30 patients, two bones, two views a study; abnormal ones carry a bright square."""
    root = tmp_path_factory.mktemp("tree") / "MURA-v1.1"
    random = np.random.default_rng(0)
    for number in range(30):
        split = "train" if number < 22 else "valid"
        bone, abnormal = ("ELBOW", "WRIST")[number % 2], number % 4 < 2
        study = root / split / f"XR_{bone}" / f"patient{number:05}" / f"study1_{'positive' if abnormal else 'negative'}"
        for view in (1, 2):
            write_radiograph(study / f"image{view}.png", random, abnormal)
    return root


def write_radiograph(
    file: Path, random: np.random.Generator, abnormal: bool, width: int = 60, height: int = 80
) -> Path:
    """A grey PNG of grain; abnormal ones have a bright square."""
    grey = random.integers(20, 90, (height, width)).astype(np.uint8)
    if abnormal:
        grey[20:45, 15:40] = 230
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey).save(file)
    return file
