"""`python -m core <command>`: the commands of `core.commands`, under one program."""

import os
import sys
from typing import Annotated

import typer

from core.commands import (
    audit,
    augmentation,
    cache,
    calibrate,
    checkpoints,
    compare,
    dashboard,
    data,
    download,
    evaluate,
    explain,
    poolings,
    review,
    scores,
    serving,
    thresholds,
    training,
    walkthroughs,
    workspace,
)
from core.commands.console import messages
from core.errors import OverreadError, from_disk
from core.temporaries import keep_private
from core.version import VERSION

COMMANDS = (
    data.phantom,
    data.index,
    download.download,
    cache.cache,
    audit.audit,
    training.train,
    training.sweep,
    training.estimate,
    training.recipes,
    augmentation.augment_check,
    checkpoints.checkpoints,
    checkpoints.export,
    scores.predict,
    evaluate.evaluate,
    scores.import_predictions,
    thresholds.threshold,
    thresholds.verify,
    thresholds.decide,
    compare.compare,
    poolings.poolings,
    calibrate.calibrate,
    review.embed,
    review.label_audit,
    explain.explain,
    explain.trust,
    explain.pointing,
    serving.read,
    serving.serve,
    serving.token,
    data.demo,
    dashboard.dashboard,
    workspace.doctor,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"overread {VERSION}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Overread: train and score classifiers of bone radiographs, and read their errors. For research use only."""


for command in COMMANDS:
    app.command()(command)
app.add_typer(review.verdicts, name="verdicts")
app.add_typer(review.labels, name="labels")
app.add_typer(serving.decisions, name="decisions")
app.add_typer(walkthroughs.walkthrough, name="walkthrough")


def main() -> None:
    """Run a command. Exit status: 0, 2 for wrong use, 1 for any other failure; a known error prints one sentence."""
    keep_private()
    status = _run()
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        # In distributed training, threads of torch can outlive the interpreter and abort a process that has finished
        # or has printed its error. Nothing is left to clean up here.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _refused(error: OverreadError) -> int:
    messages.print("[red]overread:[/red] ", end="")
    messages.print(f"{error} [{error.code}]" if error.code else str(error), markup=False)
    return 1


def _run() -> int:
    try:
        app()
    except OverreadError as error:
        return _refused(error)
    except OSError as error:
        if known := from_disk(error):
            return _refused(known)
        raise
    except KeyboardInterrupt:
        messages.print("stopped; finished work is kept")
        return 1
    except SystemExit as ended:  # typer raises it at the end of a command
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


if __name__ == "__main__":
    main()
