"""The audit of a data set: patient overlap, copies, faulty files, label conflicts, image quality and shortcuts."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.audit.duplicates import groups_of, near_pairs
from core.audit.shortcut import shortcut
from core.checksums import read_json, write_json
from core.data import measures
from core.data.index import Dataset, conflicting_studies, read_index
from core.data.label_levels import IMAGE_LABEL
from core.data.measures import SKETCH
from core.data.quality import LIMITS
from core.data.split import overlap_table
from core.metrics.intervals import Estimate
from core.paths import home

# Raised when a check changes, so that older audits are computed again.
VERSION = 4


@dataclass(frozen=True)
class QualityCheck:
    """A limit of one measure: radiographs at or above it are listed, or with `below`, those below it."""

    column: str
    limit: float
    words: str
    below: bool = False

    def applies_to(self, values: pd.Series) -> pd.Series:
        """Whether each value is beyond the limit of the check; bool, one value for each radiograph."""
        return values < self.limit if self.below else values >= self.limit


QUALITY_CHECKS = {
    "blank": QualityCheck("blank", LIMITS["blank"], "almost empty"),
    "static": QualityCheck("noise", LIMITS["noise"], "noise instead of a radiograph"),
    "films": QualityCheck("films", LIMITS["films"], "bands of one grey level: several films, or collimation"),
    "metal": QualityCheck("metal", LIMITS["metal"], "a large white area: metal, or overexposed"),
    "border": QualityCheck("border", 0.3, "a wide frame of one grey level"),
    "low contrast": QualityCheck("contrast", 40.0, "fewer than 40 of 255 grey levels used", below=True),
    "small": QualityCheck("short side", 64.0, "shorter side below 64 pixels", below=True),
    "strip": QualityCheck("elongation", 4.0, "at least four times as long as wide"),
}


@dataclass(frozen=True)
class Audit:
    """The results of an audit; estimates are {value, low, high, n, why}."""

    name: str
    index_hash: str
    version: str
    radiographs: int
    patients_known: int
    radiographs_without_patient: int
    patient_overlap: list
    duplicates_across: list
    duplicates_within: list
    unreadable: list
    stray: list
    conflicts: list
    converted: list
    label_conflicts: list
    quality: dict
    shortcut: dict
    shortcut_by: dict

    @property
    def failed(self) -> bool:
        """Whether a patient is in more than one split."""
        return bool(self.patient_overlap)

    def to_dict(self) -> dict:
        """The fields, and the shortcut's AUROC and interval as `shortcut_auroc`, `_low` and `_high`, for JSON."""
        ends = {f"shortcut_auroc{end and '_' + end}": self.shortcut[end or "value"] for end in ("", "low", "high")}
        return asdict(self) | ends


def audit(
    dataset: Dataset,
    rows: pd.DataFrame,
    progress: Callable[[int, int, str], None] | None = None,
) -> Audit:
    """Audit a data set. rows: from `measured_rows`."""
    problems, conflicting = dataset.problems(), conflicting_studies(rows)
    decoded = rows["sketch"].notna()
    own = dataset.label_level == "image" and IMAGE_LABEL in rows
    # Copies of one radiograph may be in studies with different labels; their own labels must agree.
    groups = _duplicates(rows.assign(label=rows[IMAGE_LABEL]) if own else rows, decoded, progress)
    if progress:
        progress(0, 1, "predicting the label from image quality alone")
    measured = rows[decoded]
    whole, parts = shortcut(measured)
    if progress:
        progress(1, 1, "predicting the label from image quality alone")
    return Audit(
        name=dataset.name,
        index_hash=dataset.index_hash,
        version=_version(),
        radiographs=len(rows),
        patients_known=int(rows["patient_id"].nunique()),
        radiographs_without_patient=int(rows["patient_id"].isna().sum()),
        patient_overlap=_patient_overlap(rows),
        duplicates_across=[group for group in groups if _is_across_studies(group)],
        duplicates_within=[group for group in groups if not _is_across_studies(group)],
        unreadable=problems["unreadable"] + _undecoded(rows[~decoded], rows.attrs.get("failed", {})),
        stray=problems["stray"],
        # Studies with both labels are among the label conflicts below, with the copies that have both.
        conflicts=[entry for entry in problems["conflicts"] if entry["path"] not in conflicting],
        converted=problems.get("converted", []),
        label_conflicts=_label_conflicts(conflicting, groups),
        quality={name: _paths_beyond(measured, check) for name, check in QUALITY_CHECKS.items()},
        shortcut=_plain(whole),
        shortcut_by={name: _plain(estimate) for name, estimate in parts.items()},
    )


def run_audit(dataset: Dataset, progress: Callable[[int, int, str], None] | None = None) -> Audit:
    """Return the stored audit of this index, or make and store a new one."""
    if stored := read_audit(dataset):
        return stored
    made = audit(dataset, measured_rows(dataset, progress), progress)
    write_json(audit_file(dataset), asdict(made))
    return made


