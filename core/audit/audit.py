"""The audit of a data set: hard verdicts first, then alarms, then what is merely odd."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.audit.duplicates import groups_of, near_pairs
from core.audit.shortcut import shortcut
from core.data import measures
from core.data.index import Dataset, conflicting_studies, read_index
from core.data.measures import SKETCH
from core.data.split import overlap_table
from core.metrics.intervals import Estimate
from core.paths import home, write_atomically

# Raised when a check changes, so that older audits are made again.
VERSION = 4
# Beyond these a radiograph is shown as odd: column, direction, limit, in words.
ODD = {
    "blank": ("blank", ">=", 1.0, "hardly anything in it"),
    "static": ("noise", ">=", 0.5, "noise rather than a radiograph"),
    "films": ("films", ">=", 2.0, "bands of one grey level cut it into parts: several films, or collimation"),
    "metal": ("metal", ">=", 0.02, "a blob of white: metal, or overexposed"),
    "border": ("border", ">=", 0.3, "a wide frame of one grey level"),
    "low contrast": ("contrast", "<", 40.0, "less than 40 of 255 grey levels used"),
    "small": ("short side", "<", 64.0, "shorter side below 64 pixels"),
    "strip": ("elongation", ">=", 4.0, "more than four times as long as wide"),
}


@dataclass(frozen=True)
class Audit:
    """What was found, as `python -m core audit NAME --json` gives it; estimates as {value, low, high, n, why}."""

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
        """Whether a hard verdict stands: a patient on two sides of a split."""
        return bool(self.patient_overlap)

    def facts(self) -> dict:
        """As the command prints it: the fields, and the shortcut's AUROC with its interval by name."""
        ends = {f"shortcut_auroc{end and '_' + end}": self.shortcut[end or "value"] for end in ("", "low", "high")}
        return asdict(self) | ends


def audit(
    dataset: Dataset,
    rows: pd.DataFrame,
    progress: Callable[[int, int, str], None] | None = None,
) -> Audit:
    """Audit a data set. rows: as `measured_rows` gives them."""
    problems, torn = dataset.problems(), conflicting_studies(rows)
    decoded = rows["sketch"].notna()
    groups = _duplicates(rows, decoded, progress)
    if progress:
        progress(0, 1, "guessing the label from quality alone")
    measured = rows[decoded]
    whole, parts = shortcut(measured)
    if progress:
        progress(1, 1, "guessing the label from quality alone")
    return Audit(
        name=dataset.name,
        index_hash=dataset.index_hash,
        version=_version(),
        radiographs=len(rows),
        patients_known=int(rows["patient_id"].nunique()),
        radiographs_without_patient=int(rows["patient_id"].isna().sum()),
        patient_overlap=_overlap(rows),
        duplicates_across=[group for group in groups if _across(group)],
        duplicates_within=[group for group in groups if not _across(group)],
        unreadable=problems["unreadable"] + _undecoded(rows[~decoded], rows.attrs.get("failed", {})),
        stray=problems["stray"],
        # Studies with both labels are told below, with the copies that have them.
        conflicts=[entry for entry in problems["conflicts"] if entry["path"] not in torn],
        converted=problems.get("converted", []),
        label_conflicts=_label_conflicts(torn, groups),
        quality={name: _odd(measured, name) for name in ODD},
        shortcut=_plain(whole),
        shortcut_by={name: _plain(found) for name, found in parts.items()},
    )


def run_audit(dataset: Dataset, progress: Callable[[int, int, str], None] | None = None) -> Audit:
    """The audit kept for this index, else a new one, which is kept."""
    if found := read_audit(dataset):
        return found
    found = audit(dataset, measured_rows(dataset, progress), progress)
    write_atomically(audit_file(dataset), lambda path: path.write_text(json.dumps(asdict(found))))
    return found


