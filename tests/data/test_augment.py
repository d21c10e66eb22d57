import numpy as np
import pytest
import torch

from core.data.augment import LIMITS, PRESETS, Augmentation, apply, draw_table, homographies
from tests.refusals import refused

IDS = [f"image{n}" for n in range(200)]
PIXELS = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (200, 24, 24)).astype(np.uint8))
STRONG = PRESETS["strong"]


@pytest.mark.parametrize("name", PRESETS)
def test_an_image_gets_the_same_pixels_in_any_batch(name):
    whole = apply(PRESETS[name], PIXELS, IDS, seed=3, epoch=2)
    for part in ([5], [199, 0, 5], list(range(60, 90))):
        assert torch.equal(apply(PRESETS[name], PIXELS[part], [IDS[n] for n in part], 3, 2), whole[part])


def test_an_old_seed_gives_the_same_draws():
    # Values of November 2026. If they change, every stored recipe trains on other pixels.
    drawn = draw_table(STRONG, ["patient/1.png"], seed=4, epoch=2)
    assert drawn["key"].tolist() == [-284198879482921766] and not drawn["horizontal_flip"].any()
    kept = {"rotation": -14.043735318007572, "scale": 1.0606164722207656, "contrast": 1.1953409716583923}
    assert drawn[list(kept)].iloc[0].to_dict() == kept
    everywhere = Augmentation(rotation=20, perspective=0.3, crop=1, shear=5, translation=0.1)
    found = homographies(draw_table(everywhere, ["patient/1.png"], seed=4, epoch=2))[0]
    assert found == pytest.approx(
        np.array(
            [
                [1.1370636682088622, 0.22307210563335536, 0.1760624433723315],
                [-0.26175394396701723, 1.0484699932011317, -0.16505005555646773],
                [0.041474320649116644, -0.09075661574761923, 1.0],
            ]
        ),
        abs=1e-14,
    )


def test_epoch_seed_and_image_each_change_the_draw():
    base = draw_table(STRONG, IDS, 0, 0)["rotation"].to_numpy()
    for other in (
        draw_table(STRONG, IDS, 1, 0),
        draw_table(STRONG, IDS, 0, 1),
        draw_table(STRONG, [i + "x" for i in IDS], 0, 0),
    ):
        assert abs(np.corrcoef(base, other["rotation"])[0, 1]) < 0.25


def test_draws_fill_their_ranges_and_are_uncorrelated():
    ids = [str(n) for n in range(4000)]
    draws = draw_table(STRONG, ids, 0, 0)
    assert abs(draws["rotation"].mean()) < 1 and draws["rotation"].abs().max() <= 25
    assert draws["rotation"].std() == pytest.approx(25 / 3**0.5, rel=0.05)
    assert draws["horizontal_flip"].mean() == pytest.approx(0.5, abs=0.03)
    assert draws["gamma"].min() >= 1 / 1.3 and draws["gamma"].max() <= 1.3
    assert (
        np.abs(
            np.corrcoef(draws[["rotation", "translation_x", "translation_y", "scale", "shear", "contrast"]].T)
            - np.eye(6)
        ).max()
        < 0.06
    )


def test_none_changes_nothing():
    assert torch.equal(apply(Augmentation(), PIXELS, IDS, 0, 0)[:, 0], PIXELS.float() / 255)


def test_a_certain_flip_is_exact():
    assert torch.equal(apply(Augmentation(horizontal_flip=1), PIXELS, IDS, 0, 0)[:, 0], PIXELS.flip(2).float() / 255)
    assert torch.equal(apply(Augmentation(vertical_flip=1), PIXELS, IDS, 0, 0)[:, 0], PIXELS.flip(1).float() / 255)


def one_draw(**values):
    """A draw by hand: the given values, and no change otherwise."""
    draws = draw_table(Augmentation(), ["a"], 0, 0)
    for name, value in values.items():
        draws[name] = value
    return draws


def test_a_quarter_turn_is_counter_clockwise():
    # The top centre (0, -1) of the result comes from the right edge (1, 0) of the source.
    at_top = homographies(one_draw(rotation=90.0))[0] @ [0, -1, 1]
    assert at_top == pytest.approx([1, 0, 1], abs=1e-9)


def test_a_translation_moves_the_image_by_a_fraction_of_its_side():
    # The middle moves right by a quarter of the side: (.5, 0) of the result comes from (0, 0) of the source.
    assert homographies(one_draw(translation_x=0.25))[0] @ [0.5, 0, 1] == pytest.approx([0, 0, 1])


def test_scale_two_enlarges():
    assert homographies(one_draw(scale=2.0))[0] @ [1, 1, 1] == pytest.approx([0.5, 0.5, 1])


def test_noise_has_the_drawn_spread_and_differs_between_pixels_and_images():
    grey = torch.full((50, 40, 40), 128, dtype=torch.uint8)
    ids = [str(n) for n in range(50)]
    augmentation = Augmentation(noise=0.1)
    noise = apply(augmentation, grey, ids, 0, 0)[:, 0] - 128 / 255
    wanted = draw_table(augmentation, ids, 0, 0)["noise"].to_numpy()
    assert noise.std(dim=(1, 2)).numpy() == pytest.approx(wanted, rel=0.1, abs=1e-3)
    flat = noise.flatten(1).numpy()
    assert np.abs(np.corrcoef(flat) - np.eye(50)).max() < 0.15


def test_erasing_blanks_a_square_of_the_drawn_size():
    grey = torch.full((200, 40, 40), 255, dtype=torch.uint8)
    augmentation = Augmentation(erasing=0.5, erasing_area=0.25)
    found = (apply(augmentation, grey, IDS, 0, 0) == 0).float().mean(dim=(1, 2, 3)).numpy()
    drawn = draw_table(augmentation, IDS, 0, 0)["erasing_side"].to_numpy() ** 2
    assert found == pytest.approx(drawn, abs=0.04) and 0.4 < (drawn > 0).mean() < 0.6


def test_inversion_and_gamma_by_hand():
    grey = torch.full((1, 4, 4), 51, dtype=torch.uint8)
    assert apply(Augmentation(inversion=1), grey, ["a"], 0, 0).unique().item() == pytest.approx(0.8)
    drawn = draw_table(Augmentation(gamma=1), ["a"], 0, 0)["gamma"].item()
    assert apply(Augmentation(gamma=1), grey, ["a"], 0, 0).unique().item() == pytest.approx(0.2**drawn, rel=1e-5)


@pytest.mark.parametrize("name", PRESETS)
def test_json_round_trip_is_exact_and_the_hash_follows(name):
    augmentation = PRESETS[name]
    assert Augmentation.from_json(augmentation.to_json()) == augmentation
    assert (augmentation.hash() == Augmentation().hash()) == (name == "none")


def test_bad_values_are_named():
    for name, (_, high) in LIMITS.items():
        with refused("augmentation-out-of-range", f"{name} is"):
            Augmentation(**{name: high + 1})
    with refused("augmentation-field-unknown", "'spin'"):
        Augmentation.from_json('{"spin": 1}')
    with refused("augmentation-not-json"):
        Augmentation.from_json("{")
