"""Commands for scores: predict, evaluate, import-predictions."""

from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import (
    Aggregation,
    Device,
    Json,
    LabelLevel,
    Name,
    StudyRule,
    messages,
    print_result,
    progress_bar,
    studies_text,
    threshold_text,
)
from core.commands.joined import AllowLostLabels, AllowUnmatched, MatchIgnoring, print_joins
from core.plural import count_text


def predict(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint: its name, or its folder.")],
    data: Name,
    split: Annotated[
        list[str] | None, typer.Option(help="Split to score: train, tune, valid or test; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write: .parquet or .csv (default: in the workspace).")
    ] = None,
    device: Device = "",
    operating_point: Annotated[
        str,
        typer.Option(metavar="ID", help="Also classify each study by this operating point; 'latest' is the newest."),
    ] = "",
    aggregation: Annotated[
        str, typer.Option(help="Must be the aggregation of the operating point (the default).")
    ] = "",
    tta: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="Average the logit over samples of this augmentation, and report the change in AUROC.",
        ),
    ] = "",
    draws: Annotated[int, typer.Option(min=1, help="Number of samples for --tta.")] = 8,
    as_json: Json = False,
) -> None:
    """Score a data set with a checkpoint: one logit per radiograph."""
    from core.data.augment import find_augmentation
    from core.data.index import read_dataset
    from core.models.checkpoint import read_checkpoint
    from core.scores.decisions import point_for
    from core.scores.json_values import json_values
    from core.scores.source import source_of
    from core.scores.test_time_augmentation import AugmentedDraws, gain_sentence
    from core.workflows.score import score

    described, dataset = read_checkpoint(checkpoint), read_dataset(data)
    if aggregation and not operating_point:
        raise typer.BadParameter("--aggregation needs --operating-point; scores are stored per radiograph.")
    if tta and operating_point:
        raise typer.BadParameter("--operating-point was chosen on scores without --tta; leave one of them out.")
    point = point_for(described, operating_point, aggregation, device) if operating_point else None
    wanted = AugmentedDraws(find_augmentation(tta), draws) if tta else None
    with progress_bar() as progress:
        done = score(source_of(described, dataset), split, progress, device, out, wanted, point)
    if done.left_out:
        first = f"{done.left_out[0]['path']}: {done.left_out[0]['reason']}"
        messages.print(
            f"{count_text(len(done.left_out), 'radiograph')} could not be decoded (first: {first})", markup=False
        )
    facts = {
        "file": str(done.file),
        "radiographs": len(done.scores),
        "splits": sorted(set(done.scores["split"])),
        "left_out": done.left_out,
    }
    lines = [f"{count_text(len(done.scores), 'radiograph')} scored by {described.reference}, in {done.file}"]
    if wanted:
        facts |= {"tta": wanted.augmentation.to_dict(), "tta_hash": wanted.augmentation.hash(), "draws": draws}
        facts["gain"] = json_values(done.gain)
        lines.append(gain_sentence(done.gain))
    if point:
        counts = {name: int(count) for name, count in done.decisions["decision"].value_counts().items()}
        facts |= {"operating_point": point.id, "threshold": point.threshold, "decisions": counts}
        facts["decisions_file"] = str(done.decisions_file)
        studies = ", ".join(f"{studies_text(count)} {name}" for name, count in counts.items())
        lines.append(f"{studies} at {point.id}, in {done.decisions_file}")
    print_result(facts, as_json, "\n".join(lines))


