"""Copies are found and nothing else: made pictures that differ, and copies of them as archives make them."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from scipy import ndimage

from core.audit.duplicates import COARSE, FINE, REST, WAYS, groups_of, near_pairs
from core.data.measures import SKETCH, measure


def film(seed: int, height: int = 240, width: int = 200) -> np.ndarray:
    """A picture of its own: broad shapes, some edges, and grain."""
    random = np.random.default_rng(seed)
    broad = ndimage.gaussian_filter(random.normal(0, 1, (height, width)), 12)
    fine = ndimage.gaussian_filter(random.normal(0, 1, (height, width)), 3)
    levels = 110 + 60 * broad / broad.std() + 15 * fine / fine.std() + random.normal(0, 2, (height, width))
    return np.clip(levels, 0, 255).astype(np.uint8)


def saved_again(grey: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def marked(grey: np.ndarray) -> np.ndarray:
    """With a white label in a corner."""
    labelled = grey.copy()
    labelled[8:24, 8:32] = 255
    return labelled


COPIES = {
    "jpeg": lambda grey: saved_again(grey, 50),
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


def pairs_among(pictures: list[np.ndarray]):
    sketches = np.stack([np.frombuffer(measure(grey)["sketch"], np.uint8) for grey in pictures])
    aspects = np.array([grey.shape[1] / grey.shape[0] for grey in pictures])
    return near_pairs(sketches.reshape(-1, SKETCH, SKETCH), aspects)


@pytest.mark.parametrize("name", COPIES)
def test_each_kind_of_copy_is_found_and_nothing_else(name):
    originals = [film(seed) for seed in range(40)]
    found = pairs_among([*originals, *(COPIES[name](grey) for grey in originals[:10])])
    assert set(zip(found["first"], found["second"])) == {(number, 40 + number) for number in range(10)}
    assert set(found["way"]) == {name if name in WAYS else "as it is"}
    assert (found["likeness"] >= FINE).all()


def test_another_shape_is_no_copy_and_blank_pictures_match_nothing():
    wide = np.asarray(Image.fromarray(film(0)).resize((240, 200)))
    assert pairs_among([film(0), wide]).empty
    assert pairs_among([np.full((50, 50), level, np.uint8) for level in (0, 0, 128, 255)]).empty


def unit(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / np.linalg.norm(values - values.mean())


def fine(picture: np.ndarray) -> np.ndarray:
    return unit((picture - ndimage.gaussian_filter(picture, 3, mode="nearest")).ravel())


def coarse(picture: np.ndarray) -> np.ndarray:
    return unit(picture.reshape(16, 2, 16, 2).mean((1, 3)).ravel())


def rest(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of what is left of two pictures without the 6% that differ most."""
    apart = np.abs(one - other)
    kept = apart <= np.sort(apart)[-1 - round(0.06 * len(apart))]
    return float(unit(one[kept]) @ unit(other[kept]))


def evened(picture: np.ndarray) -> np.ndarray:
    return 255 * (picture / 255) ** (np.log(0.4) / np.log(np.clip(picture.mean() / 255, 0.02, 0.98)))


def copies(one: np.ndarray, other: np.ndarray, aspect: float, aspect_of_other: float) -> bool:
    """The definition, for one pair of sketches, with numpy's own sums."""
    close = abs(np.log(aspect / aspect_of_other)) <= 0.03
    for spaces, turns in (
        ((evened, np.asarray), [np.asarray, np.fliplr, lambda picture: picture[::-1, ::-1]]),
        ((np.asarray,), [lambda picture: 255 - picture]),
        ((evened, np.asarray), [np.rot90, lambda picture: np.rot90(picture, -1)]),
    ):
        if not (abs(np.log(aspect * aspect_of_other)) <= 0.03 if np.rot90 in turns else close):
            continue
        for turn in turns:
            pairs = [(space(one), turn(space(other))) for space in spaces]
            if coarse(pairs[0][0]) @ coarse(pairs[0][1]) < COARSE:
                continue
            if max(fine(a) @ fine(b) for a, b in pairs) >= FINE or rest(*(fine(each) for each in pairs[0])) >= REST:
                return True
    return False


def naive(sketches: np.ndarray, aspects: np.ndarray) -> set[tuple[int, int]]:
    pictures = sketches.astype(np.float64)
    seen = [number for number, picture in enumerate(pictures) if picture.std() > 3]
    return {
        (first, second)
        for first in seen
        for second in seen
        if first < second and copies(pictures[first], pictures[second], aspects[first], aspects[second])
    }


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 14), st.floats(0, 60))
def test_blocks_find_what_one_pair_at_a_time_finds(seed, count, apart):
    random = np.random.default_rng(seed)
    base = random.integers(0, 256, (3, SKETCH, SKETCH))
    noise = random.normal(0, apart, (count, SKETCH, SKETCH))
    sketches = np.clip(base[random.integers(0, 3, count)] + noise, 0, 255).astype(np.uint8)
    turned = random.integers(0, 5, count)
    for number, way in enumerate(WAYS.values()):
        mine = turned == number
        sketches[mine] = 255 - sketches[mine] if way.negative else way.turn(sketches[mine])
    aspects = random.choice([0.8, 0.81, 1.25, 1.6], count)
    found = near_pairs(sketches, aspects)
    assert set(zip(found["first"], found["second"])) == naive(sketches, aspects)


def test_blocks_meet_each_pair_once(monkeypatch):
    monkeypatch.setattr("core.audit.duplicates._BLOCK", 7)
    originals = [film(seed) for seed in range(20)]
    found = pairs_among([*originals, *originals])
    assert sorted(zip(found["first"], found["second"])) == [(number, 20 + number) for number in range(20)]


def test_groups_join_through_others():
    links = near_pairs(np.zeros((3, SKETCH, SKETCH), np.uint8), np.ones(3)).reindex(range(2))
    links["first"], links["second"] = [0, 1], [1, 4]
    group = groups_of(5, links)
    assert group[0] == group[1] == group[4] and len(set(group)) == 3
