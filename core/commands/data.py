"""Commands over data sets: phantom, index, demo."""

from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import Json, bar, messages, tell


def phantom(
    out: Annotated[Path, typer.Option(help="Folder that gets MURA-v1.1/.")],
    patients: Annotated[int, typer.Option(help="How many patients.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed draws the same phantoms.")] = 0,
    as_json: Json = False,
) -> None:
    """Draw phantoms: synthetic radiographs with known truth, in MURA's folder layout."""
    from core.phantom import write_phantoms

    with bar() as progress:
        report = write_phantoms(out, patients, seed, progress=progress)
    facts = {name: getattr(report, name) for name in ("radiographs", "studies", "patients", "wrong_labels")}
    tell(
        {"folder": str(report.folder), **facts},
        as_json,
        f"{report.radiographs} phantoms of {report.studies} studies and {report.patients} patients in {report.folder}; "
        f"{report.wrong_labels} studies labelled wrongly on purpose",
    )


def index(
    path: Annotated[
        Path,
        typer.Argument(help="A MURA folder, a manifest (CSV, Parquet), a folder with labels.csv, or one of DICOM."),
    ],
    name: Annotated[str, typer.Option(help="What to call the data set.")],
    column: Annotated[
        list[str] | None, typer.Option(help="ours=theirs, for a manifest's columns; may be repeated.")
    ] = None,
    valid_fraction: Annotated[
        float, typer.Option(help="Share of patients for 'valid' where the source has no splits; 0 for none.")
    ] = 0.2,
    folds: Annotated[int, typer.Option(help="Folds of train, by patient.")] = 10,
    seed: Annotated[int, typer.Option(help="Decides splits and folds.")] = 0,
    labels: Annotated[
        Path | None,
        typer.Option(help="Labels for DICOM: label, and path, SOPInstanceUID, StudyInstanceUID or AccessionNumber."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Index radiographs under a name, with every file that cannot be used and why.

    Again under the same name, only files that were added or changed are read, and patients stay where they were dealt.
    """
    from core.data.index import SourceTables, build_index, read_earlier_index, write_dataset
    from core.paths import checked_name
    from core.schema import bone_order

    checked_name(name)
    with bar() as progress:
        indexed = build_index(
            path,
            SourceTables(pairs(column or []), labels),
            valid_fraction,
            folds,
            seed,
            progress,
            read_earlier_index(name, path),
        )
    dataset, frame = write_dataset(name, indexed), indexed.frame
    for kind in ("unreadable", "stray", "conflicts", "converted"):
        listed = getattr(indexed, kind)
        for entry in listed[:10]:
            messages.print(f"[yellow]{kind}[/yellow] ", end="")
            messages.print(f"{entry['path']}: {entry['reason']}", markup=False)
        if len(listed) > 10:
            messages.print(
                f"... and {len(listed) - 10} more {kind}, in {dataset.folder / 'problems.json'}", markup=False
            )
    facts = {
        "name": name,
        "radiographs": len(frame),
        "studies": frame["study_id"].nunique(),
        "patients": dataset.patients_known,
        "bones": {bone: int((frame["bone"] == bone).sum()) for bone in bone_order(frame["bone"])},
        "splits": {split: int(count) for split, count in frame["split"].value_counts().items()},
        "splits_from": dataset.splits_from,
        "radiographs_without_patient": int(frame["patient_id"].isna().sum()),
        "unreadable": indexed.unreadable,
        "stray": indexed.stray,
        "conflicts": indexed.conflicts,
        "converted": indexed.converted,
        **indexed.changes,
    }
    changed = ", ".join(f"{count} {what}" for what, count in indexed.changes.items() if count)
    tell(
        facts,
        as_json,
        f"{name}: {facts['radiographs']} radiographs, {facts['studies']} studies, {facts['patients']} known patients; "
        f"{', '.join(f'{bone} {count}' for bone, count in facts['bones'].items())}; "
        f"{len(indexed.unreadable)} unreadable ({changed})",
    )


def demo() -> None:
    """Make the demo: phantoms, indexed, and scored by the shipped checkpoints. What is there already is kept."""
    from core.demo import ensure_demo

    with bar() as progress:
        ensure_demo(lambda fraction, what: progress(round(1000 * fraction), 1000, what))


def pairs(columns: list[str]) -> dict[str, str]:
    """`ours=theirs` as a mapping. Wrong use exits with 2."""
    if bad := [text for text in columns if "=" not in text]:
        raise typer.BadParameter(f"--column {bad[0]}: expected ours=theirs, as in patient=patient_or_study_id.")
    return dict(text.split("=", 1) for text in columns)
