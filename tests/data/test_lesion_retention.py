"""Kept share of abnormalities, compared with the augmented image of the mask itself."""

import json

import numpy as np
import pytest
import torch

from core.data.abnormality_masks import AbnormalityMasks
from core.data.augment import Augmentation, apply, draw_table
from core.data.index import Dataset, build_index, read_dataset, write_dataset
from core.data.input_spec import InputSpec
from core.data.lesion_retention import (
    augmentation_warnings,
    known_masks,
    retention_facts,
    retention_sentence,
    retention_table,
)
from core.phantom import write_phantoms
from tests.conftest import write_radiograph
from tests.refusals import refused

SIDE = 128


def square(left, top, width, height=None):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top : top + (height or width), left : left + width] = True
    return mask


MASKS = {"middle": square(54, 54, 20), "corner": square(2, 4, 16), "edge": square(100, 20, 27, 60)}


def brute(augmentation, epoch):
    """Share kept, from images: area of the augmented mask over its area in a frame that cuts nothing off."""
    found = []
    for name, mask in MASKS.items():
        drawn = draw_table(augmentation, [name], 5, epoch).iloc[0]
        # A frame three times as wide contains the whole mask; the image is its middle part.
        bright = torch.from_numpy((mask * 255).astype(np.uint8))[None]
        seen = apply(augmentation, bright, [name], 5, epoch)[0, 0].sum().item()
        grown = drawn["scale"] ** 2 / (drawn["crop_width"] * drawn["crop_height"])
        found.append(seen / (mask.sum() * grown))
    return np.array(found)


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(rotation=40, translation=0.3, scale=0.5, horizontal_flip=0.5, vertical_flip=0.5),
        Augmentation(crop=0.8, crop_area=0.1, crop_aspect=0.5),
        Augmentation(erasing=0.9, erasing_area=0.4),
        Augmentation(shear=20, translation=0.4, crop=0.5, crop_area=0.2, erasing=0.5, erasing_area=0.2),
    ],
    ids=["affine", "crop", "erasing", "together"],
)
def test_the_share_kept_equals_that_of_the_augmented_mask(augmentation):
    table = retention_table(augmentation, MASKS, 5, 30)
    for epoch, rows in table.groupby("epoch"):
        assert rows["kept"].to_numpy() == pytest.approx(brute(augmentation, epoch), abs=0.06)
    assert 0 < (table["kept"] == 0).mean() < 0.9 and (table["kept"] == 1).any()


def test_grey_levels_and_flips_lose_nothing():
    table = retention_table(Augmentation(gamma=1, noise=0.1, horizontal_flip=0.5), MASKS, 0, 10)
    assert (table["kept"] == 1).all() and len(table) == 30
    facts = retention_facts(table)
    assert facts["kept"] == 1 and facts["lost"] == 0 and facts["worst"] == [] and facts["radiographs"] == 3


def test_shifts_out_of_the_frame_lose_everything():
    table = retention_table(Augmentation(translation=0.5), {"corner": square(0, 0, 3)}, 0, 400)
    facts = retention_facts(table)
    # Half of all shifts go left, half go up; either removes the corner.
    assert facts["lost"] == pytest.approx(0.75, abs=0.07) and facts["worst"][0]["image_id"] == "corner"
    assert "loses it entirely in 7" in retention_sentence(facts)


def test_without_masks_nothing_can_be_counted():
    facts = retention_facts(retention_table(Augmentation(), {}, 0, 3))
    assert facts["radiographs"] == 0 and np.isnan(facts["kept"]) and "cannot be counted" in retention_sentence(facts)


def test_flips_warn_about_sides_and_markers():
    assert "left becomes right" in augmentation_warnings(Augmentation(horizontal_flip=0.5))[0]
    assert "upside down" in augmentation_warnings(Augmentation(vertical_flip=0.1))[0]
    assert augmentation_warnings(Augmentation(rotation=20, crop=1)) == []


def test_masks_come_from_coco_and_from_phantoms(tmp_path, workspace):
    for number in range(6):
        write_radiograph(tmp_path / "set" / f"{number}.png", np.random.default_rng(number), number % 2 == 0)
    (tmp_path / "set" / "labels.csv").write_text(
        "path,label,bone\n" + "".join(f"{number}.png,{(number + 1) % 2},wrist\n" for number in range(6))
    )
    boxes = [{"image_id": n, "segmentation": [[15, 20, 40, 20, 40, 45, 15, 45]]} for n in (0, 2)]
    images = [{"id": n, "width": 60, "height": 80, "file_name": f"{n}.png"} for n in range(6)]
    (tmp_path / "set" / "masks.json").write_text(json.dumps({"images": images, "annotations": boxes}))
    real = write_dataset("real", build_index(tmp_path / "set"))
    masks = known_masks(real, InputSpec(80))
    # 26 x 26 of 60 x 80 pixels, letterboxed to 80.
    assert len(masks) == 2 and all(mask[20:45, 25:50].all() and mask.sum() <= 27 * 27 for mask in masks.values())
    assert len(known_masks(real, InputSpec(80), most=1)) == 1
    with refused("split-empty", "split tune"):
        known_masks(real, InputSpec(80), "tune")
    write_phantoms(tmp_path / "phantoms", 12, 5, processes=1)
    demo = write_dataset("demo", build_index(tmp_path / "phantoms" / "MURA-v1.1"))
    masks = known_masks(demo, InputSpec(64))
    assert (
        masks and set(masks) == set(AbnormalityMasks.of(demo).image_ids()) and isinstance(read_dataset("demo"), Dataset)
    )


def test_retention_of_fractures_with_published_masks(shared, workspace):
    real = write_dataset("real", build_index(shared / "data" / "radiographs"))
    masks = known_masks(real, InputSpec(128), most=60)
    assert len(masks) == 60
    light = retention_facts(retention_table(Augmentation(rotation=10, scale=0.08), masks, 0, 8))
    harsh = retention_facts(retention_table(Augmentation(crop=1, crop_area=0.1), masks, 0, 8))
    assert light["kept"] > 0.98 and harsh["kept"] < light["kept"] and harsh["lost"] > light["lost"]
