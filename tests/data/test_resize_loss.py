"""Loss by resizing: less with more pixels, none at full size, and less for coarse images than for fine ones."""

import numpy as np
import pytest
from scipy import ndimage

from core.data.resize_loss import resize_loss_summary, resize_loss_table, structural_similarity

RANDOM = np.random.default_rng(0)


def grain(height: int, width: int, sigma: float) -> np.ndarray:
    rough = ndimage.gaussian_filter(RANDOM.normal(0, 1, (height, width)), sigma)
    return np.clip(128 + 50 * rough / rough.std(), 0, 255).astype(np.uint8)


def test_more_pixels_keep_more_and_full_size_keeps_everything():
    table = resize_loss_table(grain(300, 200, 2), (16, 32, 64, 128, 300))
    assert (np.diff(table["edges"]) > 0).all() and (np.diff(table["ssim"]) > 0).all()
    assert table["edges"].iloc[-1] == pytest.approx(1) and table["ssim"].iloc[-1] == pytest.approx(1)
    assert table["finest"].tolist() == pytest.approx([300 / 16, 300 / 32, 300 / 64, 300 / 128, 1])


@pytest.mark.parametrize("side", [7, 64, 201])
def test_the_structural_similarity_is_scikit_image_s(side):
    from skimage.metrics import structural_similarity as theirs

    one = grain(side, side, 3)
    other = np.clip(one + RANDOM.normal(0, 20, one.shape), 0, 255).astype(np.uint8)
    assert structural_similarity(one, other) == pytest.approx(theirs(one, other, data_range=255), abs=1e-6)


def test_a_coarse_image_loses_less_than_a_fine_one():
    broad, fine = (resize_loss_table(grain(256, 256, sigma), (32,)).iloc[0] for sigma in (16, 2))
    assert broad["edges"] > 0.9 > 0.3 > fine["edges"] and broad["ssim"] > fine["ssim"]


def test_detail_within_the_resolution_is_kept():
    # 8 stripes fit into 64 px and not into 8.
    stripes = np.tile(np.where(np.arange(512) // 32 % 2, 200, 50).astype(np.uint8), (512, 1))
    table = resize_loss_table(stripes, (8, 64)).set_index("size")
    assert table.loc[8, "edges"] < 0.05 and table.loc[64, "edges"] > 0.15


@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (5000, 40)])
def test_any_shape_has_a_table(shape):
    table = resize_loss_table(RANDOM.integers(0, 256, shape).astype(np.uint8))
    assert table[["edges", "ssim"]].notna().all(axis=None)


def test_the_summary_has_medians():
    tables = [resize_loss_table(grain(100, 80, sigma), (32,)) for sigma in (1, 3, 9)]
    summary = resize_loss_summary(tables)
    assert summary["n"].item() == 3 and summary["edges"].item() == sorted(table["edges"].item() for table in tables)[1]
