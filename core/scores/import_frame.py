"""Turn a table of scores into PREDICTIONS: ids, labels, splits and scores, with notes on anything doubtful."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from core.data.index import read_dataset, read_index
from core.errors import OverreadError
from core.scores import import_table
from core.scores.predictions import dataset_reference

SATURATED = 0.01  # the largest share of distinct logits that may share a probability; with more they are no logits
# A probability of 0 or 1 has no logit; it gets the logit of 2^-54 from the end. The probability itself is kept.
LARGEST = 54 * float(np.log(2))


@dataclass(frozen=True)
class Columns:
    """The names of the columns in the file; '' for a column that the file does not have."""

    label: str
    score: str
    study: str = ""
    image: str = ""
    patient: str = ""
    bone: str = ""
    split: str = ""


def read_frame(table: pd.DataFrame, columns: Columns, scale: str, file: Path, notes: list[str]) -> pd.DataFrame:
    """PREDICTIONS without `checkpoint` and `dataset`. Remarks for the user are added to `notes`."""

    def cells(option: str) -> pd.Series | None:
        name = getattr(columns, option)
        return import_table.column(table, name, f"--{option}", file) if name else None

    for option in ("label", "score", "study", "image", "patient", "bone", "split"):
        cells(option)
    frame = pd.DataFrame(index=table.index)
    scores = import_table.numbers(cells("score"), columns.score, file)
    missing = pd.Series(None, index=table.index, dtype="str")
    patient = import_table.text_of(cells("patient")) if columns.patient else missing
    frame["patient_id"] = patient.mask(patient == "")
    bone = import_table.text_of(cells("bone")).str.lower() if columns.bone else pd.Series("unknown", index=table.index)
    import_table.check_rows(bone == "", f"column {columns.bone} is empty", bone, "a bone such as wrist", file)
    frame["bone"] = bone
    frame["image_id"], frame["study_id"] = _ids(table, columns, frame, file, notes)
    frame["path"], frame["view"] = frame["image_id"], missing
    frame["group_id"] = frame["patient_id"].fillna(frame["study_id"])
    frame["label"] = import_table.labels(cells("label"), columns.label, file)
    frame["split"] = import_table.splits(cells("split"), columns.split, file) if columns.split else "valid"
    _check_study_splits(frame, file)
    return _with_scores(frame, scores, columns, scale, file, notes)


def _with_scores(
    frame: pd.DataFrame, scores: np.ndarray, columns: Columns, scale: str, file: Path, notes: list[str]
) -> pd.DataFrame:
    """The frame with its columns of scores."""
    if scale == "raw":
        values, place = np.unique(scores, return_inverse=True)
        rank = (place + 1) / (len(values) + 1)
        notes.append(
            f"only the order of {columns.score} is used: the scores shown are ranks, so calibration, Brier score and "
            "means over several views have no meaning"
        )
        return frame.assign(logit=logit(rank), probability=rank, given=scores)
    if scale == "logit":
        if scores.min() >= 0 and scores.max() <= 1:
            notes.append(
                f"every value of {columns.score} is between 0 and 1: if these are probabilities, leave --logit out."
            )
        _check_saturation(scores, columns.score, file, notes)
        return frame.assign(logit=scores)
    import_table.check_rows(
        (scores < 0) | (scores > 1),
        f"column {columns.score} is outside 0 to 1",
        pd.Series(scores),
        "probabilities; pass --logit for logits, or --raw if only the order has a meaning",
        file,
    )
    with np.errstate(divide="ignore"):
        return frame.assign(logit=np.clip(logit(scores), -LARGEST, LARGEST), probability=scores)


def _ids(table: pd.DataFrame, columns: Columns, frame: pd.DataFrame, file: Path, notes: list[str]):
    """image_id and study_id. A study's name has its patient and bone; without ids each radiograph is one."""
    image = import_table.ids(table[columns.image], columns.image, file) if columns.image else None
    study = import_table.ids(table[columns.study], columns.study, file) if columns.study else None
    if image is None and study is None:
        rows = pd.Series(np.arange(2, len(table) + 2), index=table.index)
        image = ("row " + rows.astype("str")).astype("str")
    named = columns.study if image is None else columns.image
    shown = image if image is not None else study
    if study is None:
        study = image
    elif image is None or not study.equals(image):
        study = _full_study_ids(study, frame, columns, notes)
    if image is None:
        image = study
    expected = "each radiograph once" if columns.image else "each study once; name its radiographs with --image"
    import_table.check_rows(
        image.duplicated(keep=False), f"the id in {named} occurs more than once", shown, expected, file
    )
    return image, study


