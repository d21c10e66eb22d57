"""Copies are found, and nothing else: synthetic pictures, and the kinds of copies that archives contain."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from scipy import fft, ndimage

from core.audit.alignment import InitialPlacement, align
from core.audit.duplicates import CHANGES, COARSE, FINE, REST, groups_of, near_pairs
from core.audit.sketches import area_means, remove_frames
from core.data.measures import SKETCH, measure


def film(seed: int, height: int = 240, width: int = 200) -> np.ndarray:
    """A distinct picture with coarse shapes, some edges and grain."""
    random = np.random.default_rng(seed)
    broad = ndimage.gaussian_filter(random.normal(0, 1, (height, width)), 12)
    fine = ndimage.gaussian_filter(random.normal(0, 1, (height, width)), 3)
    levels = 110 + 60 * broad / broad.std() + 15 * fine / fine.std() + random.normal(0, 2, (height, width))
    return np.clip(levels, 0, 255).astype(np.uint8)


def saved_as_jpeg(grey: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def marked(grey: np.ndarray) -> np.ndarray:
    """The picture with a white label in a corner."""
    labelled = grey.copy()
    labelled[8:24, 8:32] = 255
    return labelled


def cropped(left: float, right: float, top: float, bottom: float):
    """A function that crops these shares of the sides."""

    def crop(grey: np.ndarray) -> np.ndarray:
        height, width = grey.shape
        return grey[
            round(top * height) : round((1 - bottom) * height), round(left * width) : round((1 - right) * width)
        ]

    return crop


def rotated(grey: np.ndarray, degrees: float) -> np.ndarray:
    return np.asarray(Image.fromarray(grey).rotate(degrees, Image.Resampling.BILINEAR))


COPIES = {
    "jpeg": lambda grey: saved_as_jpeg(grey, 50),
    "half": lambda grey: np.asarray(Image.fromarray(grey).resize((100, 120))),
    "double": lambda grey: np.asarray(Image.fromarray(grey).resize((400, 480))),
    "mirrored": lambda grey: np.asarray(ImageOps.mirror(Image.fromarray(grey))),
    "upside down": lambda grey: grey[::-1, ::-1],
    "on its side": lambda grey: np.rot90(grey),
    "negative": lambda grey: 255 - grey,
    "marker": lambda grey: marked(grey),
    "tone curve": lambda grey: (255 * (grey / 255) ** 0.6).astype(np.uint8),
    "darker": lambda grey: (grey * 0.7).astype(np.uint8),
    "gamma": lambda grey: (255 * (grey / 255) ** 1.3).astype(np.uint8),
    "noise": lambda grey: np.clip(grey + np.random.default_rng(1).normal(0, 6, grey.shape), 0, 255).astype(np.uint8),
}


MOVED = {
    "1% cropped a side": cropped(0.01, 0.01, 0.01, 0.01),
    "2% cropped a side": cropped(0.02, 0.02, 0.02, 0.02),
    "5% cropped a side": cropped(0.05, 0.05, 0.05, 0.05),
    "8% cropped a side": cropped(0.08, 0.08, 0.08, 0.08),
    "5% cropped on the left": cropped(0.05, 0, 0, 0),
    "5% cropped below": cropped(0, 0, 0, 0.05),
    "turned by a degree": lambda grey: rotated(grey, 1),
    "turned by two degrees": lambda grey: rotated(grey, -2),
    "a black frame": lambda grey: np.pad(grey, 12),
    "a white frame": lambda grey: np.pad(grey, 12, constant_values=255),
    "equalised": lambda grey: np.asarray(ImageOps.equalize(Image.fromarray(grey))),
    "3% cropped a side, turned, darker": lambda grey: (cropped(0.03, 0.03, 0.03, 0.03)(rotated(grey, 2)) * 0.8).astype(
        "u1"
    ),
}


def pairs_among(pictures: list[np.ndarray]):
    sketches = np.stack([np.frombuffer(measure(grey)["sketch"], np.uint8) for grey in pictures])
    aspects = np.array([grey.shape[1] / grey.shape[0] for grey in pictures])
    return near_pairs(sketches.reshape(-1, SKETCH, SKETCH), aspects)


@pytest.mark.parametrize("name", COPIES)
def test_each_kind_of_copy_is_found_and_nothing_else(name):
    originals = [film(seed) for seed in range(40)]
    found = pairs_among([*originals, *(COPIES[name](grey) for grey in originals[:10])])
    assert set(zip(found["first"], found["second"])) == {(number, 40 + number) for number in range(10)}
    assert set(found["change"]) == {name if name in CHANGES else "unchanged"}
    assert (found["likeness"] >= FINE).all()


def test_pictures_of_another_shape_and_blank_pictures_match_nothing():
    wide = np.asarray(Image.fromarray(film(0)).resize((240, 200)))
    assert pairs_among([film(0), wide]).empty
    assert pairs_among([np.full((50, 50), level, np.uint8) for level in (0, 0, 128, 255)]).empty


def unit(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / np.linalg.norm(values - values.mean())


def means(picture: np.ndarray, side: int) -> np.ndarray:
    part = SKETCH // side
    return picture.reshape(side, part, side, part).mean((1, 3))


def fine(picture: np.ndarray) -> np.ndarray:
    return unit((picture - ndimage.gaussian_filter(picture, 3, mode="nearest")).ravel())


def coarse(picture: np.ndarray) -> np.ndarray:
    waves = fft.dctn(picture, norm="ortho")
    order = np.hypot(*np.indices(waves.shape))
    waves = (waves * np.sqrt(order))[(order >= 1) & (order < 8)]
    return waves / np.linalg.norm(waves)


def rest(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two pictures without the 6% of the pixels that differ most."""
    apart = np.abs(one - other)
    kept = apart <= np.sort(apart)[-1 - round(0.06 * len(apart))]
    return float(unit(one[kept]) @ unit(other[kept]))


