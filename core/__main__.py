"""`python -m core <command>`: the commands of `core.commands`, under one program."""

import os
import sys

import typer

from core.commands import (
    audit,
    augmentation,
    cache,
    calibrate,
    checkpoints,
    compare,
    data,
    explain,
    review,
    scores,
    thresholds,
    training,
    walkthroughs,
)
from core.commands.console import messages
from core.errors import OverreadError

COMMANDS = (
    data.phantom,
    data.index,
    cache.cache,
    audit.audit,
    training.train,
    training.sweep,
    training.recipes,
    augmentation.augment_check,
    checkpoints.checkpoints,
    checkpoints.export,
    scores.predict,
    scores.evaluate,
    thresholds.import_predictions,
    thresholds.threshold,
    thresholds.verify,
    compare.compare,
    calibrate.calibrate,
    review.embed,
    review.label_audit,
    explain.explain,
    explain.trust,
    data.demo,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Overread: train, score and read the errors of bone-radiograph classifiers. Research use only.",
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(review.verdicts, name="verdicts")
app.add_typer(review.labels, name="labels")
app.add_typer(walkthroughs.walkthrough, name="walkthrough")


def main() -> None:
    """Run a command. Exit status: 0, 2 for wrong use, 1 for anything else; a known error is one sentence."""
    status = _run()
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        # Of processes that train together, threads of torch's own may outlive Python's end and abort one whose work
        # was done, or who had said why not. Nothing is left to tidy up here.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _run() -> int:
    try:
        app()
    except OverreadError as error:
        messages.print("[red]overread:[/red] ", end="")
        messages.print(f"{error} [{error.code}]" if error.code else str(error), markup=False)
        return 1
    except KeyboardInterrupt:
        messages.print("stopped; what was finished is kept")
        return 1
    except SystemExit as ended:  # how typer ends
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


if __name__ == "__main__":
    main()
