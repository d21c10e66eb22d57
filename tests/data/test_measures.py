import numpy as np
import pytest

from core.data.measures import MEASURES, SKETCH, measure

RNG = np.random.default_rng(0)


def limb(height=300, width=240) -> np.ndarray:
    """A smooth bright band on black, with a little grain."""
    across = np.abs(np.arange(width) - width / 2) / width
    film = 20 + np.tile(160 * np.clip(1.2 - 4 * across, 0, 1), (height, 1)) + RNG.normal(0, 4, (height, width))
    return np.clip(film, 0, 255).astype(np.uint8)


def test_every_measure_is_named_and_finite():
    found = measure(limb())
    assert set(found) == {*MEASURES, "sketch"} and len(found["sketch"]) == SKETCH**2
    assert all(np.isfinite(found[name]) for name in MEASURES)
    assert found["aspect"] == 0.8 and found["films"] == 1 and found["blank"] == 0 and found["noise"] < 0.1


def test_percentiles_are_of_the_grey_levels():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    found = measure(ramp)
    assert (found["p1"], found["p50"], found["p99"]) == pytest.approx((2.55, 127.5, 252.45), abs=0.6)


def test_a_frame_of_one_level_is_measured():
    framed = np.full((400, 320), 17, np.uint8)
    framed[50:350, 40:280] = limb()
    assert measure(framed)["border"] == pytest.approx(1 - 300 * 240 / (400 * 320), abs=0.08)
    assert measure(limb())["border"] < 0.05


def test_metal_marks_and_films():
    plain = measure(limb())
    plate, letter = limb(), limb()
    plate[100:200, 110:130] = 255
    letter[20:44, 10:26] = 250
    assert plain["metal"] == 0 and measure(plate)["metal"] == pytest.approx(100 * 20 / (300 * 240), rel=0.2)
    assert measure(letter)["marks"] == plain["marks"] + 1
    two = np.zeros((300, 520), np.uint8)
    two[:, :240], two[:, 280:] = limb(), limb()
    assert measure(two)["films"] == 2 and measure(two.T)["films"] == 2


def test_a_wire_over_the_bone_is_a_thin_bright_line_at_any_exposure():
    plain, wired = limb(), limb()
    wired[:, 150:153] = 240
    assert measure(wired)["lines"] > measure(plain)["lines"] + 50
    dark = (wired // 4).astype(np.uint8)
    assert measure(dark)["lines"] == pytest.approx(measure(wired)["lines"], abs=12)
    assert measure(40 + RNG.integers(0, 3, (200, 200)).astype(np.uint8))["lines"] == 0


def test_blank_and_static_images_are_recognised():
    assert measure(np.full((100, 100), 40, np.uint8))["blank"] == 1
    static = measure(RNG.integers(0, 256, (200, 200)).astype(np.uint8))
    assert static["noise"] > 0.9 and static["blank"] == 0


@pytest.mark.parametrize("shape", [(1, 20_000), (20_000, 1), (1, 1), (3, 2)])
def test_extreme_shapes_are_measured(shape):
    assert all(np.isfinite(measure(RNG.integers(0, 256, shape).astype(np.uint8))[name]) for name in MEASURES)


def test_the_sketch_hardly_changes_with_size():
    film = limb(600, 480)
    small = film.reshape(300, 2, 240, 2).mean((1, 3)).astype(np.uint8)
    one, two = (np.frombuffer(measure(one)["sketch"], np.uint8).astype(int) for one in (film, small))
    assert np.abs(one - two).max() <= 3
