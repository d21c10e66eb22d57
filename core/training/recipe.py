"""A recipe: every choice of a training run as a frozen value, and the settings that change it."""

import json
from dataclasses import MISSING, asdict, dataclass, field, fields, replace

from core.data.augment import PRESETS, Augmentation
from core.data.input_spec import InputSpec
from core.errors import OverreadError, reason_of
from core.metrics.studies import AGGREGATIONS
from core.training.settings import check_settings, setting

# Poolings that are part of the network, by the prefix of its architecture; the others pool the views' logits.
LARGEST = 10**300  # whole numbers beyond are no float
NETWORK_POOLINGS = ("attention", "patch_attention")
POOLING_NAMES = ("", *(name for name in AGGREGATIONS if name != "attention"), *NETWORK_POOLINGS)


@dataclass(frozen=True)
class Recipe:
    """Every choice of a run. Each field says what it means and may be (`core.training.settings`)."""

    name: str
    architecture: str = setting(
        MISSING,
        "The network, by its name here or in timm; attention:NAME and patch_attention:NAME weigh the views of a study.",
        "Network",
    )
    model_kwargs: dict = setting(dict, "Arguments of the network, as a JSON object.", "Network")
    weights: str = setting(
        "",
        "Start weights: empty for random ones, 'timm' for its pretrained ones (downloaded), the name of a "
        "checkpoint, or a file (.safetensors, .pth, .pt, .pth.tar, .ckpt, .bin).",
        "Network",
    )
    size: int = setting(64, "Side of the square in pixels that a radiograph is fitted into.", "Radiographs", low=16)
    fit: str = setting(
        "pad",
        "How a radiograph is fitted: pad adds black, crop cuts the longer side, stretch distorts.",
        "Radiographs",
        choices=("pad", "crop", "stretch"),
    )
    augmentation: Augmentation = field(default=Augmentation())
    optimiser: str = setting("adamw", "The algorithm that updates the weights.", "Learning", choices=("adamw", "sgd"))
    learning_rate: float = setting(
        1e-3, "Learning rate of the head; backbone_rate sets that of the backbone.", "Learning", above=0
    )
    backbone_rate: float = setting(
        1.0, "Learning rate of the backbone divided by that of the head.", "Learning", above=0, high=1
    )
    weight_decay: float = setting(
        0.01, "Decay of the weights towards 0 in each step; biases are left out.", "Learning", low=0
    )
    schedule: str = setting(
        "cosine",
        "How the learning rate falls. 'plateau' divides it by three after three epochs without a better tuning AUROC.",
        "Learning",
        choices=("cosine", "plateau", "constant"),
    )
    warmup_epochs: float = setting(0.0, "The learning rate rises linearly from 0 during these.", "Learning", low=0)
    layer_decay: float = setting(
        1.0, "Learning rate of each stage divided by that of the next one.", "Learning", above=0, high=1
    )
    clip_norm: float = setting(0.0, "Largest norm of a step's gradient; 0 sets no limit.", "Learning", low=0)
    accumulate: int = setting(1, "Number of batches whose gradients make one step.", "Machine", low=1)
    ema: float = setting(
        0.0,
        "Decay of the running mean of the weights, which is saved instead of the last weights; 0 for none.",
        "Learning",
        low=0,
        below=1,
    )
    loss: str = setting("bce", "Cross-entropy, or focal loss (Lin 2017).", "Loss", choices=("bce", "focal"))
    pooling: str = setting(
        "",
        "Empty: each radiograph is a sample. Otherwise each study is one sample, with a loss on the score that this "
        "pooling computes from its views.",
        "Loss",
        choices=POOLING_NAMES,
    )
    label_level: str = setting(
        "study",
        "The label of a radiograph in training: that of its study, or with 'image' its own, where it has one.",
        "Loss",
        choices=("study", "image"),
    )
    radiograph_weights: str = setting(
        "",
        "Weights of radiographs in the loss, NAME@HASH, as label-audit stores them; 0 leaves one out.",
        "Loss",
    )
    focal_gamma: float = setting(
        2.0, "Weight of hard radiographs in the focal loss; 0 treats all alike.", "Loss", low=0
    )
    patience: int = setting(0, "Stop after this many epochs without a better one; 0 never stops.", "Length", low=0)
    precision: str = setting(
        "auto",
        "'auto' is bfloat16 where the GPU or processor has instructions for it, otherwise float32.",
        "Machine",
        choices=("auto", "float32", "bfloat16"),
    )
    compile: bool = setting(False, "Run the steps through torch.compile.", "Machine")
    head_epochs: int = setting(0, "Number of first epochs in which only the head is trained.", "Network", low=0)
    unfreeze_epochs: int = setting(
        0,
        "After the epochs of the head, one more stage is trained every so many epochs, from the head down "
        "(Howard 2018); 0 trains all stages at once.",
        "Network",
        low=0,
    )
    freeze_stages: int = setting(0, "Number of first stages of the backbone that are never trained.", "Network", low=0)
    epochs: int = setting(10, "Passes over the radiographs; the best one is kept.", "Length", low=1)
    batch_size: int = setting(32, "Radiographs in a batch, or studies where a study is one sample.", "Machine", low=2)
    label_smoothing: float = setting(0.0, "Share by which labels are moved towards 0.5.", "Loss", low=0, below=1)
    balance: str = setting(
        "none",
        "Counted in studies: 'sampler' draws bones and labels equally often; 'weight' weighs the loss of each bone as "
        "in the MURA paper.",
        "Loss",
        choices=("none", "sampler", "weight"),
    )
    prevalence: float = setting(
        0.0,
        "Abnormal studies of train are left out at random until this share of its studies is abnormal; 0 keeps all.",
        "Radiographs",
        low=0,
        below=1,
    )
    holdout_fold: int = setting(0, "The fold of train that chooses the epoch.", "Radiographs", low=0)
    left_out: tuple = setting((), "Folds of train that are not used at all, to test the network on.", "Radiographs")
    bones: tuple = setting((), "Train on these bones only; no choice means all bones.", "Radiographs")
    labels: str = setting(
        "", "A revision of the labels after review, NUMBER@HASH; empty for the originals.", "Radiographs"
    )
    seed: int = setting(0, "Start of the random numbers.", "Machine", low=0, high=2**31)

    def __post_init__(self):
        # JSON has lists.
        for name in ("left_out", "bones"):
            if isinstance(given := getattr(self, name), list):
                object.__setattr__(self, name, tuple(given))
        check_settings(self)
        self._settle_pooling()
        if self.warmup_epochs > self.epochs:
            raise OverreadError(
                f"warmup_epochs is {self.warmup_epochs:g} and epochs is {self.epochs}; expected warmup_epochs from 0 "
                "to epochs.",
                code="setting-value",
            )
        whole = all(isinstance(fold, int) and not isinstance(fold, bool) and fold >= 0 for fold in self.left_out)
        if not whole or self.holdout_fold in self.left_out:
            raise OverreadError(
                f"left_out is {list(self.left_out)} and holdout_fold is {self.holdout_fold}; expected whole "
                "numbers from 0, and holdout_fold not in left_out.",
                code="folds-invalid",
            )
        if self.learns_studies and self.augmentation.mixes:
            raise OverreadError(
                f"{self.pooling or self.architecture} learns from studies and the augmentation mixes radiographs "
                "(mixup, cutmix); expected mixup 0 and cutmix 0.",
                code="mixing-unsupported",
            )
        if self.learns_studies and self.label_level == "image":
            raise OverreadError(
                f"label_level is 'image', and with {self.pooling or self.architecture} a study is one sample, which "
                "has its study's label. Set label_level=study, or pooling to empty.",
                code="label-level-unfit",
            )
        if self.learns_studies and self.radiograph_weights:
            raise OverreadError(
                f"radiograph_weights is {self.radiograph_weights}, and with {self.pooling or self.architecture} a "
                "study is one sample. Set radiograph_weights or pooling to empty.",
                code="radiograph-weights-unfit",
            )
        if self.loss == "focal" and self.augmentation.mixes:
            # The focal loss of a mixed label is not the mixture of both losses, which MixUp and CutMix assume.
            raise OverreadError(
                "loss is 'focal' and the augmentation mixes labels; expected loss=bce, or no mixing.",
                code="mixing-unsupported",
            )

    def _settle_pooling(self) -> None:
        """Build a pooling that is part of the network into the architecture; OverreadError where two are named."""
        prefix = self.architecture.partition(":")[0]
        named = prefix if prefix in NETWORK_POOLINGS else ""
        if named and self.pooling not in ("", named):
            raise OverreadError(
                f"pooling is {self.pooling!r} and {self.architecture} pools the views itself. Name the network alone, "
                "or leave out pooling.",
                code="pooling-twice",
            )
        if self.pooling in NETWORK_POOLINGS and not named and self.architecture != "ensemble":
            object.__setattr__(self, "architecture", f"{self.pooling}:{self.architecture}")

    @property
    def learns_studies(self) -> bool:
        """Whether a study is one sample, instead of each radiograph."""
        return bool(self.pooling) or self.architecture.startswith(NETWORK_POOLINGS)

    @property
    def view_pooling(self) -> str:
        """The pooling of the views' logits; '' where the network pools views itself, or where none are pooled."""
        return "" if self.pooling in NETWORK_POOLINGS else self.pooling

    def input_spec(self) -> InputSpec:
        """The input specification, with the mean and deviation of ImageNet in grey."""
        return InputSpec(self.size, self.fit, mean=0.449, std=0.226)

    def to_json(self) -> str:
        """The text of `recipe.json`."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """The inverse of to_json. OverreadError lists unknown keys, or names what is missing or of another kind."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise OverreadError(
                f"The recipe is not JSON ({reason_of(error)}). Restore it, or train again.", code="recipe-not-json"
            ) from error
        if not isinstance(values, dict):
            raise OverreadError(
                f"The recipe is {type(values).__name__}; expected a JSON object. Restore it, or train again.",
                code="recipe-invalid",
            )
        unknown = set(values) - {known.name for known in fields(cls)}
        if unknown:
            raise OverreadError(
                f"The recipe has {', '.join(sorted(unknown))}; this version knows "
                f"{', '.join(known.name for known in fields(cls))}. Update Overread if a newer one wrote it, "
                "or train again.",
                code="recipe-unknown-keys",
            )
        if not {"name", "architecture"} <= set(values) or not isinstance(values["name"], str):
            raise OverreadError(
                f"The recipe has {', '.join(sorted(values)) or 'no keys'}; expected a name and an architecture, both "
                "texts. Restore it, or train again.",
                code="recipe-invalid",
            )
        return cls(**{**values, "augmentation": Augmentation.from_dict(values.get("augmentation", {}))})


def with_settings(recipe: Recipe, settings: list[str]) -> Recipe:
    """The recipe with `key=value` changes; `augmentation=strong` sets a preset, `augmentation.rotation=10` one value.

    OverreadError lists the valid keys, or says which kind of value was expected.
    """
    for change in settings:
        key, equals, text = change.partition("=")
        if not equals:
            raise OverreadError(f"--set {change}: expected key=value.", code="setting-invalid")
        recipe = _changed(recipe, key.strip(), text.strip())
    return recipe


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
    if isinstance(old, float) and isinstance(new, int) and not -LARGEST <= new <= LARGEST:
        new = None
    kinds = (dict, bool, int)  # bool first: it is an int as well
    wanted = next((kind for kind in kinds if isinstance(old, kind)), (int, float))
    if not isinstance(new, wanted) or isinstance(new, bool) != isinstance(old, bool):
        kind = {dict: "a JSON object", bool: "true or false", int: "a whole number"}.get(wanted, "a number")
        raise OverreadError(
            f"--set {before}{key}={text}: expected {kind}, as in {before}{key}={json.dumps(old)}.", code="setting-value"
        )
    return float(new) if isinstance(old, float) else new
