"""Commands for checkpoints: checkpoints, export."""

from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import Json, messages, print_result


def checkpoints(as_json: Json = False) -> None:
    """List the checkpoints and check each against its hashes. Exit status 1 if one is broken."""
    from core.models.checkpoint import list_checkpoints

    whole, broken = list_checkpoints()
    rows = [
        {
            "name": checkpoint.name,
            "reference": checkpoint.reference,
            "recipe": checkpoint.recipe["name"],
            "architecture": checkpoint.recipe["architecture"],
            "size": checkpoint.input_spec.size,
            "dataset": checkpoint.manifest.get("dataset"),
            "index_hash": checkpoint.manifest.get("index_hash"),
            "augmentation": checkpoint.manifest.get("augmentation_hash"),
            "epoch": checkpoint.manifest.get("epoch"),
            "tune_auroc": checkpoint.manifest.get("tune_auroc"),
            "complete": bool(checkpoint.manifest.get("complete")),
            "members": checkpoint.manifest.get("members", []),
        }
        for checkpoint in whole
    ]
    lines = [line_of(row) for row in rows] + [f"{name}: BROKEN: {reason}" for name, reason in broken.items()]
    print_result({"checkpoints": rows, "broken": broken}, as_json, "\n".join(lines) or "No checkpoints yet.")
    if broken:
        raise typer.Exit(1)


def line_of(row: dict) -> str:
    """One checkpoint in one line."""
    area = "not estimable" if row["tune_auroc"] is None else f"{row['tune_auroc']:.3f}"
    state = "" if row["complete"] else ", unfinished"
    return (
        f"{row['reference']}: {row['architecture']} at {row['size']} px, on {row['dataset']}, "
        f"tuning study AUROC {area}, intact{state}"
    )


def export(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint: its name, or its folder.")],
    out: Annotated[Path, typer.Option(help="ONNX file to write.")],
    as_json: Json = False,
) -> None:
    """Write a checkpoint as ONNX, from grey bytes to logit, and check that its scores are the same."""
    from core.errors import OverreadError
    from core.models.checkpoint import read_checkpoint

    found = read_checkpoint(checkpoint)
    if out.is_dir() or out.suffix != ".onnx":
        raise OverreadError(f"--out is {out}; expected the name of a file that ends in .onnx.", code="not-an-onnx-file")
    from core.scores.onnx_export import export_onnx

    messages.print(f"exporting {found.reference}", markup=False)
    facts = export_onnx(found, out)
    print_result(
        facts,
        as_json,
        f"{out}: {facts['bytes'] / 1e6:.1f} MB; its logits differ by {facts['difference']:.1g} at most",
    )
