"""The command evaluate: figures of a checkpoint, of imported scores or of a file of predictions."""

from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import Aggregation, Json, print_result, progress_bar, threshold_text


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
            help="With image, add figures by radiograph, from the radiographs' own labels.",
        ),
    ] = "study",
    truth: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="With --level image: column with the truth of each radiograph (default: image_label).",
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
    from core.scores.loading import find_scores, split_scores
    from core.scores.shards import OF_STUDIES

    if level not in ("study", "image"):
        raise typer.BadParameter(f"--level {level}: expected study or image.")
    if truth and level != "image":
        raise typer.BadParameter("--truth is for figures by radiograph; pass --level image as well.")
    with progress_bar() as progress:
        wanted = ["image_id", *OF_STUDIES, "precision", by]
        frame, used = split_scores(find_scores(scored, data), split, progress, columns=wanted)
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


def _group_lines(facts: dict) -> list[str]:
    """One line per group, and one that counts what is in no group."""
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
