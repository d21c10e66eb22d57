"""Plan of a phantom set: patients, studies, views, labels, findings and defects, everything but the pixels."""

from dataclasses import dataclass

import numpy as np

from core.errors import OverreadError
from core.phantom.anatomy import SITES
from core.phantom.findings import KINDS, Finding, choose_finding
from core.plural import count_text

VERSION = 1
# Studies of each bone in MURA, used as weights.
BONES = {"elbow": 1912, "finger": 2110, "hand": 2185, "humerus": 727, "forearm": 1010, "shoulder": 3015, "wrist": 3697}
ABNORMAL = 0.43
MOST_VIEWS = 5
VIEWS = {1: 0.10, 2: 0.30, 3: 0.42, 4: 0.15, 5: 0.03}
SECOND_STUDY = 0.04
SECOND_BONE = 0.06
SHOWN = 0.9  # probability that a further view shows the finding; one view always does
DEFECTS = {
    "two_on_one_film": 0.02,
    "overlap": 0.03,
    "dark": 0.03,
    "washed_out": 0.03,
    "stretched": 0.02,
    "inverted": 0.02,
    "border": 0.06,
    "marker": 0.5,
    "blank": 0.003,
}
STREAMS = {"patient": 0, "study": 1, "person": 2, "view": 3, "film": 4, "noise": 5}


@dataclass(frozen=True)
class StudyChoices:
    """The studies of a set. views: of each study, 0 for numbers as in VIEWS. finding: how many views of an abnormal
    study show its finding, 0 for nearly all (SHOWN). wrong_labels: share of studies with the other label."""

    views: int = 0
    finding: int = 0
    wrong_labels: float = 0.04

    def __post_init__(self) -> None:
        if not 0 <= self.views <= MOST_VIEWS or not 0 <= self.finding <= (self.views or MOST_VIEWS):
            raise OverreadError(
                f"A study has {count_text(self.views, 'view')}, {self.finding} with the finding; expected 1 to "
                f"{MOST_VIEWS} views (0: as in MURA), and at most as many with the finding (0: nearly all).",
                code="views-invalid",
            )


@dataclass(frozen=True)
class Radiograph:
    """One film to draw. finding: None unless this view shows it."""

    image_id: str
    study: str
    patient: str
    bone: str
    split: str
    true_label: int
    given_label: int
    view: str
    abnormality: str
    finding: Finding | None
    defects: tuple[str, ...]
    side: str  # L or R
    key: tuple[int, ...]  # seed, patient, bone, study, image


def random_generator(key: tuple[int, ...], stream: str) -> np.random.Generator:
    """Random numbers of one purpose (STREAMS) of one patient, study or film, independent of the order of drawing."""
    return np.random.default_rng(np.random.SeedSequence([*key, STREAMS[stream]]))


def person_generator(key: tuple[int, ...]) -> np.random.Generator:
    """A generator with the same random numbers for every view and study of one bone of one patient."""
    return random_generator(key[:3], "person")


def plan_radiographs(
    patients: int, seed: int, valid_fraction: float, choices: StudyChoices = StudyChoices()
) -> list[Radiograph]:
    """Every radiograph of the set, patient by patient. The first k patients do not depend on `patients`."""
    phase = float(np.random.default_rng([seed, 99]).random())
    made = []
    for number in range(1, patients + 1):
        # Evenly spread instead of random, so that a small set also has its share of valid patients.
        valid = int(number * valid_fraction + phase) > int((number - 1) * valid_fraction + phase)
        made += _patient(number, "valid" if valid else "train", seed, choices)
    return made


def _patient(number: int, split: str, seed: int, choices: StudyChoices) -> list[Radiograph]:
    rng = random_generator((seed, number), "patient")
    names = list(BONES)
    shares = np.array(list(BONES.values())) / sum(BONES.values())
    count = 2 if rng.random() < SECOND_BONE else 1
    made = []
    for bone in sorted(rng.choice(len(names), size=count, replace=False, p=shares)):
        studies = 2 if rng.random() < SECOND_STUDY else 1
        side = "LR"[rng.integers(2)]
        for study in range(1, studies + 1):
            made += _study((seed, number, int(bone), study), names[bone], split, side, choices)
    return made


def _study(key: tuple[int, ...], bone: str, split: str, side: str, choices: StudyChoices) -> list[Radiograph]:
    # Films and findings use different streams, so nothing about a film reveals the label.
    rng, films = random_generator(key, "study"), random_generator(key, "view")
    views = _views(films, choices.views)
    defects = [_defects(films) for _ in views]
    true_label = int(rng.random() < ABNORMAL)
    kind = rng.choice(list(KINDS), p=list(KINDS.values()))
    finding = choose_finding(str(kind), SITES[bone], rng)
    shown = rng.random(len(views)) < SHOWN
    shown[rng.integers(len(views))] = True
    given_label = true_label ^ int(rng.random() < choices.wrong_labels)
    blank = np.array(["blank" in names for names in defects])
    if blank.all():
        defects[0] = ()
    if choices.finding:
        # Drawn after all else, so that it changes no film and no finding.
        usable = np.flatnonzero(["blank" not in names for names in defects])
        shown = np.isin(np.arange(len(views)), films.permutation(usable)[: choices.finding])
    elif not (shown & ~blank).any():
        shown = ~blank
    patient = f"patient{key[1]:05d}"
    folder = f"{split}/XR_{bone.upper()}/{patient}/study{key[3]}_{'positive' if given_label else 'negative'}"
    made = []
    for place, view in enumerate(views):
        visible = bool(true_label and shown[place] and "blank" not in defects[place])
        made.append(
            Radiograph(
                f"{folder}/image{place + 1}.png",
                folder,
                patient,
                bone,
                split,
                true_label,
                given_label,
                view,
                finding.kind if true_label else "none",
                finding if visible else None,
                defects[place],
                side,
                (*key, place + 1),
            )
        )
    return made


def _views(rng: np.random.Generator, count: int) -> list[str]:
    count = count or int(rng.choice(list(VIEWS), p=list(VIEWS.values())))
    order = ["frontal", "lateral", "oblique", "frontal", "oblique"]
    if count <= 2 and rng.random() < 0.25:
        order = ["oblique", "frontal"]
    return order[:count]


def _defects(rng: np.random.Generator) -> tuple[str, ...]:
    hit = {name: rng.random() < share for name, share in DEFECTS.items()}
    if hit["blank"]:
        return ("blank",)
    if hit["dark"]:
        hit["washed_out"] = False
    return tuple(name for name in DEFECTS if hit[name])
