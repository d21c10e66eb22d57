"""A checkpoint that reads studies: files in, scores and a decision out."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from core.data.input_spec import InputSpec
from core.device import scoring_precision
from core.errors import OverreadError
from core.models.checkpoint import PREDICTIONS, Checkpoint, read_checkpoint
from core.paths import file_stamp
from core.plural import count_text
from core.scores.classifier import Classifier, load_classifier
from core.scores.operating_points import POINTS
from core.scores.predictions import read_file
from core.scores.source import Source, source_of
from core.serving.answers import StudyAnswer, Thresholds, answer_study, check_one_study, of_the_region
from core.serving.decoding import DecodedView, Upload, decode_view
from core.serving.limits import Limits
from core.serving.points import LATEST, find_thresholds
from core.serving.reference import trial_views
from core.serving.runtime import TORCH, Runtime, choose_runtime


@dataclass(frozen=True)
class Reader:
    """A network with the operating points it applies. bones: those of its own evaluation, empty if unknown.

    classifier: the network in torch, which maps need. runtime: what computes the scores.
    """

    checkpoint: Checkpoint
    classifier: Classifier
    source: Source
    pinned: Thresholds
    bones: frozenset[str]
    runtime: Runtime
    limits: Limits = Limits()

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.checkpoint.name

    @property
    def version(self) -> str:
        """The first eight digits of the hash of the weights."""
        return self.checkpoint.weights_hash[:8]

    @property
    def spec(self) -> InputSpec:
        """How a file becomes the network's input."""
        return self.classifier.spec

    @property
    def model(self) -> dict:
        """The fields that identify the model in an answer."""
        precision = scoring_precision(self.classifier.device)
        facts = {"name": self.name, "digest": self.checkpoint.weights_hash, "precision": precision}
        return facts | {"runtime": self.runtime.name}

    @property
    def aggregation(self) -> str:
        """The aggregation of the operating point, else the network's own."""
        own = "attention" if len(self.classifier.columns) > 1 else self.checkpoint.pooling or "mean"
        return self.pinned.aggregation or own

    def read(self, files: Iterable[str | Path | Upload], bone: str = "") -> StudyAnswer:
        """The answer for the files of one study. OverreadError where the files cannot be one study, or are too many.

        files: paths, or uploads. A file that cannot be used is named in the answer, with its reason.
        """
        return self.read_views(files, bone)[0]

    def read_views(self, files: Iterable[str | Path | Upload], bone: str = "") -> tuple[StudyAnswer, list[DecodedView]]:
        """The answer, and the decoded views it is about in the same order. Raises what `read` raises."""
        uploads = [one if isinstance(one, Upload) else read_upload(one) for one in files]
        started = time.perf_counter()
        views = [decode_view(upload, self.spec, self.limits) for upload in uploads]
        decoded = time.perf_counter()
        views = self.admit(views, bone)
        outputs = self.score(usable_pixels(views))
        answer = self.answer(views, outputs)
        scored = time.perf_counter()
        return answer.timed(decode=(decoded - started) * 1e3, score=(scored - decoded) * 1e3), views

    def admit(self, views: Sequence[DecodedView], bone: str = "") -> list[DecodedView]:
        """The views of one study, those of the wrong region refused. OverreadError where they cannot be one study."""
        check_count(len(views), self.limits)
        found = of_the_region(views, bone.strip().lower(), self.bones, self.name)
        why, code = check_one_study(found)
        if why:
            raise OverreadError(why, code=code)
        return found

    def score(self, pixels: np.ndarray) -> np.ndarray:
        """The network's outputs, float64 [n, columns], for grey squares uint8 [n, size, size]."""
        return self.runtime.scorer.scores(pixels)

    def answer(self, views: Sequence[DecodedView], outputs: np.ndarray) -> StudyAnswer:
        """The answer from views and the outputs of the usable ones."""
        return answer_study(views, outputs, self.aggregation, self.thresholds(), self.model)

    def thresholds(self) -> Thresholds:
        """The pinned thresholds; without a decision where a pinned point can no longer be applied, with the reason."""
        if not self.pinned.points:
            return self.pinned
        return _CHECKED.thresholds(self)


class _CheckedPoints:
    """Checks the points of readers again only when their file has changed."""

    def __init__(self) -> None:
        self._found: dict[tuple, Thresholds] = {}

    def thresholds(self, reader: Reader) -> Thresholds:
        ids = tuple(point.id for point in reader.pinned.points)
        key = (reader.source.digest, ids, file_stamp(points_file(reader.source)))
        if key not in self._found:
            if len(self._found) > 64:
                self._found.clear()
            try:
                find_thresholds(reader.source, ids)
                self._found[key] = reader.pinned
            except OverreadError as error:
                self._found[key] = replace(
                    reader.pinned, unavailable=f"The operating point is no longer applied. {error}"
                )
        return self._found[key]


_CHECKED = _CheckedPoints()


def points_file(source: Source) -> Path:
    """The file of the operating points of a source."""
    return source.file_to_read(POINTS)


def load(
    name: str | Path,
    points: Sequence[str] = (LATEST,),
    device: str = "",
    limits: Limits = Limits(),
    runtime: str = TORCH,
) -> Reader:
    """A reader for a checkpoint: its name or folder. points: see `find_thresholds`; runtime: see `choose_runtime`.

    OverreadError where the checkpoint, an operating point or the runtime cannot be used.
    """
    checkpoint = read_checkpoint(name)
    source = source_of(checkpoint)
    classifier = load_classifier(checkpoint, device)
    pinned = find_thresholds(source, points, scoring_precision(classifier.device))
    views = partial(trial_views, source, pinned.points, classifier.spec)
    chosen = choose_runtime(checkpoint, classifier, runtime, views)
    return Reader(checkpoint, classifier, source, pinned, bones_of(checkpoint), chosen, limits)


def bones_of(checkpoint: Checkpoint) -> frozenset[str]:
    """The bones that a checkpoint was evaluated on in its training; empty where it has no such scores."""
    file = checkpoint.folder / PREDICTIONS
    if not file.exists():
        return frozenset()
    return frozenset(map(str, read_file(file)["bone"].unique())) - {"unknown"}


def read_upload(path: str | Path) -> Upload:
    """A file from the disk. OverreadError where it cannot be read."""
    try:
        return Upload(str(path), Path(path).read_bytes())
    except OSError as error:
        raise OverreadError(
            f"{path} cannot be read ({(error.strerror or str(error)).lower()}); expected a PNG, JPEG or DICOM file.",
            code="file-unreadable",
        ) from error


def check_count(count: int, limits: Limits) -> None:
    """OverreadError for a study without files or with too many."""
    if not count:
        raise OverreadError(
            "The study has no files; expected one or more PNG, JPEG or DICOM files.", code="study-empty"
        )
    if count > limits.files:
        raise OverreadError(
            f"The study has {count_text(count, 'file')}; at most {limits.files} are read. Send each study by itself.",
            code="study-too-large",
        )


def usable_pixels(views: Sequence[DecodedView]) -> np.ndarray:
    """The grey squares of the usable views, uint8 [n, size, size]."""
    found = [view.pixels for view in views if view.pixels is not None]
    return np.stack(found) if found else np.zeros((0, 8, 8), np.uint8)