def _full_study_ids(study: pd.Series, frame: pd.DataFrame, columns: Columns, notes: list[str]) -> pd.Series:
    patient = frame["patient_id"].fillna("")
    if columns.patient:
        owners = frame.groupby(study)["patient_id"].nunique()
        if shared := int((owners > 1).sum()):
            notes.append(
                f"{shared:,} study ids belong to more than one patient (first: {owners[owners > 1].index[0]!r}); each "
                "patient with such an id has a study of its own"
            )
    named = patient.where(patient == "", patient + "/")
    return (named + frame["bone"] + "/" + study if columns.bone else named + study).astype("str")


def _check_study_splits(frame: pd.DataFrame, file: Path) -> None:
    sides = frame.drop_duplicates(["study_id", "split"])["study_id"]
    if sides.duplicated().any():
        across = sides[sides.duplicated()].unique()
        raise OverreadError(
            f"{file}: {len(across):,} studies are in more than one split (first: {across[0]!r}); expected every "
            "radiograph of a study in the same split.",
            code="study-in-two-splits",
        )


def _check_saturation(scores: np.ndarray, name: str, file: Path, notes: list[str]) -> None:
    """Note or refuse extreme logits: several become the same probability, so their order and the curves would be lost.

    A few come from an overconfident network and are noted. Many mean that the column does not hold logits.
    """
    values = np.unique(scores)
    lost = len(values) - len(np.unique(expit(values)))
    if 0 < lost <= SATURATED * len(values):
        notes.append(f"{lost:,} of the {len(values):,} distinct logits become the same probability as another one")
    elif lost:
        raise OverreadError(
            f"{file}: column {name} ranges from {values[0]:g} to {values[-1]:g}. As logits, {lost:,} of its "
            f"{len(values):,} values would become the same probability as another and lose their order; logits are "
            "between -30 and 30. "
            "If only the order has a meaning, pass --raw instead of --logit.",
            code="logits-saturated",
        )


def match_to_dataset(frame: pd.DataFrame, columns: Columns, data: str, file: Path, notes: list[str]):
    """The rows whose radiographs are in the data set, with its studies, patients and bones; and its reference."""
    if not columns.image:
        raise OverreadError(
            f"--data {data} needs --image COLUMN: radiographs are matched by their image id.",
            code="image-column-needed",
        )
    dataset, index = read_dataset(data), read_index(data)
    by_id = index.drop_duplicates("image_id").set_index("image_id")
    in_index = frame["image_id"].isin(by_id.index)
    if not in_index.any():
        raise OverreadError(
            f"{file}: none of the {len(frame):,} ids in {columns.image} (first: {frame['image_id'].iloc[0]!r}) is a "
            f"radiograph of {data} (first: {by_id.index[0]!r}); give the ids of its index, or leave --data out.",
            code="no-radiograph-matched",
        )
    if missing := int((~in_index).sum()):
        first = ", ".join(frame.loc[~in_index, "image_id"].head(3))
        notes.append(
            f"{missing:,} of {len(frame):,} rows are not radiographs of {data} and are left out (first: {first})"
        )
    frame = frame[in_index].reset_index(drop=True)
    known = by_id.loc[frame["image_id"]].reset_index()
    for name in ("path", "study_id", "patient_id", "group_id", "bone", "view"):
        frame[name] = known[name]
    if not columns.split:
        frame["split"] = known["split"]
    both = frame["label"].notna() & known["label"].notna()
    if differ := int((frame["label"] != known["label"])[both].sum()):
        notes.append(f"{differ:,} labels differ from those of {data}; the labels of the file are used")
    _check_study_splits(frame, file)
    return frame, dataset_reference(dataset)


def note_doubts(frame: pd.DataFrame, columns: Columns, notes: list[str]) -> None:
    """Add remarks on missing patients, contradictory labels, shared patients and scores that are all the same."""
    if not frame["patient_id"].notna().any():
        notes.append("no patient is named: every study counts as another patient, so intervals may be too narrow")
    spread = frame.groupby("study_id", sort=False)["label"].agg(["min", "max"])
    if both := int((spread["min"] != spread["max"])[spread["min"].notna()].sum()):
        notes.append(f"{both:,} studies have both labels and count as unlabelled")
    sides = frame.drop_duplicates(["group_id", "split"])["group_id"]
    if crossing := int(sides[sides.duplicated()].nunique()):
        first = sides[sides.duplicated()].iloc[0]
        notes.append(f"{crossing:,} patients are in more than one split (first: {first!r}): figures may be too good")
    present = frame["label"].dropna().unique()
    if len(present) < 2:
        kind = {0: "no label is known", 1: "every known label is the same"}[len(present)]
        notes.append(f"{kind}: AUROC and most thresholds cannot be estimated")
    if len(frame) > 1 and frame["logit"].nunique() == 1:
        notes.append("every score is the same, so no threshold separates the studies")
