"""MixUp and CutMix: a sample's partner depends on seed, epoch, image and the epoch's images, never on the batch."""

import numpy as np
import pytest
import torch

from core.data.augment import Augmentation, EpochImages, apply, mix, mix_table, mixed_targets

COUNT, SIDE = 40, 24
IDS = np.array([f"image {number}" for number in range(COUNT)], dtype=object)
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE)).astype(np.uint8)
BOTH = Augmentation(mixup=0.5, cutmix=0.5, rotation=20, noise=0.05)


def samples(augmentation, chosen, ids=IDS, pixels=PIXELS, epoch=4):
    """The mixed samples of the chosen images, as in training."""
    table = mix_table(augmentation, EpochImages.of(ids), ids[chosen], 3, epoch, SIDE)
    unit = apply(augmentation, torch.from_numpy(pixels[chosen]), ids[chosen], 3, epoch)
    return mix(augmentation, unit, table, lambda at: torch.from_numpy(pixels[at]), 3, epoch), table


def test_no_batch_changes_a_mixed_sample():
    whole, _ = samples(BOTH, np.arange(COUNT))
    for chosen in ([5], [39, 0, 5], list(range(10, 33))):
        assert torch.equal(samples(BOTH, np.array(chosen))[0], whole[chosen])


def test_the_order_of_the_epoch_images_changes_nothing():
    turned = np.arange(COUNT)[::-1]
    one, table = samples(BOTH, np.arange(COUNT))
    other, again = samples(BOTH, turned, IDS[turned], PIXELS[turned])
    assert torch.equal(other, one) and (table["partner"] == again["partner"]).all()
    for _, row in table[table["place"] >= 0].iterrows():
        assert IDS[row["place"]] == row["partner"]


def test_no_image_is_its_own_partner_and_partners_change_with_the_epoch():
    table = samples(Augmentation(mixup=1), np.arange(COUNT))[1]
    assert (table["partner"] != table.index).all() and (table["place"] >= 0).all()
    assert (samples(Augmentation(mixup=1), np.arange(COUNT), epoch=5)[1]["partner"] != table["partner"]).mean() > 0.8
    alone = mix_table(Augmentation(mixup=1), EpochImages.of(["a"]), ["a"], 0, 0, SIDE)
    assert alone["place"].item() == -1 and alone["share"].item() == 1


def test_mixup_is_the_weighted_sum():
    augmentation = Augmentation(mixup=1, mixup_alpha=1, horizontal_flip=0.5)
    found, table = samples(augmentation, np.arange(COUNT))
    own = apply(augmentation, torch.from_numpy(PIXELS), IDS, 3, 4)
    for place, (_, row) in enumerate(table.iterrows()):
        wanted = row["share"] * own[place] + (1 - row["share"]) * own[row["place"]]
        assert torch.allclose(found[place], wanted, atol=1e-6) and 0.5 <= row["share"] <= 1
    assert table["share"].mean() == pytest.approx(0.75, abs=0.08)


def test_cutmix_mixes_the_label_by_the_area_of_the_window():
    found, table = samples(Augmentation(cutmix=1), np.arange(COUNT))
    own = torch.from_numpy(PIXELS).float() / 255
    for place, (_, row) in enumerate(table.iterrows()):
        inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
        inside[row["top"] : row["bottom"], row["left"] : row["right"]] = True
        assert torch.equal(found[place, 0], torch.where(inside, own[row["place"]], own[place]))
        assert row["share"] == pytest.approx(1 - inside.float().mean().item())


def test_soft_targets_give_the_sum_of_the_two_losses():
    random = np.random.default_rng(2)
    labels, weights = random.integers(0, 2, COUNT).astype(np.float32), random.random(COUNT).astype(np.float32) + 0.1
    chosen = np.arange(5, 30)
    table = samples(BOTH, chosen)[1]
    target, weight = mixed_targets(table, chosen, labels, weights)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    logits = torch.from_numpy(random.normal(size=len(chosen)).astype(np.float32))
    found = loss(logits, torch.from_numpy(target), torch.from_numpy(weight), reduction="none")

    def of(places):
        return loss(
            logits, torch.from_numpy(labels[places]), torch.from_numpy(weights[places]), reduction="none"
        ).numpy()

    share = table["share"].to_numpy()
    partner = np.where(table["place"] < 0, chosen, table["place"])
    assert found.numpy() == pytest.approx(share * of(chosen) + (1 - share) * of(partner), abs=1e-6)
    alone = table["place"].to_numpy() < 0
    assert (target[alone] == labels[chosen][alone]).all() and alone.any() and not alone.all()
