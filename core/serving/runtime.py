"""The runtime of a reader: torch, or ONNX Runtime on a CPU where a trial at the start finds it faster.

The trial scores the same radiographs with both. ONNX Runtime is used only where no score differs by more than
PRECISION, which is also the most by which a score may differ from a threshold that it counts as equal to.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from scipy.special import expit

from core.errors import OverreadError
from core.models.checkpoint import Checkpoint
from core.paths import home
from core.scores.classifier import Classifier
from core.serving.answers import PRECISION

TORCH, ONNX, AUTO = "torch", "onnx", "auto"
RUNTIMES = (AUTO, TORCH, ONNX)
_BATCHES = (1, 16)  # batch sizes: a single study, and a busy service
_SECONDS = 0.5  # seconds of the trial for each runtime and batch size
_GAIN = 1.05  # ONNX Runtime is used only if it is faster by this factor


class Scorer(Protocol):
    """Computes outputs, float64 [n, columns], of grey squares uint8 [n, size, size]."""

    def scores(self, pixels: np.ndarray, batch_size: int = 64) -> np.ndarray: ...


@dataclass(frozen=True)
class Runtime:
    """The runtime that computes the scores, and the reason for it.

    name: with its version, as it is logged with each decision. difference: the largest difference of a score in the
    trial; speed: radiographs a second by runtime. Both are empty without a trial.
    """

    scorer: Scorer = field(repr=False)
    name: str
    why: str
    difference: float | None = None
    speed: dict = field(default_factory=dict)

    def to_dict(self) -> dict:
        """The runtime as JSON values."""
        facts = {"name": self.name, "why": self.why, "largest_difference": self.difference}
        return facts | {"radiographs_per_second": {name: round(value, 1) for name, value in self.speed.items()}}


class OnnxScorer:
    """A network exported as ONNX. threads: of each computation; they must not spin, since decoding needs the cores."""

    def __init__(self, content: bytes, threads: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        # The stubs of onnxruntime lack the constructor's types.
        session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._session = session

    def scores(self, pixels: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """The outputs, float64 [n, columns]."""
        if not len(pixels):
            return np.zeros((0, len(self._session.get_outputs())))
        found = [
            np.concatenate(self._session.run(None, {"pixels": pixels[start : start + batch_size, None]}), axis=1)
            for start in range(0, len(pixels), batch_size)
        ]
        return np.concatenate(found).astype(np.float64)


def choose_runtime(
    checkpoint: Checkpoint, classifier: Classifier, wanted: str, views: Callable[[], np.ndarray]
) -> Runtime:
    """The runtime for a checkpoint on this machine. wanted: one of RUNTIMES.

    views: gives the radiographs of the trial, uint8 [n, size, size]. OverreadError where 'onnx' was asked for and
    cannot be used.
    """
    if wanted not in RUNTIMES:
        raise OverreadError(
            f"The runtime {wanted[:40]!r} is not known; expected {', '.join(RUNTIMES)}.", code="runtime-unknown"
        )
    if wanted == TORCH:
        return torch_runtime(classifier, "It was asked for.")
    if classifier.device.type != "cpu":
        return _torch_or_refuse(classifier, wanted, f"The network is on {classifier.device.type}, not on a CPU.")
    try:
        scorer = OnnxScorer(exported(checkpoint), torch.get_num_threads())
    except OverreadError as error:
        return _torch_or_refuse(classifier, wanted, str(error))
    except Exception as error:  # noqa: BLE001 - onnxruntime raises many kinds, and torch can always score
        return _torch_or_refuse(classifier, wanted, f"ONNX Runtime cannot load the network ({type(error).__name__}).")
    pixels = views()
    difference = largest_difference(classifier, scorer, pixels)
    if not difference <= PRECISION:
        why = f"A score of ONNX Runtime differs by {difference:.1e}; at most {PRECISION:.0e} is allowed."
        return _torch_or_refuse(classifier, wanted, why, difference)
    speed = {TORCH: radiographs_a_second(classifier, pixels), ONNX: radiographs_a_second(scorer, pixels)}
    gain = speed[ONNX] / speed[TORCH]
    if wanted == AUTO and gain < _GAIN:
        return torch_runtime(classifier, f"ONNX Runtime reads {gain:.2f} times as many a second.", difference, speed)
    why = f"It reads {gain:.2f} times as many radiographs a second as torch; no score differs by more than"
    return Runtime(scorer, f"onnxruntime {version('onnxruntime')}", f"{why} {PRECISION:.0e}.", difference, speed)


def torch_runtime(
    classifier: Classifier, why: str, difference: float | None = None, speed: dict | None = None
) -> Runtime:
    """Torch, and why."""
    return Runtime(classifier, f"torch {torch.__version__.split('+')[0]}", why, difference, speed or {})


def _torch_or_refuse(classifier: Classifier, wanted: str, why: str, difference: float | None = None) -> Runtime:
    if wanted == ONNX:
        raise OverreadError(
            f"ONNX Runtime cannot be used for this network. {why} Choose the runtime {AUTO} or {TORCH}.",
            code="runtime-unusable",
        )
    return torch_runtime(classifier, why, difference)


def exported(checkpoint: Checkpoint) -> bytes:
    """The network as ONNX, exported once and kept in the workspace by the hash of its weights.

    A file that was altered is found by the trial, which compares its scores with those of torch at each start.
    """
    file = onnx_file(checkpoint)
    if not file.exists():
        from core.scores.onnx_export import export_onnx

        export_onnx(checkpoint, file)
    return file.read_bytes()


def onnx_file(checkpoint: Checkpoint) -> Path:
    """The file of the exported network."""
    return home() / "onnx" / f"{checkpoint.weights_hash}.onnx"


def largest_difference(one: Scorer, other: Scorer, pixels: np.ndarray) -> float:
    """The largest difference of a score, alone and in batches; NaN where one of them gives no number."""
    found: list[float] = []
    for batch in _BATCHES:
        parts = [scorer.scores(pixels, batch) for scorer in (one, other)]
        found.append(np.abs(expit(parts[0]) - expit(parts[1])).max())
    return float(np.max(found))


def radiographs_a_second(scorer: Scorer, pixels: np.ndarray) -> float:
    """The geometric mean of the speeds alone and in batches, each the median of half a second of calls."""
    speeds: list[float] = []
    for batch in _BATCHES:
        part: np.ndarray = pixels[:batch]
        times: list[float] = []
        ended = time.perf_counter() + _SECONDS
        while len(times) < 3 or time.perf_counter() < ended:
            started = time.perf_counter()
            scorer.scores(part, batch)
            times.append(time.perf_counter() - started)
        speeds.append(len(part) / float(np.median(times)))
    return math.prod(speeds) ** (1 / len(speeds))
