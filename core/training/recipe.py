"""A recipe: every choice of a training run as a frozen value, and the settings that change it."""

import json
from dataclasses import asdict, dataclass, field, fields, replace

from core.data.augment import PRESETS, Augmentation, find_augmentation
from core.data.input_spec import InputSpec
from core.errors import OverreadError

_CHOICES = {
    "optimiser": ("adamw", "sgd"),
    "schedule": ("cosine", "plateau", "constant"),
    "loss": ("bce", "focal"),
    "precision": ("auto", "float32", "bfloat16"),
    "balance": ("none", "sampler", "weight"),
    "fit": ("pad", "crop", "stretch"),
}
_AT_LEAST = {
    "size": 16,
    "epochs": 1,
    "batch_size": 2,
    "accumulate": 1,
    "head_epochs": 0,
    "unfreeze_epochs": 0,
    "freeze_stages": 0,
    "patience": 0,
    "holdout_fold": 0,
    "seed": 0,
}


@dataclass(frozen=True)
class Recipe:
    """Every choice of a run.

    weights: '' (random), 'timm' (its pretrained ones) or a file (.safetensors, .pth, .pt, .pth.tar, .ckpt, .bin).
    size, fit: side of the square in pixels, and how a radiograph is fitted into it.
    head_epochs: so many first epochs train only the head.
    unfreeze_epochs: after those, one more stage learns each time so many epochs have passed, from the head down (Howard
        2018); 0 lets all stages learn at once.
    freeze_stages: so many first stages of the backbone never learn.
    backbone_rate: learning rate of the backbone divided by that of the head.
    layer_decay: learning rate of each stage divided by that of the next one.
    warmup_epochs: the learning rate rises linearly from 0 during these.
    schedule: 'cosine', 'constant', or 'plateau', which divides the rate by three after three epochs without a better
        tuning AUROC.
    accumulate: so many batches make one step.
    clip_norm: largest norm of a step's gradient; 0 sets no limit.
    ema: decay of the running mean of the weights, which is validated and saved instead of the last weights; 0 for none.
    loss: 'bce' (cross-entropy) or 'focal' (Lin 2017) with focal_gamma.
    patience: stop after so many epochs without a better one; 0 never stops.
    precision: 'auto' is bfloat16 where the GPU or processor has instructions for it, otherwise float32.
    balance: counted in studies. 'sampler' draws bones and labels equally often; 'weight' weighs the loss of each bone
        as in the MURA paper.
    holdout_fold: the fold of train that chooses the epoch.
    left_out: folds of train that are not used at all, so that the network can be tested on them.
    bones: train on these alone; empty for all.
    labels: a revision of the labels after review, NUMBER@HASH; '' for the original labels.
    compile: run the steps through torch.compile.
    batch_size: in radiographs, or in studies for a network that weighs the views of a study (attention:NAME).
    """

    name: str
    architecture: str
    model_kwargs: dict = field(default_factory=dict)
    weights: str = ""
    size: int = 64
    fit: str = "pad"
    augmentation: Augmentation = Augmentation()
    optimiser: str = "adamw"
    learning_rate: float = 1e-3
    backbone_rate: float = 1.0
    weight_decay: float = 0.01
    schedule: str = "cosine"
    warmup_epochs: float = 0.0
    layer_decay: float = 1.0
    clip_norm: float = 0.0
    accumulate: int = 1
    ema: float = 0.0
    loss: str = "bce"
    focal_gamma: float = 2.0
    patience: int = 0
    precision: str = "auto"
    compile: bool = False
    head_epochs: int = 0
    unfreeze_epochs: int = 0
    freeze_stages: int = 0
    epochs: int = 10
    batch_size: int = 32
    label_smoothing: float = 0.0
    balance: str = "none"
    holdout_fold: int = 0
    left_out: tuple = ()
    bones: tuple = ()
    labels: str = ""
    seed: int = 0

    def __post_init__(self):
        # JSON has lists.
        object.__setattr__(self, "left_out", tuple(self.left_out))
        object.__setattr__(self, "bones", tuple(self.bones))
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise OverreadError(
                    f"{name} is {getattr(self, name)!r}; expected one of {', '.join(choices)}.", code="setting-value"
                )
        for name, least in _AT_LEAST.items():
            if getattr(self, name) < least:
                raise OverreadError(f"{name} is {getattr(self, name)}; expected {least} or more.", code="setting-value")
        if self.seed > 2**31 or not self.learning_rate > 0 or not 0 <= self.label_smoothing < 1:
            raise OverreadError(
                "Expected seed up to 2**31, learning_rate above 0 and label_smoothing from 0 to below 1.",
                code="setting-value",
            )
        if not 0 < self.backbone_rate <= 1 or not self.weight_decay >= 0 or not 0 <= self.warmup_epochs <= self.epochs:
            raise OverreadError(
                "Expected backbone_rate above 0 to 1, weight_decay from 0, warmup_epochs from 0 to epochs.",
                code="setting-value",
            )
        whole = all(isinstance(fold, int) and not isinstance(fold, bool) and fold >= 0 for fold in self.left_out)
        if not whole or self.holdout_fold in self.left_out:
            raise OverreadError(
                f"left_out is {list(self.left_out)} and holdout_fold is {self.holdout_fold}; expected whole "
                "numbers from 0, and holdout_fold not in left_out.",
                code="folds-invalid",
            )
        if self.architecture.startswith("attention") and self.augmentation.mixes:
            raise OverreadError(
                f"{self.architecture} learns from studies and the augmentation mixes radiographs (mixup, cutmix); "
                "expected mixup 0 and cutmix 0.",
                code="mixing-unsupported",
            )
        if self.loss == "focal" and self.augmentation.mixes:
            # The focal loss of a mixed label is not the mixture of both losses, which MixUp and CutMix assume.
            raise OverreadError(
                "loss is 'focal' and the augmentation mixes labels; expected loss=bce, or no mixing.",
                code="mixing-unsupported",
            )
        if (
            not 0 < self.layer_decay <= 1
            or not 0 <= self.ema < 1
            or not self.clip_norm >= 0
            or not self.focal_gamma >= 0
        ):
            raise OverreadError(
                "Expected layer_decay above 0 to 1, ema from 0 to below 1, clip_norm and focal_gamma from 0.",
                code="setting-value",
            )

    def input_spec(self) -> InputSpec:
        """The input specification, with the mean and deviation of ImageNet in grey."""
        return InputSpec(self.size, self.fit, mean=0.449, std=0.226)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """The inverse of to_json. OverreadError lists unknown keys."""
        values = json.loads(text)
        unknown = set(values) - {known.name for known in fields(cls)}
        if unknown:
            raise OverreadError(
                f"The recipe has {', '.join(sorted(unknown))}; this version knows "
                f"{', '.join(known.name for known in fields(cls))}. Update Overread if a newer one wrote it, "
                "or train again.",
                code="recipe-unknown-keys",
            )
        return cls(**{**values, "augmentation": Augmentation.from_dict(values.get("augmentation", {}))})


