"""Every operation compared with another library's, and OpenCV compared with torch."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from scipy import stats
from torchvision.transforms.v2 import functional as peer

from core.data.augment import Augmentation, apply, draw_table, homographies
from core.data.augment import on_device as torch_operations
from core.data.augment.device_plan import send_plan
from core.data.augment.draws import CORNERS, in_pixels
from core.data.augment.on_cpu import apply_plan as on_cpu
from core.data.augment.on_cpu import noise, warped
from core.data.augment.plan import plan_from_draws
from tests.data.test_augment import one_draw

SIDE = 61


def on_device(pixels, plan):
    """The plan by torch's operations, on the device of the pixels."""
    return torch_operations.apply_plan(pixels, send_plan(plan, pixels.shape[-1], pixels.device))


def films(count=6, side=SIDE):
    """Smooth grey levels with edges and a black border, like a padded radiograph."""
    random = np.random.default_rng(1)
    made = np.zeros((count, side, side), np.uint8)
    for film in made:
        rough = random.integers(0, 255, (7, 7)).astype(np.uint8)
        film[:, 8:-8] = cv2.resize(rough, (side - 16, side), interpolation=cv2.INTER_CUBIC)
    return made


FILMS, IDS = films(), [f"film {number}" for number in range(6)]


def made(augmentation, pixels=FILMS, epoch=0):
    grey = apply(augmentation, torch.from_numpy(pixels), IDS[: len(pixels)], 0, epoch)[:, 0] * 255
    return grey.numpy(), draw_table(augmentation, IDS[: len(pixels)], 0, epoch)


def test_perspective_as_torchvision():
    augmentation = Augmentation(perspective=0.5)
    found, draws = made(augmentation)
    start = [[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]]
    for place, film in enumerate(FILMS):
        moved = draws[list(CORNERS)].to_numpy()[place].reshape(4, 2) * SIDE / 2
        whole = [[x + dx, y + dy] for (x, y), (dx, dy) in zip(start, moved)]
        # torchvision measures corners from the edge of the image.
        wanted = peer.perspective_image(torch.from_numpy(film)[None].float(), start, whole, fill=None)[0].numpy()
        assert np.abs(found[place] - wanted)[2:-2, 2:-2].max() <= 2


def test_perspective_moves_each_corner_to_its_drawn_place():
    draws = draw_table(Augmentation(perspective=0.6), IDS, 3, 0)
    for one, back in zip(draws[list(CORNERS)].to_numpy().reshape(-1, 4, 2), homographies(draws)):
        for corner, moved in zip(np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]), one):
            at = back @ [*(corner + moved), 1]
            assert at[:2] / at[2] == pytest.approx(corner, abs=1e-9)


def test_a_crop_equals_the_resized_window():
    augmentation = Augmentation(crop=1, crop_area=0.3, crop_aspect=0.5)
    found, draws = made(augmentation)
    for place, film in enumerate(FILMS):
        width, height, x, y = draws[["crop_width", "crop_height", "crop_x", "crop_y"]].to_numpy()[place]
        assert 0.29 <= width * height <= 1 and 0 <= x <= 1 - width and 0 <= y <= 1 - height
        box = (x * SIDE, y * SIDE, (x + width) * SIDE, (y + height) * SIDE)
        wanted = np.asarray(Image.fromarray(film).resize((SIDE, SIDE), Image.BILINEAR, box=box)).astype(float)
        assert np.abs(found[place] - wanted)[1:-1, 1:-1].max() <= 2


def test_rotation_and_scale_as_torchvision():
    augmentation = Augmentation(rotation=40, scale=0.3)
    found, draws = made(augmentation)
    for place, film in enumerate(FILMS):
        one = draws.iloc[place]
        wanted = peer.affine_image(
            torch.from_numpy(film)[None].float(),
            angle=-one["rotation"],
            translate=[0, 0],
            scale=one["scale"],
            shear=[0, 0],
            interpolation=peer.InterpolationMode.BILINEAR,
        )[0].numpy()
        assert np.abs(found[place] - wanted)[2:-2, 2:-2].max() <= 2


@pytest.mark.parametrize("side", [33, 61, 128])
def test_without_perspective_the_affine_map_gives_the_same_bytes(side):
    augmentation, pixels = Augmentation(rotation=180, scale=0.5, shear=20, crop=0.5), films(side=side)
    maps = in_pixels(homographies(draw_table(augmentation, IDS, 0, 0)), side)
    bilinear = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for film, homography in zip(pixels, maps):
        wanted = cv2.warpPerspective(film, homography, (side, side), flags=bilinear)
        assert np.array_equal(warped(film, homography), wanted)


