"""The Augmentation: a frozen value with a JSON form, a short text for an address, and a hash."""

import hashlib
import json
import re
from dataclasses import dataclass, fields, replace

from core.errors import OverreadError


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a radiograph in training. Everything at its default leaves it as it is.

    horizontal_flip, vertical_flip, inversion, erasing, crop, equalisation, clahe, mixup, cutmix: probability 0..1.
    rotation, shear: up to so many degrees either way. translation: up to so large a part of the side. scale: from
    1 - scale to 1 + scale. brightness: up to so much of the grey range added or taken. contrast: factor from
    1 - contrast to 1 + contrast about mid grey. gamma: exponent from 1 / (1 + gamma) to 1 + gamma. noise: standard
    deviation up to so much of the grey range. erasing_area: the square blanked, up to so large a part of the image.
    perspective: each corner moves inwards by up to so much of half the side. crop_area: the least part of the image
    that a crop keeps; crop_aspect: its width over its height, from 1 / (1 + crop_aspect) to 1 + crop_aspect.
    clahe_limit: clip limit from 1 to that, over 8 x 8 tiles. blur: standard deviation up to so large a part of the
    side. sharpness: from 1 - sharpness (smoothed) to 1 + sharpness (sharpened). mixup_alpha: Beta(alpha, alpha) of the
    share; where both MixUp and CutMix would happen, MixUp does.
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
            # A bool is an int to Python, and `true` for a probability is a mistake rather than 1.
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not low <= value <= high:
                raise OverreadError(
                    f"Augmentation {field.name} is {_short(value)}; expected a number from {low:g} to {high:g}."
                )

    @property
    def mixes(self) -> bool:
        """Whether a sample may get a part of another radiograph, and of its label."""
        return bool(self.mixup or self.cutmix)

    @property
    def alone(self) -> "Augmentation":
        """The same without MixUp and CutMix: what can be done to a radiograph without company."""
        return replace(self, mixup=0.0, cutmix=0.0)

    def to_dict(self) -> dict[str, float]:
        """The fields that are not at their default."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }

    def to_json(self) -> str:
        """The value with its `version`, for a file; a field at its default is left out."""
        return json.dumps({"version": VERSION, **self.to_dict()}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Augmentation":
        """The inverse of to_json; absent keys keep their defaults, an absent version is the present one.

        OverreadError names the key, the value found and what was expected, in a sentence of bounded length.
        """
        if len(text) > MOST_CHARACTERS:
            raise OverreadError(
                f"The augmentation has {len(text):,} characters; expected a JSON object of at most {MOST_CHARACTERS:,}."
            )
        try:
            values = json.loads(text, object_pairs_hook=_once)
        except OverreadError:
            raise
        except (ValueError, RecursionError) as error:
            raise OverreadError(
                f'The augmentation is not JSON ({error}); expected an object such as {{"rotation": 10}}.'
            ) from error
        return cls.from_dict(values)

    @classmethod
    def from_dict(cls, values: dict) -> "Augmentation":
        """From such an object as a recipe or a file holds, with or without its `version` and `hash`."""
        known = [field.name for field in fields(cls)]
        if not isinstance(values, dict):
            raise OverreadError(f'The augmentation is {_short(values)}; expected an object such as {{"rotation": 10}}.')
        values = dict(values)
        version, told = values.pop("version", VERSION), values.pop("hash", None)
        if type(version) is not int or version != VERSION:
            raise OverreadError(f"Augmentation version is {_short(version)}; expected {VERSION}.")
        unknown = sorted(set(values) - set(known))
        if unknown:
            named = ", ".join(f"{key[:40]!r} ({_short(values[key])})" for key in unknown[:3])
            more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            raise OverreadError(f"The augmentation holds unknown {named}{more}; expected only {', '.join(known)}.")
        found = cls(**values)
        if told is not None and told != found.hash():
            raise OverreadError(
                f"The augmentation says that its hash is {_short(told)}, but its values have {found.hash()}: it was "
                "altered; restore it, or take the line with the hash out if the change is meant."
            )
        return found

    def to_text(self) -> str:
        """One line for an address, such as `rotation:10,scale:0.08`; `none` where nothing is done."""
        return ",".join(f"{name}:{value!r}".removesuffix(".0") for name, value in self.to_dict().items()) or "none"

    @classmethod
    def from_text(cls, text: str) -> "Augmentation":
        """The inverse of to_text, exact. OverreadError names the part that was not understood."""
        text = text.strip()
        if len(text) > MOST_CHARACTERS:
            raise OverreadError(f"The augmentation has {len(text):,} characters; expected at most {MOST_CHARACTERS:,}.")
        pairs = []
        for part in text.split(",") if text not in ("", "none") else ():
            found = re.fullmatch(r"\s*(\w+)\s*:\s*(\S+)\s*", part)
            try:
                name, value = found.groups()
                pairs.append((name, float(value)))
            except (AttributeError, ValueError):
                raise OverreadError(
                    f"The augmentation holds {_short(part)}; expected NAME:NUMBER, as in rotation:10,scale:0.08."
                ) from None
        return cls.from_dict(_once(pairs))

    def hash(self) -> str:
        """Eight hexadecimal digits of SHA-256: of the first fields there ever were, and of later ones that are set.

        So a field that is added here changes the hash of no augmentation that leaves it alone.
        """
        values = {name: getattr(self, name) for name in _FIRST} | self.to_dict()
        return hashlib.sha256(json.dumps({key: float(value) for key, value in values.items()}).encode()).hexdigest()[:8]


def difference(one: Augmentation, other: Augmentation) -> list[tuple[str, float, float]]:
    """The fields in which two differ, each with both values."""
    pairs = [(field.name, getattr(one, field.name), getattr(other, field.name)) for field in fields(Augmentation)]
    return [(name, mine, theirs) for name, mine, theirs in pairs if mine != theirs]


def _once(pairs: list[tuple]) -> dict:
    """The pairs as a dict. OverreadError where a name comes twice: which of the two is meant, nobody can tell."""
    found = {}
    for name, value in pairs:
        if name in found:
            both = f"{_short(found[name])} and {_short(value)}"
            raise OverreadError(f"The augmentation holds {name[:40]} twice ({both}); expected it once.")
        found[name] = value
    return found


def _short(value) -> str:
    """A value found, for a message: never longer than a line."""
    try:
        shown = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or nested beyond measure
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
    # The recipe that rebuilds the original study's small network here.
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