def with_settings(recipe: Recipe, settings: list[str]) -> Recipe:
    """The recipe with `key=value` changes; `augmentation=strong` sets a preset, `augmentation.rotation=10` one value.

    OverreadError lists the valid keys, or says which kind of value was expected.
    """
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise OverreadError(f"--set {setting}: expected key=value.", code="setting-invalid")
        recipe = _changed(recipe, key.strip(), text.strip())
    return recipe


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


def _changed(recipe: Recipe, key: str, text: str) -> Recipe:
    if key == "augmentation" and text in PRESETS:
        return replace(recipe, augmentation=PRESETS[text])
    outer, _, inner = key.partition(".")
    if outer == "augmentation" and inner:
        value = _value(recipe.augmentation, inner, text, "augmentation.")
        return replace(recipe, augmentation=replace(recipe.augmentation, **{inner: value}))
    return replace(recipe, **{key: _value(recipe, key, text)})


def _value(of, key: str, text: str, before: str = ""):
    known = [known.name for known in fields(of)]
    if key not in known:
        raise OverreadError(
            f"--set {before}{key}: there is no such setting; the settings are {', '.join(known)}.",
            code="setting-unknown",
        )
    old = getattr(of, key)
    if isinstance(old, str):
        return text
    try:
        new = json.loads(text)
    except ValueError:
        new = None
    if isinstance(old, Augmentation):
        raise OverreadError(
            f"--set augmentation={text}: expected one of {', '.join(PRESETS)}, or augmentation.NAME=VALUE.",
            code="setting-value",
        )
    if isinstance(old, tuple):
        if not isinstance(new, list):
            raise OverreadError(
                f"--set {before}{key}={text}: expected a list, as in left_out=[3, 4].", code="setting-value"
            )
        return tuple(new)
    kinds = (dict, bool, int)  # bool first: it is an int as well
    wanted = next((kind for kind in kinds if isinstance(old, kind)), (int, float))
    if not isinstance(new, wanted) or isinstance(new, bool) != isinstance(old, bool):
        kind = {dict: "a JSON object", bool: "true or false", int: "a whole number"}.get(wanted, "a number")
        raise OverreadError(
            f"--set {before}{key}={text}: expected {kind}, as in {before}{key}={json.dumps(old)}.", code="setting-value"
        )
    return float(new) if isinstance(old, float) else new
