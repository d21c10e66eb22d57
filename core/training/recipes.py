"""The named recipes. The docstring of each says what it is, costs and reaches; `python -m core recipes` prints it."""

from dataclasses import replace

from core.data.augment import PRESETS, Augmentation, find_augmentation
from core.errors import OverreadError
from core.training.recipe import Recipe


def original_cnn_64() -> Recipe:
    """Network and image size of the original study. On FracAtlas with `--set balance=weight` an epoch takes 2.3 s on
    two cores, and 40 epochs reach a study AUROC of .791 (.747-.834) on valid. Without balancing, 15 epochs reach the
    same (`fast-cpu`)."""
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
    """The quickest: half a minute on two cores. It begins from the shipped `original-cnn-64`, which knows
    phantoms. Three seeds reach a study AUROC of .779 to .797 on the valid split of FracAtlas, like random weights, and
    .763 to .779 on 600 fresh phantom patients, where random weights reach .516 and .596. On
    the knees (two radiographs a study, 4 epochs from random weights, three seeds) it reaches .831 (.794-.867), and with
    `--set pooling=noisy_or --set batch_size=32`, a study as one sample, .012 more (.004-.020)."""
    return replace(original_cnn_64(), name="fast-cpu", epochs=15, weights="original-cnn-64")


def resnet_narrow_128() -> Recipe:
    """ResNet-10 with a third of its channels, and maximum pooling instead of the mean, since findings are small.

    On 2,000 phantom patients an epoch takes 37 s on two cores; study AUROC .858 on valid. One of the two demo models.
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
    """MobileNetV2 with ImageNet weights; all layers learn from the first step, without balancing. A weighted loss
    ranked lower (p = .010); training the head first, or the backbone more slowly, ranked no higher. On FracAtlas
    with `--set weights=FILE --folds 5` in bfloat16 the out-of-fold AUROC is .878 (.862-.895), n = 3,405. An epoch of
    2,460 radiographs takes 57 s on one core. `--set size=320` reached .912 (.879-.944) on valid, 128 px .889 (one
    seed each). On the knees 96 px reach .882 (.851-.911) and 128 px .884, which cannot be distinguished; 64 px reach
    .833 (three seeds), and 224 px .890 (one seed). With 800 instead of 1,440 studies, 96 px reach .833; the head
    alone reaches .765 (one seed). `--set pooling=noisy_or --set size=224 --set batch_size=16 --set epochs=8` reached
    .910 (.883-.938) there (one seed), .020 (-.000 to +.041) more than 224 px alone."""
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
    """The MURA paper (Rajpurkar 2017): DenseNet-169 at 320 px, horizontal flips and rotations, a loss weighted for each
    bone. Needs a GPU; its result has not been measured yet."""
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
    """ConvNeXt-Tiny at 320 px. Later stages learn faster than earlier ones, and the running mean of the weights is
    saved. Needs a GPU; its result has not been measured yet."""
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
DESCRIPTIONS = {make().name: " ".join(make.__doc__.split()) for make in _NAMED}
ORIGINAL_CNN_64 = RECIPES["original-cnn-64"]


def named_recipe(name: str) -> Recipe:
    """The recipe of this name. OverreadError lists the names."""
    if name not in RECIPES:
        raise OverreadError(f"There is no recipe {name!r}; choose one of {', '.join(RECIPES)}.", code="recipe-unknown")
    return RECIPES[name]


def with_augmentation(recipe: Recipe, wanted: str, settings: list[str]) -> Recipe:
    """The recipe with the augmentation of this name. OverreadError where settings change the augmentation again."""
    if not wanted:
        return recipe
    named = find_augmentation(wanted)
    touched = [setting for setting in settings if setting.partition("=")[0].strip().startswith("augmentation")]
    if touched and recipe.augmentation != named:
        raise OverreadError(
            f"--augmentation {wanted} is {named.hash()}, but --set {' '.join(touched)} changes it to "
            f"{recipe.augmentation.hash()}; leave one of them out.",
            code="augmentation-twice",
        )
    return replace(recipe, augmentation=named)
