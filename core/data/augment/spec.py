"""The Augmentation: a frozen value with a JSON form, a short text for an address, and a hash."""

import hashlib
import json
import re
from dataclasses import dataclass, fields, replace

from core.errors import OverreadError, reason_of


@dataclass(frozen=True)
class Augmentation:
    """Random changes of radiographs in training. The default values change nothing.

    horizontal_flip, vertical_flip, inversion, erasing, crop, equalisation, clahe, mixup, cutmix: probability, 0..1.
    rotation, shear: largest angle in degrees, in either direction. translation: largest shift, as a fraction of the
    side. scale: factor from 1 - scale to 1 + scale. brightness: largest change, as a fraction of the grey range.
    contrast: factor from 1 - contrast to 1 + contrast about mid grey. gamma: exponent from 1 / (1 + gamma) to
    1 + gamma. noise: largest standard deviation, as a fraction of the grey range. erasing_area: largest area of the
    blanked square, as a fraction of the image. perspective: largest inward shift of each corner, as a fraction of half
    the side. crop_area: least fraction of the image that a crop keeps; crop_aspect: width over height from
    1 / (1 + crop_aspect) to 1 + crop_aspect. clahe_limit: clip limit from 1 to this value, over 8 x 8 tiles. blur:
    largest standard deviation, as a fraction of the side. sharpness: from 1 - sharpness (smoothed) to 1 + sharpness
    (sharpened). mixup_alpha: the share is Beta(alpha, alpha). If both are drawn, MixUp is used and CutMix is not.
    """

    horizontal_flip: float = 0.0
    vertical_flip: float = 0.0
    rotation: float = 0.0
    translation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    noise: float = 0.0
    inversion: float = 0.0
    erasing: float = 0.0
    erasing_area: float = 0.1
    perspective: float = 0.0
    crop: float = 0.0
    crop_area: float = 0.5
    crop_aspect: float = 0.33
    equalisation: float = 0.0
    clahe: float = 0.0
    clahe_limit: float = 3.0
    blur: float = 0.0
    sharpness: float = 0.0
    mixup: float = 0.0
    mixup_alpha: float = 0.2
    cutmix: float = 0.0

    def __post_init__(self):
        for field in fields(self):
            low, high = LIMITS[field.name]
            value = getattr(self, field.name)
            # Python accepts a bool as an int, but `true` as a probability is a mistake.
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not low <= value <= high:
                raise OverreadError(
                    f"Augmentation {field.name} is {_short(value)}; expected a number from {low:g} to {high:g}.",
                    code="augmentation-out-of-range",
                )

    @property
    def mixes(self) -> bool:
        """Whether a sample may get part of another radiograph and of its label."""
        return bool(self.mixup or self.cutmix)

    @property
    def without_mixing(self) -> "Augmentation":
        """This augmentation without MixUp and CutMix, for a single radiograph."""
        return replace(self, mixup=0.0, cutmix=0.0)

    def to_dict(self) -> dict[str, float]:
        """The fields that differ from their default."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }

    def to_json(self) -> str:
        """JSON with a `version`, for a file; fields at their default are omitted."""
        return json.dumps({"version": VERSION, **self.to_dict()}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Augmentation":
        """The inverse of to_json. Missing keys have their default; a missing version is the current one.

        OverreadError names the key, the value and what was expected, in a sentence of limited length.
        """
        if len(text) > MOST_CHARACTERS:
            raise OverreadError(
                f"The augmentation has {len(text):,} characters; expected JSON of at most {MOST_CHARACTERS:,}.",
                code="augmentation-too-long",
            )
        try:
            values = json.loads(text, object_pairs_hook=_once)
        except OverreadError:
            raise
        except (ValueError, RecursionError) as error:
            raise OverreadError(
                f'The augmentation is not JSON ({reason_of(error)}); expected an object such as {{"rotation": 10}}.',
                code="augmentation-not-json",
            ) from error
        return cls.from_dict(values)

    @classmethod
    def from_dict(cls, values: dict) -> "Augmentation":
        """From the object in a recipe or a file, with or without `version` and `hash`.

        OverreadError names a field that is unknown or altered, or another version.
        """
        known = [field.name for field in fields(cls)]
        if not isinstance(values, dict):
            raise OverreadError(
                f'The augmentation is {_short(values)}; expected an object such as {{"rotation": 10}}.',
                code="augmentation-not-json",
            )
        values = dict(values)
        version, stated_hash = values.pop("version", VERSION), values.pop("hash", None)
        if type(version) is not int or version != VERSION:
            raise OverreadError(
                f"Augmentation version is {_short(version)}; expected {VERSION}.", code="augmentation-version"
            )
        unknown = sorted(set(values) - set(known))
        if unknown:
            named = ", ".join(f"{key[:40]!r} ({_short(values[key])})" for key in unknown[:3])
            more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            raise OverreadError(
                f"The augmentation has the unknown {named}{more}; expected only {', '.join(known)}.",
                code="augmentation-field-unknown",
            )
        found = cls(**values)
        if stated_hash is not None and stated_hash != found.hash():
            raise OverreadError(
                f"The augmentation states the hash {_short(stated_hash)}, but its values have {found.hash()}: it was "
                "altered. Restore it, or remove the line with the hash if the change is intended.",
                code="augmentation-altered",
            )
        return found

    def to_text(self) -> str:
        """One line for an address, such as `rotation:10,scale:0.08`; `none` if all fields are at their default."""
        return ",".join(f"{name}:{value!r}".removesuffix(".0") for name, value in self.to_dict().items()) or "none"

    @classmethod
    def from_text(cls, text: str) -> "Augmentation":
        """The exact inverse of to_text. OverreadError names the invalid part."""
        text = text.strip()
        if len(text) > MOST_CHARACTERS:
            raise OverreadError(
                f"The augmentation has {len(text):,} characters; expected at most {MOST_CHARACTERS:,}.",
                code="augmentation-too-long",
            )
        pairs = []
        for part in text.split(",") if text not in ("", "none") else ():
            found = re.fullmatch(r"\s*(\w+)\s*:\s*(\S+)\s*", part)
            try:
                name, value = found.groups()
                pairs.append((name, float(value)))
            except (AttributeError, ValueError):
                raise OverreadError(
                    f"The augmentation contains {_short(part)}; expected NAME:NUMBER, such as rotation:10,scale:0.08.",
                    code="augmentation-text-invalid",
                ) from None
        return cls.from_dict(_once(pairs))

    def hash(self) -> str:
        """Eight hexadecimal digits of the SHA-256 of the original fields, and of later fields that are set.

        A new field therefore does not change the hash of an augmentation that does not use it.
        """
        values = {name: getattr(self, name) for name in _FIRST} | self.to_dict()
        return hashlib.sha256(json.dumps({key: float(value) for key, value in values.items()}).encode()).hexdigest()[:8]


def difference(one: Augmentation, other: Augmentation) -> list[tuple[str, float, float]]:
    """The fields that differ, each with both values."""
    pairs = [(field.name, getattr(one, field.name), getattr(other, field.name)) for field in fields(Augmentation)]
    return [(name, mine, theirs) for name, mine, theirs in pairs if mine != theirs]


def _once(pairs: list[tuple]) -> dict:
    """The pairs as a dict. OverreadError if a name occurs twice."""
    found: dict = {}
    for name, value in pairs:
        if name in found:
            both = f"{_short(found[name])} and {_short(value)}"
            raise OverreadError(
                f"The augmentation has {name[:40]} twice ({both}); expected it once.",
                code="augmentation-field-repeated",
            )
        found[name] = value
    return found


def _short(value) -> str:
    """A value for a message, at most one line long."""
    try:
        shown = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or very deep nesting
        shown = f"a {type(value).__name__} too large to show"
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


VERSION = 1
MOST_CHARACTERS = 100_000
LIMITS = {
    "horizontal_flip": (0, 1),
    "vertical_flip": (0, 1),
    "rotation": (0, 180),
    "translation": (0, 0.5),
    "scale": (0, 0.9),
    "shear": (0, 45),
    "brightness": (0, 1),
    "contrast": (0, 1),
    "gamma": (0, 3),
    "noise": (0, 0.5),
    "inversion": (0, 1),
    "erasing": (0, 1),
    "erasing_area": (0, 0.5),
    "perspective": (0, 0.6),  # beyond two thirds the corners may cross
    "crop": (0, 1),
    "crop_area": (0.05, 1),
    "crop_aspect": (0, 1),
    "equalisation": (0, 1),
    "clahe": (0, 1),
    "clahe_limit": (1, 40),
    "blur": (0, 0.05),
    "sharpness": (0, 1),
    "mixup": (0, 1),
    "mixup_alpha": (0.05, 4),
    "cutmix": (0, 1),
}
_FIRST = tuple(LIMITS)[:13]
PRESETS = {
    "none": Augmentation(),
    # Used by the recipe that rebuilds the original study's small network.
    "original_study": Augmentation(horizontal_flip=0.5),
    # Rajpurkar 2017: random lateral inversions and rotations of up to 30 degrees.
    "mura_paper": Augmentation(horizontal_flip=0.5, rotation=30),
    "light": Augmentation(
        horizontal_flip=0.5, rotation=10, translation=0.03, scale=0.08, brightness=0.05, contrast=0.1
    ),
    "strong": Augmentation(
        horizontal_flip=0.5,
        rotation=25,
        translation=0.08,
        scale=0.2,
        shear=5,
        brightness=0.1,
        contrast=0.3,
        gamma=0.3,
        noise=0.04,
        inversion=0.05,
        erasing=0.25,
    ),
}