def evaluate(
    scored: Annotated[
        str, typer.Argument(metavar="NAME", help="A checkpoint, imported scores, or a predictions file.")
    ],
    data: Annotated[str, typer.Option("--data", help="Data set to evaluate on; it is scored if needed.")] = "",
    split: Annotated[
        str, typer.Option(help="Split to evaluate: train, tune, valid or test (default: valid if it exists).")
    ] = "",
    by: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Also evaluate each group of a column, such as bone, sex or age; numbers are cut into thirds, or at "
            "points, as in age:10,14.",
        ),
    ] = "",
    threshold: Annotated[
        float | None,
        typer.Option(
            help="A study with at least this score is called abnormal (default: the operating point of these scores, "
            "else 0.5).",
            min=0,
            max=1,
        ),
    ] = None,
    aggregation: Aggregation = "",
    level: Annotated[
        str,
        typer.Option(
            metavar="study|image",
            help="With image, the figures by radiograph are added, against the radiographs' own labels.",
        ),
    ] = "study",
    truth: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="With --level image: the truth of each radiograph that judges the scores (default: image_label).",
        ),
    ] = "",
    labels: Annotated[
        str,
        typer.Option(metavar="REVISION", help="Also evaluate by this revision of the labels: a number, or 'latest'."),
    ] = "",
    as_json: Json = False,
) -> None:
    """Evaluate scores by study: AUROC, sensitivity and specificity with intervals."""
    from core.metrics.evaluation import evaluate as evaluate_scores
    from core.metrics.evaluation import evaluate_images
    from core.metrics.radiographs import radiograph_lines
    from core.metrics.rates import further_rates, rates_text
    from core.scores.index_columns import with_index_columns
    from core.scores.loading import split_scores

    if level not in ("study", "image"):
        raise typer.BadParameter(f"--level {level}: expected study or image.")
    if truth and level != "image":
        raise typer.BadParameter("--truth judges single radiographs; pass --level image as well.")
    with progress_bar() as progress:
        frame, used = split_scores(scored, data, split, progress)
    threshold, origin, point = _threshold(scored, threshold, frame, used, aggregation)
    if by or level == "image":
        frame = with_index_columns(frame)
    facts = evaluate_scores(frame, threshold, by=by or None, aggregation=aggregation)
    lines = [
        _sentence(f"split {used}", facts),
        f"other rates at {threshold_text(facts['threshold'])}: {rates_text(facts, further_rates())}",
        *_group_lines(facts),
    ]
    if origin != "stated":
        lines.insert(1, f"threshold {threshold_text(threshold)}: {origin}")
    if labels:
        from core.review.label_revisions import with_revised_labels

        revision, corrected = with_revised_labels(frame, labels, data)
        as_labelled, facts = facts, evaluate_scores(corrected, threshold, by=by or None, aggregation=aggregation)
        facts |= {"labels": revision, "as_labelled": as_labelled}
        lines = [f"as labelled, {line}" for line in lines] + [
            _sentence(f"as adjudicated ({revision}), split {used}", facts)
        ]
        lines += [f"as adjudicated, {line}" for line in _group_lines(facts)]
    if level == "image":
        more, images = _radiograph_facts(frame, truth)
        facts |= {"image": evaluate_images(images, threshold, by or None)}
        lines += [_sentence(f"by radiograph, split {used}", facts["image"])]
        lines += [f"by radiograph, {line}" for line in _group_lines(facts["image"])]
        if more:
            facts["image"] |= {"judged": more}
            lines += radiograph_lines(more)
    facts |= {"threshold_from": origin, "operating_point": point}
    print_result({"split": used, **facts}, as_json, "\n".join(lines))


def _radiograph_facts(frame, truth: str) -> tuple[dict, object]:
    """The figures against the truth of radiographs, and the scores with that truth as `image_label`."""
    from core.data.label_levels import IMAGE_LABEL
    from core.metrics.radiographs import radiograph_facts
    from core.scores.index_columns import with_image_labels

    name = truth or IMAGE_LABEL
    facts = radiograph_facts(frame, name) if truth or name in frame else {}
    return facts, with_image_labels(frame.assign(**{IMAGE_LABEL: frame[name]}) if facts else frame)


def _threshold(scored: str, stated: float | None, frame, split: str, aggregation: str) -> tuple[float, str, str | None]:
    """The threshold, where it is from, and the id of its operating point."""
    from core.scores.source import find_source
    from core.scores.threshold_in_use import threshold_in_use

    if stated is not None:
        return stated, "stated", None
    if Path(scored).suffix in (".parquet", ".pq", ".csv"):
        return 0.5, "a file of scores has no operating point, so 0.5", None
    found = threshold_in_use(find_source(scored), str(frame["dataset"].iloc[0]), split, aggregation)
    return found.threshold, found.words, found.point.id if found.point else None