def evened(picture: np.ndarray) -> np.ndarray:
    return 255 * (picture / 255) ** (np.log(0.4) / np.log(np.clip(picture.mean() / 255, 0.02, 0.98)))


def copies(one: np.ndarray, other: np.ndarray, aspect: float, aspect_of_other: float) -> bool:
    """Whether two sketches are copies without alignment, computed directly from the definition."""
    close = abs(np.log(aspect / aspect_of_other)) <= 0.03
    for spaces, turns in (
        ((evened, np.asarray), [np.asarray, np.fliplr, lambda picture: picture[::-1, ::-1]]),
        ((np.asarray,), [lambda picture: 255 - picture]),
        ((evened, np.asarray), [np.rot90, lambda picture: np.rot90(picture, -1)]),
    ):
        if not (abs(np.log(aspect * aspect_of_other)) <= 0.03 if np.rot90 in turns else close):
            continue
        for turn in turns:
            broad, detail = (
                [(space(means(one, side)), turn(space(means(other, side)))) for space in spaces] for side in (16, 32)
            )
            if coarse(broad[0][0]) @ coarse(broad[0][1]) < COARSE:
                continue
            if max(fine(a) @ fine(b) for a, b in detail) >= FINE or rest(*(fine(each) for each in detail[0])) >= REST:
                return True
    return False


