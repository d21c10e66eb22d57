"""Export a checkpoint as one ONNX file that gives the same scores without this program."""

import json
import logging
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from core.data.input_spec import InputSpec
from core.errors import OverreadError, reason_of
from core.models.checkpoint import Checkpoint, load_model
from core.models.networks import reads_studies
from core.paths import write_atomically

# The largest accepted difference of logits. The order of float32 additions makes a smaller one.
MOST_DIFFERENCE = 1e-3
_OPSET = 18
# How a study's score is computed from the outputs; recorded in the file for other programs.
_OF_STUDIES = {
    False: "mean over the study's radiographs of sigmoid(logit)",
    True: "sigmoid of the sum over the study's radiographs of softmax(attention) * logit",
}


class _FromBytes(nn.Module):
    """Grey bytes to logits: normalisation is part of the exported network."""

    def __init__(self, model: nn.Module, spec: InputSpec):
        super().__init__()
        self.model, self.spec = model, spec

    def forward(self, pixels: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        unit = self.spec.normalise(pixels.float() / 255)
        return tuple(self.model.views(unit).split(1, dim=1)) if reads_studies(self.model) else self.model(unit)


def export_onnx(checkpoint: Checkpoint, file: Path) -> dict:
    """Write the network as ONNX and compare its scores with those of the network.

    The file takes `pixels` uint8 [n, 1, size, size], letterboxed as the input specification says, to `logit` float32
    [n, 1], and where the network weighs the views of a study also to `attention` [n, 1]; its metadata have
    the reference, specification, architecture and the formula of a study's score. Returns what `python -m core export`
    prints. OverreadError where the network cannot be exported or its scores differ by more than MOST_DIFFERENCE.
    """
    spec = checkpoint.input_spec
    whole = _FromBytes(load_model(checkpoint), spec).eval()
    outputs = ["logit", "attention"] if reads_studies(whole.model) else ["logit"]
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (5, 1, spec.size, spec.size)).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "model.onnx"
        _write(whole, torch.from_numpy(pixels[:2]), made, checkpoint, outputs)
        _describe(made, checkpoint, len(outputs) == 2)
        found = scores_of(made, pixels)
        content = made.read_bytes()
    with torch.inference_mode():
        expected = whole(torch.from_numpy(pixels))
    expected = torch.cat(expected, 1).numpy() if len(outputs) == 2 else expected.numpy()
    difference = float(np.abs(found - expected).max())
    if not difference <= MOST_DIFFERENCE:
        raise OverreadError(
            f"The ONNX file of {checkpoint.name} gives other scores (logits differ by up to {difference:.2g}; expected "
            f"{MOST_DIFFERENCE:g} or less), so it was not kept. Report the architecture "
            f"{checkpoint.recipe['architecture']}.",
            code="onnx-scores-differ",
        )
    write_atomically(Path(file), lambda path: path.write_bytes(content))
    return {"file": str(file), "reference": checkpoint.reference, "difference": difference, "bytes": len(content)}


def scores_of(file: Path, pixels: np.ndarray) -> np.ndarray:
    """Outputs of ONNX Runtime for uint8 [n, 1, size, size], float32 [n, outputs]: the logit and any attention."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return np.concatenate(session.run(None, {"pixels": pixels}), axis=1)


def _write(whole: nn.Module, example: torch.Tensor, file: Path, checkpoint: Checkpoint, outputs: list[str]) -> None:
    # torch's exporter prints and logs its progress; a command's standard output is its JSON.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), open(os.devnull, "w") as nowhere:
            warnings.simplefilter("ignore")
            from contextlib import redirect_stdout

            with redirect_stdout(nowhere):
                program = torch.onnx.export(
                    whole,
                    (example,),
                    input_names=["pixels"],
                    output_names=outputs,
                    dynamic_shapes=({0: torch.export.Dim("radiographs", min=1)},),
                    opset_version=_OPSET,
                    dynamo=True,
                    verbose=False,
                )
                program.save(str(file), external_data=False)
    except Exception as error:
        raise OverreadError(
            f"{checkpoint.recipe['architecture']} cannot be exported to ONNX "
            f"({type(error).__name__}: {reason_of(error)}); serve it with torch.",
            code="onnx-export-failed",
        ) from error


def _describe(file: Path, checkpoint: Checkpoint, weighs_views: bool) -> None:
    import onnx

    model = onnx.load(str(file))
    facts = {
        "reference": checkpoint.reference,
        "architecture": checkpoint.recipe["architecture"],
        "input_spec": json.loads(checkpoint.input_spec.to_json()),
        "positive": "abnormal",
        "study_score": _OF_STUDIES[weighs_views],
        "use": "research only",
    }
    onnx.helper.set_model_props(
        model, {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
    )
    onnx.save(model, str(file))
