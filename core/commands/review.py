"""Commands for reading: verdicts, labels, embed, label-audit."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import Device, Json, Name, messages, print_result, progress_bar
from core.commands.joined import AllowUnmatched, print_joins
from core.plural import count_text

verdicts = typer.Typer(no_args_is_help=True, help="Export and import readers' verdicts as CSV.")
Data = Annotated[str, typer.Option("--data", help="Name of a data set (default: all).")]


@verdicts.command("export")
def export_verdicts(
    out: Annotated[Path, typer.Option(help="CSV file to write.")], data: Data = "", as_json: Json = False
) -> None:
    """Write every verdict as CSV, undone ones included."""
    from core.review.store import open_store
    from core.review.verdict_files import export_csv

    count = export_csv(open_store(), out, data)
    print_result({"file": str(out), "entries": count}, as_json, f"{count_text(count, 'entry')} in {out}")


@verdicts.command("import")
def import_verdicts(
    file: Annotated[Path, typer.Argument(help="CSV file, as `verdicts export` writes it, or with fewer columns.")],
    data: Data = "",
    skip: Annotated[bool, typer.Option("--skip", help="Leave invalid rows out and list them.")] = False,
    keep_unknown: Annotated[
        bool, typer.Option("--keep-unknown", help="Import verdicts on studies that are in no index here.")
    ] = False,
    allow_unmatched: AllowUnmatched = False,
    as_json: Json = False,
) -> None:
    """Import verdicts from a CSV file. If a row is invalid, nothing is imported. A verdict is never imported twice."""
    from core.review.store import open_store
    from core.review.verdict_files import import_csv

    done = import_csv(open_store(), file, data, skip=skip, keep_unknown=keep_unknown, allow_unmatched=allow_unmatched)
    facts = {name: value for name, value in asdict(done).items() if name not in ("join", "notes")}
    facts |= print_joins([done.join], list(done.notes))
    for row in done.skipped[:20]:
        messages.print(f"line {row['line']} left out: {row['reason']}", markup=False)
    readers = f"; new readers: {', '.join(done.new_reviewers)}" if done.new_reviewers else ""
    print_result(
        facts,
        as_json,
        f"{count_text(done.imported, 'entry')} imported, {done.already:,} imported before, {len(done.skipped):,} left "
        f"out{readers}",
    )


@verdicts.command("verify")
def verify_verdicts(as_json: Json = False) -> None:
    """Compare every entry of the review database with the chain of hashes; exit status 1 if anything was altered."""
    from core.review.store import open_store
    from core.workflows.verify_verdicts import verify_verdicts as verify

    store = open_store()
    report = verify(store)
    for problem in report.problems[:20]:
        messages.print(problem, markup=False)
    if len(report.problems) > 20:
        messages.print(f"... and {len(report.problems) - 20} more; --json lists them all")
    print_result(asdict(report), as_json, f"{store.place}: {report.sentence}")
    if report.problems:
        raise typer.Exit(1)


labels = typer.Typer(no_args_is_help=True, help="Revisions of the labels after review.")


@labels.command("accept")
def accept_labels(
    data: Name,
    author: Annotated[str, typer.Option(help="Name of the person who accepts them.")],
    rule: Annotated[str, typer.Option(help="Which verdicts decide a label: agreed, two or adjudicated.")] = "agreed",
    as_json: Json = False,
) -> None:
    """Accept the current verdicts as a revision of the labels. The original labels are kept."""
    from core.review.store import open_store
    from core.workflows.accept_labels import accept_labels as accept

    facts = accept(open_store(), data, author, rule)
    outcomes = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in facts["outcomes"].items())
    print_result(facts, as_json, f"revision {facts['reference']} of {data}: {outcomes}")


@labels.command("list")
def list_labels(data: Name, as_json: Json = False) -> None:
    """List the revisions of a data set's labels."""
    from core.review.label_revisions import list_revisions
    from core.review.store import open_store

    found = list_revisions(open_store(), data)
    lines = [f"{one.reference}: by {one.author} on {one.created[:10]}, rule {one.rule}" for one in found]
    facts = {"revisions": [{**asdict(one), "reference": one.reference} for one in found]}
    print_result(facts, as_json, "\n".join(lines) or f"There is no label revision of {data}.")