def test_equalisation_equals_opencvs():
    found, _ = made(Augmentation(equalisation=1))
    assert np.array_equal(found.round(), [cv2.equalizeHist(film) for film in FILMS])


def test_clahe_equals_opencvs_at_the_drawn_limit():
    found, draws = made(Augmentation(clahe=1, clahe_limit=6))
    wanted = [cv2.createCLAHE(limit, (8, 8)).apply(film) for film, limit in zip(FILMS, draws["clahe"])]
    assert np.array_equal(found.round(), wanted) and draws["clahe"].between(1, 6).all()


def test_blur_as_torchvision():
    augmentation = Augmentation(blur=0.03)
    found, draws = made(augmentation)
    for place, film in enumerate(FILMS):
        sigma = draws["blur"].iloc[place] * SIDE
        wanted = peer.gaussian_blur_image(torch.from_numpy(film)[None].float(), [21, 21], [sigma, sigma])[0].numpy()
        assert np.abs(found[place] - wanted).max() <= 3 and np.abs(found[place] - wanted).mean() < 0.6


def test_sharpness_as_torchvision_and_pillow():
    found, draws = made(Augmentation(sharpness=1))
    for place, film in enumerate(FILMS):
        factor = draws["sharpness"].iloc[place]
        wanted = peer.adjust_sharpness_image(torch.from_numpy(film)[None], factor)[0].numpy()
        assert np.abs(found[place] - wanted).max() <= 1
        wanted = np.asarray(ImageEnhance.Sharpness(Image.fromarray(film)).enhance(factor)).astype(float)
        assert np.abs(found[place] - wanted).max() <= 2


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(rotation=30, scale=0.3, shear=10, translation=0.1, horizontal_flip=0.5),
        Augmentation(perspective=0.5, crop=0.7),
        Augmentation(horizontal_flip=0.5, vertical_flip=0.5),
        Augmentation(blur=0.05),
        Augmentation(sharpness=1),
        Augmentation(equalisation=0.5),
        Augmentation(clahe=0.7, clahe_limit=10),
        Augmentation(noise=0.2, erasing=0.7, erasing_area=0.3),
        Augmentation(inversion=0.5, gamma=1, contrast=0.5, brightness=0.2),
    ],
    ids=lambda augmentation: augmentation.to_text()[:30],
)
@pytest.mark.parametrize("side", [61, 64, 100])
def test_opencv_and_torch_agree_to_one_grey_level(augmentation, side):
    pixels = films(side=side)
    plan = plan_from_draws(augmentation, draw_table(augmentation, IDS, 0, 0), side)
    one, other = on_cpu(pixels, plan), on_device(torch.from_numpy(pixels), plan).numpy()
    steep = np.abs(np.diff(plan.tables, axis=1)).max() * 255 if augmentation.gamma else 1
    apart = np.abs(one - other) * 255
    # Interpolation may round to a neighbouring level; a few pixels are on black borders.
    assert np.quantile(apart, 0.995) <= 1.01 * max(steep, 1) and apart.mean() < 0.3


def test_an_image_of_one_level_survives_everything():
    flat = np.full((1, 40, 40), 90, np.uint8)
    for augmentation in (Augmentation(equalisation=1), Augmentation(clahe=1), Augmentation(sharpness=1, blur=0.02)):
        plan = plan_from_draws(augmentation, draw_table(augmentation, ["a"], 0, 0), 40)
        one, other = on_cpu(flat, plan), on_device(torch.from_numpy(flat), plan).numpy()
        assert np.isfinite(one).all() and np.abs(one - other).max() <= 1.01 / 255


def test_the_identity_keeps_pixel_centres():
    assert in_pixels(homographies(one_draw()), 17)[0] == pytest.approx(np.eye(3))


def test_noise_is_normal_and_equal_bit_for_bit_in_both():
    augmentation = Augmentation(noise=0.2, erasing=0.5)
    plan = plan_from_draws(augmentation, draw_table(augmentation, IDS, 0, 0), 61)
    assert np.array_equal(on_cpu(FILMS, plan), on_device(torch.from_numpy(FILMS), plan).numpy())
    one = noise(plan.keys[0], 255).ravel()
    assert stats.kstest(one, "norm").pvalue > 0.001
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.02 and abs(np.corrcoef(one[:-4], one[4:])[0, 1]) < 0.02
