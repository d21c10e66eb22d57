"""Guesses about a table of scores: its columns, its scale and its data set, each with the reason.

Nothing here is applied by itself: a page shows the guesses and their reasons, and a person checks and changes them.
"""

import os
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data import cells, mura_paths
from core.data.datasets import list_datasets, read_index
from core.data.mura import IMAGE_EXTENSIONS
from core.data.notes import Note
from core.data.tables import Table, simple_name
from core.errors import OverreadError
from core.plural import count_text
from core.scores import dataset_match
from core.scores.score_checks import TOLERANCE

# Names of each column in the order of trust, compared without case, spaces and signs.
_NAMES = {
    "score": (
        "score", "p", "prob", "probability", "p_abnormal", "prob_abnormal", "p_positive", "y_prob", "y_score", "y_pred",
        "y_hat", "pred", "prediction", "proba", "predicted_probability", "abnormal_probability", "p1", "class1",
        "prob1", "logit", "logits", "output", "confidence", "sigmoid", "softmax1",
    ),
    "label": (
        "label", "labels", "y", "y_true", "target", "truth", "ground_truth", "gt", "abnormal", "class", "fractured",
        "fracture", "finding",
    ),
    "image": (
        "image", "image_id", "image_path", "path", "file", "filename", "file_name", "filepath", "img", "img_path",
        "radiograph", "sopinstanceuid", "instance_uid",
    ),
    "study": ("study", "study_id", "studyinstanceuid", "study_uid", "exam", "exam_id", "accession", "accession_number"),
    "patient": ("patient", "patient_id", "subject", "subject_id", "pid", "mrn", "person_id"),
    "bone": ("bone", "body_part", "bodypartexamined", "region", "anatomy", "joint"),
    "split": ("split", "set", "subset", "partition"),
}  # fmt: skip
BY_NAME = "by the column's name"
_SAMPLED = 500  # rows by which the data set is guessed
_FEW = 0.5  # with a smaller share of known ids, no data set is guessed


@dataclass(frozen=True)
class Guess:
    """A guess. option: one of `import_frame.NAMED`, 'scale', 'percent' or 'data'. reason: a clause for a person."""

    option: str
    value: str
    reason: str


def guess_columns(table: Table) -> list[Guess]:
    """At most one guess for each column, by its name, or else by its cells."""
    free = [str(column) for column in table.frame.columns]
    found: dict[str, Guess] = {}
    for option, names in _NAMES.items():
        match = next((column for name in names for column in free if simple_name(column) == simple_name(name)), None)
        if match:
            found[option] = Guess(option, match, BY_NAME)
            free.remove(match)
    for option, test, reason in (
        ("image", _are_images, "its cells name image files"),
        ("study", _are_studies, "its cells are studies in MURA's layout"),
        ("label", _are_labels, "its cells are two words of a label"),
        ("score", _are_scores, "no other column has different numbers with decimals"),
    ):
        fitting = [column for column in free if option not in found and test(table, column)]
        if len(fitting) == 1:
            found[option] = Guess(option, fitting[0], reason)
            free.remove(fitting[0])
    if "image" in found and _are_studies(table, found["image"].value) and "study" not in found:
        found["study"] = Guess("study", found.pop("image").value, "its cells are studies in MURA's layout")
    return [found[option] for option in _NAMES if option in found]


def guess_scale(table: Table, score: str) -> list[Guess]:
    """The scale of a column of scores by its range, and whether it is a percentage; nothing where it has no numbers."""
    values = _numbers(table, score)
    if values is None:
        return []
    low, high = float(values.min()), float(values.max())
    between = f"its values are from {low:.4g} to {high:.4g}"
    if low >= -TOLERANCE and high <= 1 + TOLERANCE:
        return [Guess("scale", "probability", between)]
    if low >= 0 and 2 < high <= 100:
        return [Guess("scale", "probability", between), Guess("percent", "percentages", between)]
    if low >= -40 and high <= 40:
        return [Guess("scale", "logit", between)]
    return [Guess("scale", "raw", between)]


def guess_dataset(table: Table, image: str, study: str) -> Guess | None:
    """The indexed data set that knows the most ids of the table, if it knows half of the first rows."""
    if not image and not study:
        return None
    ids = cells.text_of(table.frame[image or study].head(_SAMPLED))
    frame = pd.DataFrame({"image_id": ids, "study_id": ids})
    of_studies = not image or dataset_match.are_studies(ids)
    match = dataset_match.match_studies if of_studies else dataset_match.match_radiographs
    best, most = None, 0
    for dataset in list_datasets():
        try:
            known = len(np.unique(match(frame, read_index(dataset.name))[0]))
        except OverreadError:
            continue  # the page of data sets reports it
        if known > most:
            best, most = dataset.name, known
    if best is None or most < _FEW * len(ids):
        return None
    unit = "study id" if of_studies else "radiograph id"
    return Guess("data", best, f"it has {most:,} of the first {count_text(len(ids), unit)}")


def _are_images(table: Table, column: str) -> bool:
    texts = cells.text_of(table.frame[column].head(_SAMPLED))
    return bool(len(texts)) and all(os.path.splitext(text)[1].lower() in {*IMAGE_EXTENSIONS, ".dcm"} for text in texts)


def _are_studies(table: Table, column: str) -> bool:
    places = mura_paths.parse_all(cells.text_of(table.frame[column].head(_SAMPLED)))
    return places is not None and all(place.image is None for place in places)


def _are_labels(table: Table, column: str) -> bool:
    text = cells.text_of(table.frame[column])
    values, bad = cells.read_labels(text)
    return not bad.any() and values.nunique() == 2


def _are_scores(table: Table, column: str) -> bool:
    values = _numbers(table, column)
    return values is not None and len(np.unique(values)) > 2 and not (values == np.round(values)).all()


def _numbers(table: Table, column: str) -> np.ndarray | None:
    quiet: list[Note] = []
    try:
        return cells.numbers(table, column, quiet) if len(table.frame) else None
    except OverreadError:
        return None
