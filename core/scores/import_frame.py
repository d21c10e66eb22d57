"""From somebody else's table to PREDICTIONS: ids, labels, splits and scores as they were meant, and doubts said."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from core.data.index import read_dataset, read_index
from core.errors import OverreadError
from core.scores import import_table
from core.scores.predictions import dataset_reference

SATURATED = 0.01  # the share of distinct logits that may become one probability before they are taken for no logits
# A probability of 0 or 1 has no logit; it gets that of 2^-54 from the end. The probability itself is kept as it came.
LARGEST = 54 * float(np.log(2))


@dataclass(frozen=True)
class Columns:
    """The names that the columns have in the file; '' where there is none."""

    label: str
    score: str
    study: str = ""
    image: str = ""
    patient: str = ""
    bone: str = ""
    split: str = ""


def frame_of(table: pd.DataFrame, columns: Columns, scale: str, file: Path, notes: list[str]) -> pd.DataFrame:
    """PREDICTIONS but for `checkpoint` and `dataset`. What should be known of them is added to `notes`."""

    def given(option: str) -> pd.Series | None:
        theirs = getattr(columns, option)
        return import_table.column(table, theirs, f"--{option}", file) if theirs else None

    for option in ("label", "score", "study", "image", "patient", "bone", "split"):
        given(option)
    frame = pd.DataFrame(index=table.index)
    scores = import_table.numbers(given("score"), columns.score, file)
    nothing = pd.Series(None, index=table.index, dtype="str")
    patient = import_table.text_of(given("patient")) if columns.patient else nothing
    frame["patient_id"] = patient.mask(patient == "")
    bone = import_table.text_of(given("bone")).str.lower() if columns.bone else pd.Series("unknown", index=table.index)
    import_table.refuse(bone == "", f"column {columns.bone} is empty", bone, "a bone such as wrist", file)
    frame["bone"] = bone
    frame["image_id"], frame["study_id"] = _ids(table, columns, frame, file, notes)
    frame["path"], frame["view"] = frame["image_id"], nothing
    frame["group_id"] = frame["patient_id"].fillna(frame["study_id"])
    frame["label"] = import_table.labels(given("label"), columns.label, file)
    frame["split"] = import_table.splits(given("split"), columns.split, file) if columns.split else "valid"
    _check_study_splits(frame, file)
    return _scored(frame, scores, columns, scale, file, notes)


def _scored(
    frame: pd.DataFrame, scores: np.ndarray, columns: Columns, scale: str, file: Path, notes: list[str]
) -> pd.DataFrame:
    """The frame with the columns that hold the score."""
    if scale == "raw":
        values, place = np.unique(scores, return_inverse=True)
        rank = (place + 1) / (len(values) + 1)
        notes.append(
            f"{columns.score} counts by its order only: scores shown are ranks, so calibration, Brier and the mean of "
            "several views say nothing"
        )
        return frame.assign(logit=logit(rank), probability=rank, given=scores)
    if scale == "logit":
        if scores.min() >= 0 and scores.max() <= 1:
            notes.append(
                f"every value of {columns.score} lies in 0 to 1: are these probabilities? Then leave --logit out."
            )
        _check_saturation(scores, columns.score, file, notes)
        return frame.assign(logit=scores)
    import_table.refuse(
        (scores < 0) | (scores > 1),
        f"column {columns.score} lies outside 0 to 1",
        pd.Series(scores),
        "probabilities; if these are logits say so with --logit, and if only their order means something with --raw",
        file,
    )
    with np.errstate(divide="ignore"):
        return frame.assign(logit=np.clip(logit(scores), -LARGEST, LARGEST), probability=scores)


def _ids(table: pd.DataFrame, columns: Columns, frame: pd.DataFrame, file: Path, notes: list[str]):
    """image_id and study_id. A study is named within its patient and bone; without a study a radiograph is one."""
    image = import_table.ids(table[columns.image], columns.image, file) if columns.image else None
    study = import_table.ids(table[columns.study], columns.study, file) if columns.study else None
    if image is None and study is None:
        rows = pd.Series(np.arange(2, len(table) + 2), index=table.index)
        image = ("row " + rows.astype("str")).astype("str")
    named = columns.study if image is None else columns.image
    said = image if image is not None else study
    if study is None:
        study = image
    elif image is None or not study.equals(image):
        study = _within(study, frame, columns, notes)
    if image is None:
        image = study
    expected = "each radiograph once" if columns.image else "each study once; name its radiographs with --image"
    import_table.refuse(image.duplicated(keep=False), f"the id in {named} stands more than once", said, expected, file)
    return image, study


def _within(study: pd.Series, frame: pd.DataFrame, columns: Columns, notes: list[str]) -> pd.Series:
    patient = frame["patient_id"].fillna("")
    if columns.patient:
        owners = frame.groupby(study)["patient_id"].nunique()
        if shared := int((owners > 1).sum()):
            notes.append(
                f"{shared:,} study ids stand with more than one patient (first: {owners[owners > 1].index[0]!r}); "
                "each patient's is taken as a study of its own"
            )
    named = patient.where(patient == "", patient + "/")
    return (named + frame["bone"] + "/" + study if columns.bone else named + study).astype("str")


def _check_study_splits(frame: pd.DataFrame, file: Path) -> None:
    sides = frame.drop_duplicates(["study_id", "split"])["study_id"]
    if sides.duplicated().any():
        across = sides[sides.duplicated()].unique()
        raise OverreadError(
            f"{file}: {len(across):,} studies stand in more than one split (first: {across[0]!r}); "
            "expected every radiograph of a study in the same one."
        )


def _check_saturation(scores: np.ndarray, name: str, file: Path, notes: list[str]) -> None:
    """Far out, different logits are the same probability: their order, and with it the curves, would be lost.

    A few such are an overconfident network's, and are noted; many are no logits.
    """
    values = np.unique(scores)
    lost = len(values) - len(np.unique(expit(values)))
    if 0 < lost <= SATURATED * len(values):
        notes.append(
            f"{lost:,} of {len(values):,} distinct logits, the highest, become the same probability as another"
        )
    elif lost:
        raise OverreadError(
            f"{file}: column {name} reaches from {values[0]:g} to {values[-1]:g}, and {lost:,} of its {len(values):,} "
            "values would share a probability with another, so their order would be lost; logits lie between -30 and "
            "30. If only their order means something, import them with --raw in place of --logit."
        )


def matched(frame: pd.DataFrame, columns: Columns, data: str, file: Path, notes: list[str]):
    """The rows whose radiographs the data set has, with its studies, patients and bones."""
    if not columns.image:
        raise OverreadError(f"--data {data} needs --image COLUMN: radiographs are matched by their image id.")
    dataset, index = read_dataset(data), read_index(data)
    by_id = index.drop_duplicates("image_id").set_index("image_id")
    there = frame["image_id"].isin(by_id.index)
    if not there.any():
        raise OverreadError(
            f"{file}: none of the {len(frame):,} ids in {columns.image} (first: {frame['image_id'].iloc[0]!r}) is a "
            f"radiograph of {data} (first: {by_id.index[0]!r}); give the ids of its index, or leave --data out."
        )
    if missing := int((~there).sum()):
        first = ", ".join(frame.loc[~there, "image_id"].head(3))
        notes.append(
            f"{missing:,} of {len(frame):,} rows are no radiograph of {data} and are left out (first: {first})"
        )
    frame = frame[there].reset_index(drop=True)
    known = by_id.loc[frame["image_id"]].reset_index()
    for name in ("path", "study_id", "patient_id", "group_id", "bone", "view"):
        frame[name] = known[name]
    if not columns.split:
        frame["split"] = known["split"]
    both = frame["label"].notna() & known["label"].notna()
    if differ := int((frame["label"] != known["label"])[both].sum()):
        notes.append(f"{differ:,} labels differ from those of {data}; the file's are used")
    _check_study_splits(frame, file)
    return frame, dataset_reference(dataset)


def note_doubts(frame: pd.DataFrame, columns: Columns, notes: list[str]) -> None:
    """What a reader of the figures should know."""
    if not frame["patient_id"].notna().any():
        notes.append("no patient is named: studies are taken as of different patients, and intervals may be too narrow")
    spread = frame.groupby("study_id", sort=False)["label"].agg(["min", "max"])
    if both := int((spread["min"] != spread["max"])[spread["min"].notna()].sum()):
        notes.append(f"{both:,} studies carry both labels and count as unlabelled")
    sides = frame.drop_duplicates(["group_id", "split"])["group_id"]
    if crossing := int(sides[sides.duplicated()].nunique()):
        first = sides[sides.duplicated()].iloc[0]
        notes.append(f"{crossing:,} patients stand in more than one split (first: {first!r}): figures may be too good")
    present = frame["label"].dropna().unique()
    if len(present) < 2:
        kind = {0: "no label is known", 1: "every known label is the same"}[len(present)]
        notes.append(f"{kind}: AUROC and most thresholds cannot be given")
    if len(frame) > 1 and frame["logit"].nunique() == 1:
        notes.append("every score is the same, so no threshold tells studies apart")