def embed(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint: its name, or its folder.")],
    data: Name,
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Store each radiograph's feature vector, so that the pages can show similar studies."""
    from core.data.index import read_dataset
    from core.models.checkpoint import read_checkpoint
    from core.scores.embeddings import compute_embeddings, embeddings_files
    from core.scores.source import source_of

    source = source_of(read_checkpoint(checkpoint), read_dataset(data))
    with progress_bar() as progress:
        found = compute_embeddings(source, progress, device)
    file = embeddings_files(source)[0]
    facts = {"file": str(file), "radiographs": len(found.rows), "width": found.vectors.shape[1]}
    print_result(
        facts, as_json, f"{count_text(facts['radiographs'], 'radiograph')} as {facts['width']} numbers each, in {file}"
    )


def label_audit(
    scored: Annotated[
        str, typer.Argument(metavar="NAME", help="A checkpoint, imported scores, or a predictions file.")
    ],
    data: Name,
    scores: Annotated[
        Path | None,
        typer.Option(help="Table of out-of-fold scores (CSV or Parquet): study_id, score and optionally aum."),
    ] = None,
    features: Annotated[
        bool,
        typer.Option(
            "--features", help="Score by logistic regression on the checkpoint's features, by cross-validation."
        ),
    ] = False,
    order: Annotated[
        str,
        typer.Option(
            help="Order of the list: noise_rate, self_confidence, margin, or aum (how late a study was learned)."
        ),
    ] = "noise_rate",
    out: Annotated[
        Path | None, typer.Option(help="CSV file to write, with all studies, the most suspicious first.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Number of studies to print.")] = 20,
    level: Annotated[
        str,
        typer.Option(
            metavar="study|image",
            help="With image, rank the radiographs of abnormal studies that are probably normal themselves.",
        ),
    ] = "study",
    truth: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="With --level image: also print how many of the first radiographs are normal by this column.",
        ),
    ] = "",
    weights: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Store weights of the suspected radiographs for a training: each gets the score of its given label.",
        ),
    ] = "",
    first: Annotated[
        int,
        typer.Option(metavar="K", min=0, help="With --weights: the first K of train get --weight, the others 1."),
    ] = 0,
    weight: Annotated[
        float, typer.Option(min=0, help="With --first: their weight in the loss; 0 leaves them out.")
    ] = 0.0,
    allow_unmatched: AllowUnmatched = False,
    as_json: Json = False,
) -> None:
    """Rank labels that may be wrong, by scores of networks that were not trained on them."""
    if level not in ("study", "image"):
        raise typer.BadParameter(f"--level {level}: expected study or image.")
    if truth and level != "image":
        raise typer.BadParameter("--truth is for figures by radiograph; pass --level image as well.")
    if (first or weight) and not (weights and first):
        raise typer.BadParameter("--first and --weight describe the weights to store; pass --weights NAME --first K.")
    from core.workflows.label_audit import WeightOrder, keep_weights, rank_labels

    asked = WeightOrder(weights, first, weight) if weights else None
    if level == "image":
        _audit_radiographs(scored, data, truth, out, top, as_json, asked)
        return
    from core.data.spreadsheet import csv_for_spreadsheets
    from core.paths import write_atomically

    with progress_bar() as progress:
        source, file = _scores_on("" if scores else scored, data)
        ranked = rank_labels(source, order, scores, features, progress, allow_unmatched, file)
    outside = print_joins(list(ranked.joins), list(ranked.notes))
    if ranked.warning:
        messages.print(ranked.warning, markup=False)
    table = ranked.table
    if out:
        write_atomically(out, lambda path: path.write_text(csv_for_spreadsheets(table), encoding="utf-8", newline=""))
    kept = keep_weights(table, source.indexed, asked) if asked else None
    shown = table.head(top)
    facts = {
        "scores": ranked.basis,
        "studies": len(table),
        "suspects": int(table["suspect"].sum()),
        "estimated_wrong": {name: None if value != value else value for name, value in ranked.wrong.items()},
        "ranked": shown.to_dict("records"),
        "file": str(out) if out else None,
        "weights": kept.reference if kept else None,
        **outside,
    }
    lines = [
        f"{count_text(len(table), 'study')} by {ranked.basis}; {facts['suspects']:,} suspects (confident learning, "
        "Northcutt 2021)"
    ]
    lines += [
        f"{row.rank}. {row.study_id}: labelled {'abnormal' if row.label else 'normal'}, score {row.score:.3f}"
        for row in shown.itertuples()
    ]
    print_result(facts, as_json, "\n".join([*lines, *([kept.words] if kept else [])]))


def _scores_on(scored: str, data: str):
    """The source on this data set, and None; for a predictions file or '' the data set alone, and the file."""
    from core.data.index import read_dataset
    from core.scores.loading import find_scores
    from core.scores.source import Source, source_of

    dataset, found = read_dataset(data), find_scores(scored) if scored else None
    return (source_of(found.model, dataset), None) if isinstance(found, Source) else (source_of(None, dataset), found)


def _audit_radiographs(scored: str, data: str, truth: str, out: Path | None, top: int, as_json: bool, asked) -> None:
    """Rank radiographs of abnormal studies by their own scores, and count the normal ones where a truth is known."""
    import pandas as pd

    from core.data.spreadsheet import csv_for_spreadsheets
    from core.metrics.radiographs import truth_of
    from core.paths import write_atomically
    from core.review.radiograph_issues import ORDERS, hits_by_rank, rank_radiographs
    from core.scores.index_columns import with_index_columns
    from core.scores.loading import stored_scores
    from core.workflows.label_audit import keep_weights

    source, file = _scores_on(scored, data)
    frame = with_index_columns(stored_scores(file or source))
    ranked = rank_radiographs(frame)
    if out:
        write_atomically(out, lambda path: path.write_text(csv_for_spreadsheets(ranked), encoding="utf-8", newline=""))
    first = ranked.head(top)
    lines = [f"{row.rank}. {row.image_id}: score {row.score:.3f}" for row in first.itertuples()]
    judged = []
    if truth:
        known = pd.Series(truth_of(frame, truth), frame["image_id"])
        for order in ORDERS:
            for row in hits_by_rank(rank_radiographs(frame, order), known).itertuples():
                share = row.precision
                bounds = {"precision": share.value, "precision_low": share.low, "precision_high": share.high}
                judged.append({"order": order, "k": row.k, "found": row.found, **bounds, "random": row.random})
                lines.append(
                    f"order {order}: {row.found} of the first {row.k} are normal by {truth}, {share.value:.1%} "
                    f"({share.low:.1%}-{share.high:.1%}); {row.random:.1%} by chance"
                )
    kept = keep_weights(ranked, source.indexed, asked) if asked else None
    facts = {"radiographs": len(ranked), "ranked": first.to_dict("records"), "judged": judged, "file": str(out or "")}
    facts["weights"] = kept.reference if kept else None
    lines += [kept.words] if kept else []
    what = f"{count_text(len(ranked), 'radiograph')} of abnormal studies, those first that are probably normal"
    print_result(facts, as_json, "\n".join([what, *lines]))
