"""Commands for data sets: phantom, index, demo."""

from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import Json, LabelLevel, StudyRule, messages, print_result, progress_bar, studies_text
from core.commands.joined import AllowLostLabels, AllowUnmatched, MatchIgnoring, print_joins
from core.plural import count_text


def phantom(
    out: Annotated[Path, typer.Option(help="Folder in which MURA-v1.1/ is written.")],
    patients: Annotated[int, typer.Option(help="Number of patients.")] = 300,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed draws the same phantoms.")] = 0,
    views: Annotated[
        int, typer.Option(min=0, help="Number of views of each study, 1 to 5 (0: different numbers, as in MURA).")
    ] = 0,
    finding_views: Annotated[
        int, typer.Option(min=0, help="Number of views that show the finding of an abnormal study (0: nearly all).")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Draw phantoms: synthetic radiographs whose findings are known, in the folder layout of MURA.

    The set also has radiographs.csv, which says for each radiograph whether it shows the finding; index that file with
    --truth-column image_label to judge single radiographs.
    """
    from core.phantom import StudyChoices, write_phantoms

    with progress_bar() as progress:
        report = write_phantoms(out, patients, seed, progress=progress, choices=StudyChoices(views, finding_views))
    facts = {name: getattr(report, name) for name in ("radiographs", "studies", "patients", "wrong_labels")}
    print_result(
        {"folder": str(report.folder), **facts},
        as_json,
        f"{count_text(report.radiographs, 'phantom')} of {studies_text(report.studies)} and "
        f"{count_text(report.patients, 'patient')} in {report.folder}; "
        f"{studies_text(report.wrong_labels)} with a wrong label on purpose",
    )


def index(
    path: Annotated[
        Path,
        typer.Argument(
            help="A MURA folder, a manifest (CSV or Parquet), a folder with labels.csv, a folder of DICOM files, or a "
            "zip of one of these."
        ),
    ],
    name: Annotated[str, typer.Option(help="Name of the new data set.")],
    column: Annotated[
        list[str] | None, typer.Option(help="Name of a manifest's column, as ours=theirs; may be repeated.")
    ] = None,
    valid_fraction: Annotated[
        float, typer.Option(help="Share of patients in the split 'valid' if the source has no splits; 0 for none.")
    ] = 0.2,
    folds: Annotated[int, typer.Option(help="Number of folds within train; a patient is in one fold.")] = 10,
    seed: Annotated[int, typer.Option(help="Random seed of splits and folds.")] = 0,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Table of labels for DICOM: label, and path, SOPInstanceUID, StudyInstanceUID or AccessionNumber."
        ),
    ] = None,
    match_ignoring: MatchIgnoring = None,
    allow_unmatched: AllowUnmatched = False,
    allow_lost_labels: AllowLostLabels = False,
    label_level: LabelLevel = "",
    study_rule: StudyRule = "",
    truth_column: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Column of a manifest with the truth of each radiograph, where labels belong to studies. It is used "
            "for evaluation (evaluate --level image) and never for training.",
        ),
    ] = "",
    table: Annotated[str, typer.Option(help="The table that lists the radiographs, where a folder has several.")] = "",
    guess_columns: Annotated[
        bool,
        typer.Option(
            "--guess-columns", help="Accept columns whose names are similar to the expected ones, and report them."
        ),
    ] = False,
    new: Annotated[bool, typer.Option("--new", help="Refuse a name that a data set has already.")] = False,
    allow_outside: Annotated[
        bool,
        typer.Option(
            "--allow-outside",
            help="Accept files that are not in the folder: absolute paths, '..' and links. Every reader can see them.",
        ),
    ] = False,
    split_of: Annotated[
        str,
        typer.Option(
            metavar="DATA",
            help="Take the split and folds of this data set for the radiographs that it has too, in any encoding.",
        ),
    ] = "",
    preview: Annotated[
        bool,
        typer.Option(
            "--preview", help="Report what would be indexed and how it would be split, and write no data set."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Index radiographs as a data set, and list every file that cannot be used, with the reason.

    Indexing again under the same name reads only added and changed files, and keeps each patient in its split.
    The label level and the study rule (any at first) stay too, unless others are given or the labels no longer fit.
    A zip is unpacked below OVERREAD_HOME first. Indexing that was stopped continues where it was.
    """
    from core.data.datasets import study_label_counts
    from core.paths import dataset_folder
    from core.schema import bone_order
    from core.workflows import adding
    from core.workflows.data_request import DataRequest

    request = DataRequest(
        str(path),
        name,
        pairs(column or []) | ({"truth": truth_column} if truth_column else {}),
        str(labels or ""),
        tuple(match_ignoring or ()),
        allow_unmatched,
        allow_lost_labels,
        label_level,
        study_rule,
        valid_fraction,
        folds,
        seed,
        table,
        guess_columns,
        new,
        allow_outside,
        split_of,
    )
    with progress_bar() as progress:
        prepared = adding.look(request, progress) if preview else adding.add(request, progress)
    indexed = prepared.indexed
    frame = indexed.frame
    outside = print_joins(indexed.joins, indexed.notes)
    conflicting = {entry["path"] for entry in indexed.conflicts}
    _name_unlabelled([path for path in frame["path"][frame["label"].isna()] if path not in conflicting], len(frame))
    for kind in ("unreadable", "stray", "conflicts", "converted"):
        listed = getattr(indexed, kind)
        for entry in listed[:10]:
            messages.print(f"[yellow]{kind}[/yellow] ", end="")
            messages.print(f"{entry['path']}: {entry['reason']}", markup=False)
        if len(listed) > 10:
            where = "" if preview else f", in {dataset_folder(name) / 'problems.json'}"
            messages.print(f"... and {len(listed) - 10} more {kind}{where}", markup=False)
    facts = {
        "name": name,
        "radiographs": len(frame),
        "studies": frame["study_id"].nunique(),
        "patients": frame["patient_id"].nunique(),
        "bones": {bone: int((frame["bone"] == bone).sum()) for bone in bone_order(frame["bone"])},
        "splits": {split: int(count) for split, count in frame["split"].value_counts().items()},
        "splits_from": frame.attrs["splits_from"],
        "label_level": indexed.label_level,
        "study_rule": indexed.study_rule,
        "radiographs_without_patient": int(frame["patient_id"].isna().sum()),
        "unreadable": indexed.unreadable,
        "stray": indexed.stray,
        "conflicts": indexed.conflicts,
        "converted": indexed.converted,
        **indexed.changes,
        **study_label_counts(frame),
        **outside,
    }
    changed = ", ".join(f"{count} {what}" for what, count in indexed.changes.items() if count)
    print_result(
        facts,
        as_json,
        f"{name}{' (preview)' * preview}: {count_text(facts['radiographs'], 'radiograph')}, "
        f"{count_text(facts['studies'], 'study')}, "
        f"{_patients_text(facts)}; "
        f"{', '.join(f'{bone} {count}' for bone, count in facts['bones'].items())}; "
        f"{len(indexed.unreadable)} unreadable ({changed}); studies: {facts['abnormal']} abnormal, "
        f"{facts['normal']} normal, {facts['unknown']} unknown; "
        f"radiographs by split: {', '.join(f'{split} {count:,}' for split, count in facts['splits'].items())}",
    )


def _patients_text(facts: dict) -> str:
    if not facts["radiographs_without_patient"]:
        return count_text(facts["patients"], "patient")
    if not facts["patients"]:
        return "no patient is known"
    without = count_text(facts["radiographs_without_patient"], "radiograph")
    return f"{count_text(facts['patients'], 'known patient')} and {without} without one"


def _name_unlabelled(missing: list[str], of: int) -> None:
    """Name the first radiographs without a label, unless no radiograph has one."""
    if not missing or len(missing) == of:
        return
    more = f" and {len(missing) - 3:,} more" if len(missing) > 3 else ""
    messages.print("[yellow]no label[/yellow] ", end="")
    messages.print(f"{', '.join(missing[:3])}{more}: indexed, and left out of training and figures", markup=False)


def demo() -> None:
    """Make the demo data set: draw phantoms, index them and score them with the shipped checkpoints.

    A demo that was interrupted is continued.
    """
    from core.data.index import read_index
    from core.demo import ensure_demo

    told: list[str] = []
    with progress_bar() as progress:

        def tell(fraction: float, what: str) -> None:
            progress(round(1000 * fraction), 1000, what)
            if not messages.is_terminal and told[-1:] != [what]:  # without a bar, one line for each activity
                told.append(what)
                messages.print(f"demo: {what}", markup=False)

        dataset = ensure_demo(tell)
    messages.print(
        f"demo: {count_text(len(read_index(dataset.name)), 'radiograph')}, scored by the shipped checkpoints. "
        "Open the pages with: python -m core dashboard",
        markup=False,
    )


def pairs(columns: list[str]) -> dict[str, str]:
    """`ours=theirs` as a mapping. A text without an equals sign is wrong use (exit status 2)."""
    if bad := [text for text in columns if "=" not in text]:
        raise typer.BadParameter(f"--column {bad[0]}: expected ours=theirs, as in patient=patient_or_study_id.")
    return dict(text.split("=", 1) for text in columns)