def measured_rows(dataset: Dataset, progress: Callable[[int, int, str], None] | None = None) -> pd.DataFrame:
    """INDEX with MEASURES and `sketch`; files without stored measures are decoded now.

    The measures are missing where a file cannot be decoded, and attrs `failed` has the reasons, {sha1: reason}.
    """
    from core.data.decode import measures_table

    index = read_index(dataset.name)
    table = measures_table(dataset, index, progress)
    rows = index.join(table.drop(columns=[name for name in table if name in index]), on="sha1")
    rows["short side"] = rows[["width", "height"]].min(axis=1)
    rows["elongation"] = rows[["width", "height"]].max(axis=1) / rows["short side"].clip(lower=1)
    rows.attrs["failed"] = table.attrs["failed"]
    return rows


def read_audit(dataset: Dataset) -> Audit | None:
    """Return the stored audit if it belongs to this index and these versions of the checks."""
    try:
        facts = read_json(audit_file(dataset))
        stored = Audit(**facts)
    except (OSError, ValueError, TypeError):
        return None
    return stored if (stored.index_hash, stored.version) == (dataset.index_hash, _version()) else None


def audit_file(dataset: Dataset) -> Path:
    """The file of the stored audit of a data set."""
    return home() / "audits" / f"{dataset.name}.json"


def _version() -> str:
    return f"{VERSION}.{measures.VERSION}"


def _patient_overlap(rows: pd.DataFrame) -> list[dict]:
    crossing = overlap_table(rows.dropna(subset=["patient_id"]), "patient_id")
    return [{"patient": row.patient_id, "splits": row.splits.split(", ")} for row in crossing.itertuples()]


def _duplicates(rows: pd.DataFrame, decoded: pd.Series, progress) -> list[list[dict]]:
    """Groups of copies, those across splits first. Identical files are found even where they cannot be decoded."""
    rows = rows.reset_index(drop=True)
    # Only one row of each distinct file is compared.
    codes, _ = pd.factorize(rows["sha1"])
    first = pd.Series(codes).drop_duplicates().index.to_numpy()
    compared = first[decoded.to_numpy()[first]]
    pairs = pd.DataFrame({"first": [], "second": []}, dtype=int)
    if len(compared) > 1:
        sketches = np.frombuffer(b"".join(rows["sketch"].iloc[compared]), np.uint8).reshape(-1, SKETCH, SKETCH)
        aspects = (rows["width"] / rows["height"].clip(lower=1)).to_numpy()[compared]
        pairs = near_pairs(sketches, aspects, progress)
        pairs = pairs.assign(first=codes[compared[pairs["first"]]], second=codes[compared[pairs["second"]]])
    group = groups_of(codes.max() + 1, pairs)[codes]
    sizes = np.bincount(group)
    groups = []
    for number in np.flatnonzero(sizes > 1):
        members = rows.iloc[np.flatnonzero(group == number)]
        exact = members["sha1"].nunique() == 1
        groups.append(
            [
                {
                    "path": row.path,
                    "split": row.split,
                    "study": row.study_id,
                    "patient": None if pd.isna(row.patient_id) else row.patient_id,
                    "label": None if pd.isna(row.label) else row.label,
                    "copy": "exact" if exact else "near",
                }
                for row in members.itertuples()
            ]
        )
    return sorted(groups, key=lambda members: (-len({row["split"] for row in members}), members[0]["path"]))


def _is_across_studies(members: list[dict]) -> bool:
    """Whether the copies belong to more than one study; one examination gives no such copies."""
    return len({row["study"] for row in members}) > 1


def _label_conflicts(conflicting: set[str], groups: list[list[dict]]) -> list[dict]:
    found = [
        {
            "path": study,
            "reason": "its radiographs have both labels; the study counts as unlabelled until this is corrected",
        }
        for study in sorted(conflicting)
    ]
    for members in groups:
        labels = {row["label"] for row in members} - {None}
        if len(labels) > 1:
            paths = ", ".join(row["path"] for row in members)
            found.append({"path": members[0]["path"], "reason": f"copies have different labels: {paths}"})
    return found


def _undecoded(rows: pd.DataFrame, failed: dict[str, str]) -> list[dict]:
    """Files with an intact header and end whose pixels cannot be decoded."""
    return [
        {"path": path, "reason": failed.get(sha1, "it could not be decoded")}
        for path, sha1 in zip(rows["path"], rows["sha1"])
    ]


def _paths_beyond(rows: pd.DataFrame, check: QualityCheck) -> list[str]:
    """The paths that a check lists, the most extreme first."""
    listed = rows[check.applies_to(rows[check.column])]
    return listed.sort_values(check.column, ascending=check.below)["path"].tolist()


def _plain(estimate: Estimate) -> dict:
    def number(value):
        return None if value is None or np.isnan(value) else float(value)

    return {
        "value": number(estimate.value),
        "low": number(estimate.low),
        "high": number(estimate.high),
        "n": estimate.n,
        "why": estimate.why,
    }