def import_predictions(
    file: Annotated[Path, typer.Argument(help="Table of scores: CSV with a header line, or Parquet.")],
    name: Annotated[str, typer.Option(help="Name of the imported scores.")],
    score: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of scores: the probability of abnormal, 0 to 1.")
    ],
    label: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Column of labels: 1 abnormal, 0 normal, empty unknown, or words such as positive / negative; not "
            "needed with --data or MURA's paths.",
        ),
    ] = "",
    logit: Annotated[bool, typer.Option("--logit", help="The scores are logits, not probabilities.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The scores are any numbers; only their order is kept.")] = False,
    invert: Annotated[
        bool, typer.Option("--invert", help="The score is that of normal: use 1 minus it (or minus it, for others).")
    ] = False,
    percent: Annotated[bool, typer.Option("--percent", help="The scores are percentages, 0 to 100.")] = False,
    study: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Column of study ids; without it each radiograph is a study, except for MURA's paths. Alone, without "
            "--image, where the scores are per study.",
        ),
    ] = "",
    image: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of radiograph ids; without it each row is a study.")
    ] = "",
    patient: Annotated[str, typer.Option(metavar="COLUMN", help="Column of patient ids.")] = "",
    bone: Annotated[str, typer.Option(metavar="COLUMN", help="Column of body parts.")] = "",
    split: Annotated[
        str,
        typer.Option(
            metavar="COLUMN", help="Column of splits: train, tune, valid or test; without it all rows are valid."
        ),
    ] = "",
    data: Annotated[str, typer.Option("--data", help="Indexed data set to which the radiographs belong.")] = "",
    label_level: LabelLevel = "",
    study_rule: StudyRule = "",
    match_ignoring: MatchIgnoring = None,
    allow_unmatched: AllowUnmatched = False,
    allow_lost_labels: AllowLostLabels = False,
    as_json: Json = False,
) -> None:
    """Import the scores of any model, to evaluate them like those of a checkpoint.

    Importing again under the same name keeps the label level and the study rule, unless others are given or the labels
    no longer fit.
    """
    from dataclasses import asdict

    from core.data.joins import check_differences
    from core.data.label_levels import LabelRule
    from core.errors import OverreadError
    from core.scores.import_frame import Columns
    from core.scores.import_join import JoinOptions
    from core.scores.json_values import json_values
    from core.workflows.import_scores import first_figures, keep_import, prepare_import

    if logit and raw:
        raise OverreadError("Pass --logit or --raw, not both.", code="options-exclusive")
    scale = "raw" if raw else "logit" if logit else "probability"
    columns = Columns(label, score, study, image, patient, bone, split, invert, percent)
    options = JoinOptions(check_differences(match_ignoring or []), allow_unmatched, allow_lost_labels)
    preview = prepare_import(file, name, columns, scale, data, LabelRule(label_level, study_rule), options)
    imported, figures = keep_import(preview), first_figures(preview.frame)
    outside = print_joins(imported.joins, imported.notes)
    print_result(
        {
            **asdict(imported),
            **outside,
            "first_figures": json_values([asdict(one) for one in figures]),
            "reference": imported.reference,
            "folder": str(imported.folder),
        },
        as_json,
        f"{name}: {count_text(imported.rows, 'row')}, {studies_text(imported.studies)}: "
        f"{imported.abnormal:,} abnormal, {imported.normal:,} normal, {imported.unknown:,} unknown; "
        f"{count_text(imported.patients, 'known patient')}; {'; '.join(map(_first_sentence, figures))}; "
        f"evaluate them with: python -m core evaluate {name}",
    )


def _first_sentence(figures) -> str:
    from core.metrics.rates import interval_text

    found = figures.auroc
    return f"AUROC on {figures.split} " + interval_text(
        {"auroc": found.value, "auroc_low": found.low, "auroc_high": found.high}, "auroc", "ratio"
    )


def _group_lines(facts: dict) -> list[str]:
    """One line a group, and one that counts what is in no group."""
    if "groups" not in facts:
        return []
    by, what = facts["by"], "radiographs" if facts["level"] == "image" else "studies"
    plain = by in ("bone", "split", "patient_id")
    lines = [_sentence(str(group[by]) if plain else f"{by} {group[by]}", group) for group in facts["groups"]]
    if facts["ungrouped"]:
        differ = "" if facts["level"] == "image" else ", or radiographs that differ in it"
        lines.append(f"{facts['ungrouped']:,} {what} have no value of {by}{differ}; they are in no group")
    return lines


def _sentence(name: str, facts: dict) -> str:
    from core.metrics.rates import headline_rates, interval_text, rates_text

    # The first interval assumes independent studies, and those of one patient are not.
    low, high = facts.get("auroc_patient_low"), facts.get("auroc_patient_high")
    by_patient = f", by patient ({low:.3f}-{high:.3f})" if low is not None and facts["patients"] < facts["n"] else ""
    what = "radiographs" if facts["level"] == "image" else "studies"
    return (
        f"{name}: {facts['n']} {what}, {facts['n_abnormal']} abnormal; AUROC "
        f"{interval_text(facts, 'auroc', 'ratio')}{by_patient}; at {threshold_text(facts['threshold'])} "
        f"{rates_text(facts, headline_rates())}{_missing(facts)}"
    )


def _missing(facts: dict) -> str:
    """Why the figures of the sentence have no interval or no value, after a semicolon; '' where all have both."""
    from core.metrics.rates import headline_rates

    shown = {"auroc": "AUROC", **{rate.name: rate.heading for rate in headline_rates()}}
    names: dict[str, list[str]] = {}
    for part in (facts.get("why") or "").split("; "):
        name, _, reason = part.partition(": ")
        if name in shown and reason:
            names.setdefault(reason, []).append(shown[name])
    return "".join(f"; {' and '.join(figures)}: {reason}" for reason, figures in names.items())