def measured_rows(dataset: Dataset, progress: Callable[[int, int, str], None] | None = None) -> pd.DataFrame:
    """INDEX with MEASURES and `sketch`, decoded now where they have not been; missing where a file cannot be decoded.

    attrs `failed`: {sha1: reason} of those.
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
    """The audit that was kept, if it is of this index and of these checks."""
    try:
        facts = json.loads(audit_file(dataset).read_text())
        kept = Audit(**facts)
    except (OSError, ValueError, TypeError):
        return None
    return kept if (kept.index_hash, kept.version) == (dataset.index_hash, _version()) else None


def audit_file(dataset: Dataset) -> Path:
    """Where the audit of a data set is kept."""
    return home() / "audits" / f"{dataset.name}.json"


def _version() -> str:
    return f"{VERSION}.{measures.VERSION}"


def _overlap(rows: pd.DataFrame) -> list[dict]:
    crossing = overlap_table(rows.dropna(subset=["patient_id"]), "patient_id")
    return [{"patient": row.patient_id, "splits": row.splits.split(", ")} for row in crossing.itertuples()]


def _duplicates(rows: pd.DataFrame, decoded: pd.Series, progress) -> list[list[dict]]:
    """Groups of copies, those across splits first. Byte copies are found even where a file cannot be decoded."""
    rows = rows.reset_index(drop=True)
    # One representative of each file: ten copies of one are compared once.
    codes, _ = pd.factorize(rows["sha1"])
    first = pd.Series(codes).drop_duplicates().index.to_numpy()
    seen = first[decoded.to_numpy()[first]]
    pairs = pd.DataFrame({"first": [], "second": []}, dtype=int)
    if len(seen) > 1:
        sketches = np.frombuffer(b"".join(rows["sketch"].iloc[seen]), np.uint8).reshape(-1, SKETCH, SKETCH)
        aspects = (rows["width"] / rows["height"].clip(lower=1)).to_numpy()[seen]
        pairs = near_pairs(sketches, aspects, progress)
        pairs = pairs.assign(first=codes[seen[pairs["first"]]], second=codes[seen[pairs["second"]]])
    group = groups_of(codes.max() + 1, pairs)[codes]
    sizes = np.bincount(group)
    listed = []
    for number in np.flatnonzero(sizes > 1):
        members = rows.iloc[np.flatnonzero(group == number)]
        exact = members["sha1"].nunique() == 1
        listed.append(
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
    return sorted(listed, key=lambda members: (-len({row["split"] for row in members}), members[0]["path"]))


def _across(members: list[dict]) -> bool:
    """Whether copies lie in more than one study, which no examination explains."""
    return len({row["study"] for row in members}) > 1


def _label_conflicts(torn: set[str], groups: list[list[dict]]) -> list[dict]:
    found = [
        {
            "path": study,
            "reason": "its radiographs carry both labels; the study counts as unlabelled until that is mended",
        }
        for study in sorted(torn)
    ]
    for members in groups:
        labels = {row["label"] for row in members} - {None}
        if len(labels) > 1:
            paths = ", ".join(row["path"] for row in members)
            found.append({"path": members[0]["path"], "reason": f"copies carry different labels: {paths}"})
    return found


def _undecoded(rows: pd.DataFrame, failed: dict[str, str]) -> list[dict]:
    """Files whose head and end are sound, and whose pixels are not."""
    return [
        {"path": path, "reason": failed.get(sha1, "it could not be decoded")}
        for path, sha1 in zip(rows["path"], rows["sha1"])
    ]


def _odd(rows: pd.DataFrame, name: str) -> list[str]:
    column, direction, limit, _ = ODD[name]
    values = rows[column]
    hit = values >= limit if direction == ">=" else values < limit
    return rows.loc[hit].sort_values(column, ascending=direction == "<")["path"].tolist()


def _plain(found: Estimate) -> dict:
    def number(value):
        return None if value is None or np.isnan(value) else float(value)

    return {
        "value": number(found.value),
        "low": number(found.low),
        "high": number(found.high),
        "n": found.n,
        "why": found.why,
    }
