"""The layout of FracAtlas: `images/Fractured`, `images/Non_fractured` and `dataset.csv`, as a manifest.

Abedeen et al., FracAtlas: A Dataset for Fracture Classification, Localization and Segmentation of Musculoskeletal
Radiographs. Sci Data 10, 521 (2023). The set names no patients, and each radiograph is taken as its own study.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.data.attribution import DatasetAttribution
from core.data.cells import read_labels, text_of
from core.data.notes import Note
from core.data.tables import read_table
from core.errors import OverreadError
from core.paths import write_atomically
from core.plural import count_text

TABLE, MANIFEST = "dataset.csv", "fracatlas.csv"
FOLDERS = {"Fractured": 1, "Non_fractured": 0}
BONES = ("hand", "leg", "hip", "shoulder")
VIEWS = ("frontal", "lateral", "oblique")
KEPT = ("hardware", "multiscan", "fracture_count", *VIEWS)
ATTRIBUTION = DatasetAttribution(
    "FracAtlas",
    "Iftekharul Abedeen; Md. Ashiqur Rahman; Fatema Zohra Prottyasha; Tasnim Ahmed; Tareque Mohmud Chowdhury; "
    "Swakkhar Shatabda",
    "CC BY 4.0",
    "https://creativecommons.org/licenses/by/4.0/",
    "https://doi.org/10.6084/m9.figshare.22363012",
    "Abedeen I. et al. FracAtlas: A Dataset for Fracture Classification, Localization and Segmentation of "
    "Musculoskeletal Radiographs. Sci Data 10, 521 (2023).",
)


@dataclass(frozen=True)
class FracAtlasTable:
    """The rows as a manifest, and notes on labels and files that do not agree."""

    frame: pd.DataFrame
    notes: list[Note]


def is_fracatlas(root: Path) -> bool:
    """Whether a folder is FracAtlas as it is published."""
    return (root / TABLE).is_file() and any((root / "images" / folder).is_dir() for folder in FOLDERS)


def read_fracatlas(root: Path) -> FracAtlasTable:
    """Every image of `dataset.csv` whose file exists. Its label is its folder, which doctors checked last.

    A radiograph of several regions has the bone 'mixed', as in the set's own column. OverreadError where no image
    exists.
    """
    table = read_table(root / TABLE)
    named = {name: table.column(name, "FracAtlas") for name in ("image_id", "fractured", *BONES, *KEPT)}
    rows = pd.DataFrame({ours: text_of(table.frame[theirs]) for ours, theirs in named.items()})
    placed = {
        file.name: folder for folder in FOLDERS for file in (root / "images" / folder).glob("*") if file.is_file()
    }
    folder = rows["image_id"].map(placed)
    missing, found = int(folder.isna().sum()), rows[folder.notna()].reset_index(drop=True)
    folder = folder.dropna().reset_index(drop=True)
    if found.empty:
        raise OverreadError(
            f"No image of {root / TABLE} is in {root / 'images'}; expected the folders {' and '.join(FOLDERS)} with "
            "IMG0000000.jpg and so on. Unpack the set again.",
            code="fracatlas-no-image",
        )
    parts = pd.DataFrame({bone: read_labels(found[bone])[0] == 1 for bone in BONES})
    views = pd.DataFrame({view: read_labels(found[view])[0] == 1 for view in VIEWS})
    frame = pd.DataFrame(
        {
            "path": "images/" + folder + "/" + found["image_id"],
            "label": folder.map(FOLDERS),
            "bone": parts.idxmax(axis=1).where(parts.sum(axis=1) == 1, "mixed"),
            "view": views.apply(lambda row: " ".join(name for name in VIEWS if row[name]), axis=1),
            **{name: found[name] for name in KEPT},
        }
    )
    return FracAtlasTable(frame, _notes(frame, found, missing, set(placed) - set(rows["image_id"])))


def write_manifest(root: Path) -> list[Note]:
    """Write the manifest beside the images, from which the set is indexed. Returns the notes."""
    made = read_fracatlas(root)
    write_atomically(root / MANIFEST, lambda path: made.frame.to_csv(path, index=False))
    return made.notes


def _notes(frame: pd.DataFrame, rows: pd.DataFrame, missing: int, unlisted: set[str]) -> list[Note]:
    notes = []
    differ = frame["label"] != read_labels(rows["fractured"])[0]
    if differ.any():
        first = ", ".join(rows.loc[differ, "image_id"].head(3))
        notes.append(
            Note(
                f"{TABLE} and the folders disagree on {count_text(int(differ.sum()), 'label')} (first: {first}); the "
                "folder is used",
                "fracatlas-labels-differ",
            )
        )
    if missing:
        notes.append(Note(f"there is no file for {count_text(missing, 'image')} of {TABLE}", "fracatlas-no-file"))
    if unlisted:
        notes.append(Note(f"{TABLE} lacks {count_text(len(unlisted), 'image')} of the folders", "fracatlas-unlisted"))
    return notes
