"""Commands for serving: read, serve, token, decisions."""

from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import Device, Json, print_result
from core.errors import OverreadError

Points = Annotated[
    list[str] | None,
    typer.Option(
        "--point",
        metavar="ID",
        help="Operating point that decides: an id, 'latest' (the default), or 'none'. With two, studies between their "
        "thresholds are referred.",
    ),
]


def read(
    files: Annotated[list[Path], typer.Argument(help="The radiographs of one study: PNG, JPEG or DICOM files.")],
    model: Annotated[str, typer.Option(metavar="CHECKPOINT", help="A checkpoint: its name or folder.")],
    bone: Annotated[str, typer.Option(help="The bone; radiographs whose header names another are left out.")] = "",
    point: Points = None,
    maps: Annotated[
        bool, typer.Option("--maps", help="Add a saliency map of each radiograph, with the result of its checks.")
    ] = False,
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Read one study: the score of each radiograph, the study's score, and the decision at the operating point."""
    from core.serving import load

    reader = load(model, point or ("latest",), device)
    if maps:
        from core.serving.saliency import read_with_maps

        answer = read_with_maps(reader, files, bone)
    else:
        answer = reader.read(files, bone)
    facts = answer.to_dict()
    lines = [
        f"{view.file}: {f'score {view.score:.3f}' if view.usable else f'not used, {view.why}'}" for view in answer.views
    ]
    lines += [
        f"map of {view.file}: {view.saliency['verdict']}, {view.saliency['why']}"
        for view in answer.views
        if view.saliency
    ]
    if answer.score is None:
        lines.append(answer.why)
    else:
        lines.append(f"study: score {answer.score:.3f}, {answer.decision or 'no decision'}. {answer.why}")
    if answer.thresholds.points:
        lines.append(f"operating point {facts['point']['id']}: {answer.thresholds.guarantee}")
    elif not point:
        lock = f'threshold {model} --data DATA --rule "sensitivity>=0.95" --lock --author WHO'
        lines.append(f"Lock one with: python -m core {lock}")
    print_result(facts, as_json, "\n".join(lines))
    if answer.score is None:
        raise typer.Exit(1)


def serve(
    checkpoint: Annotated[list[str], typer.Argument(help="Checkpoints to serve; the first is the default.")],
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen on. With the default, other machines cannot reach the service.")
    ] = "127.0.0.1",
    tokens: Annotated[
        Path | None, typer.Option(help="File of tokens, one per line; see the command `token`.", dir_okay=False)
    ] = None,
    point: Points = None,
    shadow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHECKPOINT", help="Also score every study with this checkpoint; its scores are only logged."
        ),
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Append every decision to the log in the workspace.")] = False,
    archive: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="DICOMweb address of an archive, in which the report of each received DICOM study is stored.",
        ),
    ] = "",
    waiting: Annotated[
        int, typer.Option(help="Largest number of studies that wait or are computed at the same time.", min=1)
    ] = 64,
    runtime: Annotated[
        str,
        typer.Option(help="onnx (on a CPU), torch, or auto: the faster in a trial, if the scores agree to 1e-6."),
    ] = "auto",
    device: Device = "",
) -> None:
    """Serve checkpoints over HTTP: scores, and decisions at their locked operating points."""
    from core.serving.run import ServiceOptions, run_service

    names, points, shadows = tuple(checkpoint), tuple(point or ("latest",)), tuple(shadow or ())
    options = ServiceOptions(names, points, shadows, host, port, tokens, log, waiting, device, archive, runtime)
    run_service(options)


def token(
    name: Annotated[
        str, typer.Argument(help="Name of the client that will use it: letters, digits, '.', '_' and '-'.")
    ],
    scope: Annotated[
        list[str] | None, typer.Option(help="read, score or admin; may be repeated (default: read and score).")
    ] = None,
) -> None:
    """Make a token for the service. It is printed once; add the line with its hash to the file of tokens."""
    from core.serving.tokens import new_token

    text, made = new_token(name, scope or ("read", "score"))
    typer.echo(f"token: {text}\nline:  {made.line()}")


decisions = typer.Typer(no_args_is_help=True, help="The log of decisions that a service writes with --log.")
Folder = Annotated[Path | None, typer.Option("--folder", help="Folder of the log (default: in the workspace).")]


@decisions.command()
def verify(folder: Folder = None, as_json: Json = False) -> None:
    """Check that no line of the log was altered, removed or moved."""
    from core.plural import count_text
    from core.serving.decision_log import LINES, default_folder, verify_log

    place = folder or default_folder()
    report = verify_log(place)
    if report.problem and not as_json:
        raise OverreadError(
            f"{place / LINES}: {report.problem.removesuffix('.')}. Restore the log from a backup, and keep this file "
            "to see what was changed.",
            code="decision-log-altered",
        )
    text = f"{count_text(report.lines, 'decision')}, each as it was written"
    print_result({"lines": report.lines, "problem": report.problem}, as_json, text)
    if report.problem:
        raise typer.Exit(1)


@decisions.command()
def export(
    out: Annotated[Path, typer.Option(help="Parquet or CSV file to write.")],
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Write the log as a table."""
    from core.plural import count_text
    from core.serving.decision_log import default_folder, write_log_table

    rows = write_log_table(folder or default_folder(), out)
    print_result({"file": str(out), "rows": rows}, as_json, f"{count_text(rows, 'decision')} written to {out}")


@decisions.command("import-scores")
def import_scores_of_traffic(
    shadow: Annotated[str, typer.Option(help="The shadow: its name, or the first digits of the hash of its weights.")],
    data: Annotated[str, typer.Option(help="The indexed data set that has the studies and their labels.")],
    model: Annotated[
        str, typer.Option(help="The model that answered, named in the same way (default: the newest).")
    ] = "",
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Import the scores that a served model and its shadow gave to the same studies, so that they can be compared."""
    from core.data.index import read_dataset
    from core.serving.decision_log import default_folder, log_table
    from core.serving.monitor import model_in_log
    from core.serving.traffic_scores import import_traffic, traffic_sentence

    log = log_table(folder or default_folder())
    found = import_traffic(log, model_in_log(log, model, False), model_in_log(log, shadow, True), read_dataset(data))
    facts = {"answered": found.answered.name, "shadow": found.shadow.name, "data": data, "studies": found.studies}
    steps = f"Compare them with: python -m core compare {found.answered.name} {found.shadow.name}"
    print_result(facts, as_json, f"{traffic_sentence(found)}\n{steps}")
