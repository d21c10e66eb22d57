"""The crop for display removes black and white borders, and never tissue, letters or findings."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from core.data.film_box import WHOLE, FilmBox, film_box
from core.data.pixels import read_grey
from core.phantom import write_phantoms

KNEES = Path(__file__).parents[3] / "shared" / "data" / "radiographs" / "knees"


def limb(height: int, width: int, box: tuple[int, int, int, int], level: int, seed: int = 0) -> np.ndarray:
    """An ellipse of soft tissue on black with noise; box: its left, top, right and bottom in pixels."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    left, top, right, bottom = box
    inside = ((columns - (left + right) / 2) / ((right - left) / 2)) ** 2 + (
        (rows - (top + bottom) / 2) / ((bottom - top) / 2)
    ) ** 2 <= 1
    noise = np.random.default_rng(seed).integers(0, 5, (height, width))
    return (np.where(inside, level, 1) + noise).astype(np.uint8)


def holds(found: FilmBox, left: float, top: float, right: float, bottom: float) -> bool:
    return found.left <= left and found.top <= top and found.right >= right and found.bottom >= bottom


@settings(max_examples=60, deadline=None)
@given(some.data())
def test_faint_soft_tissue_anywhere_is_never_cut(data):
    height, width = data.draw(some.integers(80, 700)), data.draw(some.integers(80, 700))
    left, top = data.draw(some.integers(0, width - 40)), data.draw(some.integers(0, height - 40))
    right, bottom = data.draw(some.integers(left + 40, width)), data.draw(some.integers(top + 40, height))
    grey = limb(height, width, (left, top, right, bottom), data.draw(some.integers(18, 250)), height)
    framed = np.pad(grey, data.draw(some.integers(0, 60)), constant_values=data.draw(some.sampled_from([0, 255])))
    rim = (len(framed) - height) // 2
    tall, wide = framed.shape
    assert holds(film_box(framed), (left + rim) / wide, (top + rim) / tall, (right + rim) / wide, (bottom + rim) / tall)


def test_borders_are_removed_on_each_side_and_inside_each_other():
    grey = limb(300, 200, (0, 0, 200, 300), 120)
    black = np.pad(grey, ((50, 100), (30, 20)))
    found = film_box(np.pad(black, 25, constant_values=255))
    expected = (55 / 300, 75 / 500, 255 / 300, 375 / 500)
    assert found == pytest.approx(expected, abs=0.03)


def test_letters_outside_the_field_stay():
    grey = np.zeros((400, 400), np.uint8)
    grey[100:300, 100:300] = 90
    grey[350:370, 380:392] = 255
    assert holds(film_box(grey), 100 / 400, 100 / 400, 392 / 400, 370 / 400)


def test_overexposed_tissue_at_the_edge_is_no_white_border():
    grey = limb(300, 300, (-60, -60, 360, 360), 100)
    grey[:60] = 255
    grey[60:90, :180] = 255
    assert film_box(grey).top == 0


@pytest.mark.parametrize("level", [0, 120, 255])
def test_a_film_with_nothing_on_it_is_whole(level):
    assert film_box(np.full((120, 90), level, np.uint8)) == WHOLE


def test_findings_of_phantoms_stay_and_black_is_cropped(tmp_path):
    write_phantoms(tmp_path, 40, 5)
    truth = pd.read_parquet(tmp_path / "MURA-v1.1" / "truth.parquet")
    areas = []
    for row in truth.itertuples():
        found = film_box(read_grey(tmp_path / "MURA-v1.1" / row.image_id))
        areas.append((found.right - found.left) * (found.bottom - found.top))
        if row.visible:
            assert holds(found, row.x0 / row.width, row.y0 / row.height, row.x1 / row.width, row.y1 / row.height)
    assert min(areas) < 0.85 and max(areas) == 1


@pytest.mark.skipif(not KNEES.exists(), reason="the public knee radiographs are not here")
def test_knees_lose_no_bright_pixel():
    for file in sorted((KNEES / "images").glob("*.jpg"))[:300]:
        grey = read_grey(file)
        found, (height, width) = film_box(grey), grey.shape
        kept = grey[round(found.top * height) : round(found.bottom * height)]
        kept = kept[:, round(found.left * width) : round(found.right * width)]
        assert (kept > 40).sum() == (grey > 40).sum()