def copies_by_definition(sketches: np.ndarray, aspects: np.ndarray) -> set[tuple[int, int]]:
    pictures = sketches.astype(np.float64)
    usable = [number for number, picture in enumerate(pictures) if picture.std() > 3]
    return {
        (first, second)
        for first in usable
        for second in usable
        if first < second and copies(pictures[first], pictures[second], aspects[first], aspects[second])
    }


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.floats(0, 60))
def test_blocks_find_what_one_pair_at_a_time_finds(seed, count, apart):
    random = np.random.default_rng(seed)
    base = random.integers(0, 256, (3, SKETCH // 2, SKETCH // 2)).repeat(2, axis=1).repeat(2, axis=2)
    noise = random.normal(0, apart, (count, SKETCH, SKETCH))
    own = random.integers(0, 3, count)
    sketches = np.clip(base[own] + noise, 0, 255).astype(np.uint8)
    turned = random.integers(0, 5, count)
    for number, change in enumerate(list(CHANGES.values())[:5]):
        mine = turned == number
        sketches[mine] = 255 - sketches[mine] if change.negative else change.turn(sketches[mine])
    aspects = random.choice([0.8, 0.81, 1.25, 1.6], count)
    found = near_pairs(sketches, aspects)
    pairs = set(zip(found["first"], found["second"]))
    # All copies by the definition are found; pairs found besides, after alignment, come from one picture.
    assert copies_by_definition(sketches, aspects) <= pairs and all(
        own[first] == own[second] for first, second in pairs
    )
    # The other pictures of the set change nothing.
    alone = [
        (first, second)
        for first in range(count)
        for second in range(first + 1, count)
        if len(near_pairs(sketches[[first, second]], aspects[[first, second]]))
    ]
    assert pairs == set(alone)


@pytest.mark.parametrize("name", MOVED)
def test_crops_frames_turns_and_equalised_copies_are_found_and_nothing_else(name):
    originals = [film(seed) for seed in range(40)]
    found = pairs_among([*originals, *(MOVED[name](grey) for grey in originals[:10])])
    assert set(zip(found["first"], found["second"])) == {(number, 40 + number) for number in range(10)}


def test_two_films_in_the_same_white_frame_are_no_copies():
    faint = [ndimage.gaussian_filter(film(seed), 2) // 6 for seed in range(12)]
    assert pairs_among([np.pad(grey, 12, constant_values=255) for grey in faint]).empty


def test_a_crop_is_aligned_with_its_original():
    grey = film(3, 512, 512)
    part = grey[40:490, 30:480]
    sketches = [
        np.asarray(Image.fromarray(each).resize((SKETCH, SKETCH), Image.Resampling.BOX)) for each in (part, grey)
    ]
    first, second = (sketch[None].astype(np.float32) for sketch in sketches)
    one, whole = np.ones(1), np.array([[-0.5, -0.5, 0.5, 0.5]])
    likeness, moved = align(first, second, one, one, InitialPlacement(one.astype(complex), np.zeros(1, complex), whole))
    # How far the corners of the whole are outside of the part, in heights of the part.
    left, below = 30 / 450, (512 - 490) / 450
    above, right = 40 / 450, (512 - 480) / 450
    farthest = max(np.hypot(x, y) for x in (left, right) for y in (above, below))
    assert likeness[0] > 0.99 and moved[0] == pytest.approx(farthest, abs=0.005)


def test_a_frame_of_one_level_is_removed_and_the_shape_changes_accordingly():
    inside = np.asarray(Image.fromarray(film(5)).resize((48, 56)))
    framed = np.full((SKETCH, SKETCH), 9, np.uint8)
    framed[4:60, 8:56] = inside
    found = remove_frames(np.stack([framed, np.asarray(Image.fromarray(film(5)).resize((SKETCH, SKETCH)))]))
    assert found.framed.tolist() == [True, False]
    # One cell beside the frame is removed too, on each side.
    assert found.shape.tolist() == [46 / 54, 1.0]
    assert (found.filled[0, 5:59, 9:55] == framed[5:59, 9:55]).all() and np.ptp(found.filled[0, :5]) == 0


def test_a_window_gives_area_means():
    sketches = np.random.default_rng(0).integers(0, 256, (3, SKETCH, SKETCH)).astype(np.uint8)
    fine_cells = sketches.repeat(5, axis=1).repeat(5, axis=2)[:, 16:-16, 32:].astype(float)
    assert area_means(sketches, 16, (0.1, 0, 0.05, 0.05)) == pytest.approx(
        fine_cells.reshape(3, 16, 18, 16, 18).mean((2, 4)), rel=1e-4
    )


def test_blocks_compare_each_pair_once(monkeypatch):
    monkeypatch.setattr("core.audit.duplicates._BLOCK", 7)
    originals = [film(seed) for seed in range(20)]
    found = pairs_among([*originals, *originals])
    assert sorted(zip(found["first"], found["second"])) == [(number, 20 + number) for number in range(20)]


def test_rows_linked_through_others_share_a_group():
    links = near_pairs(np.zeros((3, SKETCH, SKETCH), np.uint8), np.ones(3)).reindex(range(2))
    links["first"], links["second"] = [0, 1], [1, 4]
    group = groups_of(5, links)
    assert group[0] == group[1] == group[4] and len(set(group)) == 3
