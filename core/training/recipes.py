"""The named recipes; what each is, costs and has reached is its docstring, which `python -m core recipes` prints."""

from dataclasses import replace

from core.data.augment import PRESETS, Augmentation
from core.errors import OverreadError
from core.training.recipe import Recipe


def original_cnn_64() -> Recipe:
    """The original study's network and size. On FracAtlas with `--set balance=weight`: 2.3 s an epoch on two cores,
    valid study AUROC .791 (.747-.834) after 40 epochs; without balancing the same after 15 (`fast-cpu`)."""
    return Recipe(
        name="original-cnn-64",
        architecture="small_cnn",
        size=64,
        augmentation=Augmentation(horizontal_flip=0.5),
        learning_rate=1e-3,
        epochs=40,
        batch_size=64,
    )


def fast_cpu() -> Recipe:
    """An answer in half a minute on two cores: 2.0 s an epoch on FracAtlas, valid study AUROC .791 (.750-.833)."""
    return replace(original_cnn_64(), name="fast-cpu", epochs=15)


def resnet_narrow_128() -> Recipe:
    """A third of ResNet-10's channels, and the strongest place of the image instead of their mean: findings are small.

    On 2,000 phantom patients 37 s an epoch on two cores, valid study AUROC .872; it is one of the two that ship.
    """
    return Recipe(
        name="resnet-narrow-128",
        architecture="resnet10t",
        model_kwargs={"channels": [24, 48, 96, 192], "stem_type": "", "stem_width": 64, "global_pool": "max"},
        size=128,
        augmentation=PRESETS["light"],
        learning_rate=3e-3,
        weight_decay=0.02,
        warmup_epochs=1.5,
        epochs=14,
        batch_size=32,
    )


def transfer_mobilenet() -> Recipe:
    """ImageNet's MobileNetV2, all of it from the first step, unbalanced: a weighted loss ranked lower (p = .010), the
    head first and a slower backbone no higher. On FracAtlas with `--set weights=FILE --folds 5`, in bfloat16:
    out-of-fold AUROC .878 (.862-.895), n = 3,405; 57 s an epoch of 2,460 radiographs on one core."""
    return Recipe(
        name="transfer-mobilenet",
        architecture="mobilenetv2_100",
        model_kwargs={"pad_type": "same"},
        weights="timm",
        size=128,
        augmentation=PRESETS["light"],
        learning_rate=1e-3,
        weight_decay=0.05,
        warmup_epochs=0.5,
        epochs=6,
        batch_size=32,
        label_smoothing=0.05,
    )


def mura_paper() -> Recipe:
    """Rajpurkar 2017: DenseNet-169 at 320 px, lateral flips and rotations, the loss weighted per bone. For a GPU; not
    run here yet."""
    return Recipe(
        name="mura-paper",
        architecture="densenet169",
        weights="timm",
        size=320,
        augmentation=PRESETS["mura_paper"],
        learning_rate=1e-4,
        weight_decay=0.0,
        epochs=12,
        batch_size=8,
        balance="weight",
    )


def strong_320() -> Recipe:
    """ConvNeXt-Tiny at 320 px, the deeper stages faster than the first, the mean of the weights kept. For a GPU; not
    run here yet, so nothing is claimed of it."""
    return Recipe(
        name="strong-320",
        architecture="convnext_tiny",
        weights="timm",
        size=320,
        augmentation=PRESETS["strong"],
        learning_rate=3e-4,
        layer_decay=0.8,
        weight_decay=0.05,
        warmup_epochs=1,
        head_epochs=1,
        epochs=20,
        batch_size=32,
        label_smoothing=0.05,
        clip_norm=1.0,
        ema=0.999,
        balance="weight",
        patience=6,
    )


_NAMED = (original_cnn_64, fast_cpu, resnet_narrow_128, transfer_mobilenet, mura_paper, strong_320)
RECIPES = {make().name: make() for make in _NAMED}
# What each is, costs and has reached.
ABOUT = {make().name: " ".join(make.__doc__.split()) for make in _NAMED}
ORIGINAL_CNN_64 = RECIPES["original-cnn-64"]


def named_recipe(name: str) -> Recipe:
    """The recipe of that name. OverreadError lists them."""
    if name not in RECIPES:
        raise OverreadError(f"There is no recipe {name!r}; choose one of {', '.join(RECIPES)}.")
    return RECIPES[name]
