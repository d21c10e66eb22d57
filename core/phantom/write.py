"""Write a phantom set in MURA's layout, with several processes and atomic files."""

import io
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from core.errors import OverreadError
from core.parquet_files import write_parquet
from core.paths import write_atomically
from core.phantom.draw import draw_radiograph
from core.phantom.plan import VERSION, Radiograph, StudyChoices, plan_radiographs
from core.phantom.truth import truth_row, truth_table

ROOT = "MURA-v1.1"
# Its column image_label says which radiographs show the finding: index it with --truth-column image_label.
MANIFEST = "radiographs.csv"
BATCH = 16
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class PhantomReport:
    """Counts of a phantom set. wrong_labels: studies."""

    folder: Path
    radiographs: int
    studies: int
    patients: int
    wrong_labels: int


def write_phantoms(
    out: Path,
    patients: int,
    seed: int,
    progress: Progress | None = None,
    processes: int | None = None,
    valid_fraction: float = 0.2,
    choices: StudyChoices = StudyChoices(),
) -> PhantomReport:
    """Write synthetic radiographs with known truth below `out`, in MURA's layout; same arguments, same bytes.

    A complete set of the same arguments is not drawn again; an incomplete one is. OverreadError for invalid arguments,
    for a folder with anything else, and for a disk that cannot be written.
    """
    _check_values(patients, seed, valid_fraction, choices.wrong_labels)
    folder = Path(out) / ROOT
    description = {
        "phantom": True,
        "version": VERSION,
        "seed": seed,
        "patients": patients,
        "valid_fraction": valid_fraction,
        "wrong_labels": choices.wrong_labels,
        # Left out where nothing was asked for, as in the notes of earlier versions, so that their sets are not refused.
        **{name: value for name, value in asdict(choices).items() if value and name != "wrong_labels"},
    }
    radiographs = plan_radiographs(patients, seed, valid_fraction, choices)
    try:
        complete = _claim(folder, description)
        if not complete:
            _write(folder, radiographs, progress, processes or os.cpu_count() or 1)
    except OSError as error:
        raise OverreadError(
            f"Writing phantoms to {folder} failed ({error.strerror or error}); expected a writable folder with about "
            f"{len(radiographs) * 0.09 + 1:.0f} MB free. Free some space or choose another folder.",
            code="phantoms-not-written",
        ) from error
    flipped = {radiograph.study for radiograph in radiographs if radiograph.true_label != radiograph.given_label}
    studies = {radiograph.study for radiograph in radiographs}
    return PhantomReport(folder, len(radiographs), len(studies), patients, len(flipped))


def _check_values(patients: int, seed: int, valid_fraction: float, wrong_labels: float) -> None:
    if patients < 1:
        raise OverreadError(f"The number of patients is {patients}; expected 1 to 99999.", code="patients-invalid")
    if patients > 99_999:
        raise OverreadError(
            f"The number of patients is {patients}; expected 1 to 99999, since MURA's folder names have five digits.",
            code="patients-invalid",
        )
    if seed < 0:
        raise OverreadError(f"The seed is {seed}; expected a whole number of at least 0.", code="seed-invalid")
    for name, share in (("valid_fraction", valid_fraction), ("wrong_labels", wrong_labels)):
        if not 0 <= share < 1:
            raise OverreadError(f"{name} is {share}; expected a share from 0 to below 1.", code="share-invalid")


def _claim(folder: Path, description: dict) -> bool:
    """Reserve the folder for this set. True if it already has the complete set."""
    note = folder / "phantom.json"
    if folder.exists() and any(folder.iterdir()):
        found = _read_note(note)
        if found != description:
            what = f"another phantom set ({_in_words(found)})" if found else "files of something else"
            raise OverreadError(
                f"{folder} contains {what}; expected an empty folder or the set with {_in_words(description)}. "
                "Choose another folder or remove it.",
                code="phantom-folder-taken",
            )
        return (folder / "truth.parquet").exists()
    folder.mkdir(parents=True, exist_ok=True)
    _replace(note, (json.dumps(description, indent=2) + "\n").encode())
    return False


def _read_note(note: Path) -> dict | None:
    try:
        found = json.loads(note.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _in_words(description: dict) -> str:
    names = ["patients", "seed", "valid_fraction", "wrong_labels", "version"]
    names += [name for name in ("views", "finding") if name in description]
    return ", ".join(f"{name} {description.get(name, '?')}" for name in names)


def _write(folder: Path, radiographs: list[Radiograph], progress: Progress | None, processes: int) -> None:
    jobs = [(folder, radiographs[start : start + BATCH]) for start in range(0, len(radiographs), BATCH)]
    rows: list[dict] = []
    for batch in _run(jobs, min(processes, len(jobs))):
        rows += batch
        if progress:
            progress(len(rows), len(radiographs), "radiographs drawn")
    truth = truth_table(rows)
    for split in ("train", "valid"):
        _write_lists(folder, split, truth[truth["split"] == split])
    manifest = truth[["image_id", "bone", "given_label", "patient", "view", "split"]].assign(
        study=truth["study"].str.rsplit("/").str[-1].str.split("_").str[0], image_label=truth["visible"].astype(int)
    )
    manifest = manifest.rename(columns={"image_id": "path", "given_label": "label"})
    _replace(folder / MANIFEST, manifest.to_csv(index=False).encode())
    write_parquet(folder / "truth.parquet", truth)  # last: it marks a complete set


def _run(jobs: list, processes: int) -> Iterator[list[dict]]:
    if processes <= 1:
        yield from map(_write_batch, jobs)
        return
    # spawn on every system: a forked child of a program with threads (a page, torch) can hang.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            yield from pool.map(_write_batch, jobs)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _write_batch(job: tuple[Path, list[Radiograph]]) -> list[dict]:
    folder, radiographs = job
    rows = []
    for radiograph in radiographs:
        drawn = draw_radiograph(radiograph)
        path = folder / radiograph.image_id
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        Image.fromarray(drawn.pixels).save(buffer, format="PNG", compress_level=1)
        _replace(path, buffer.getvalue())
        rows.append(truth_row(radiograph, drawn))
    return rows


def _write_lists(folder: Path, split: str, truth: pd.DataFrame) -> None:
    """Write the two lists of a split, without header, as in MURA."""
    paths = [f"{ROOT}/{image_id}\n" for image_id in truth["image_id"]]
    studies = truth.drop_duplicates("study")
    labels = [f"{ROOT}/{study}/,{label}\n" for study, label in zip(studies["study"], studies["given_label"])]
    _replace(folder / f"{split}_image_paths.csv", "".join(paths).encode())
    _replace(folder / f"{split}_labeled_studies.csv", "".join(labels).encode())


def _replace(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    write_atomically(path, lambda new: new.write_bytes(content))
