"""The answer for one study: scores of its radiographs, its score, and the decision with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import expit, logit

from core.metrics.studies import score_of_views
from core.plural import count_text
from core.scores.operating_points import OperatingPoint
from core.serving.decoding import DecodedView

_CALLS = ("normal", "refer", "abnormal")
# Scores of one study differ by up to about 1e-7 with the radiographs that share its batch, and with the runtime.
PRECISION = 1e-6


@dataclass(frozen=True)
class ViewAnswer:
    """One radiograph. score: P(abnormal) in 0..1; logit and score are None where it is not usable, and `why` says why.

    grey: mean and standard deviation of its grey levels in 0..1, as the network sees it. side: the longer side of the
    file in pixels. saliency: the map and the verdict on it, where maps were asked for.
    """

    file: str
    score: float | None
    logit: float | None
    usable: bool
    why: str
    code: str = field(default="", compare=False)
    digest: str = field(default="", compare=False)
    sha1: str = field(default="", compare=False)
    grey: tuple[float, float] | None = field(default=None, compare=False)
    side: int | None = field(default=None, compare=False)
    saliency: dict | None = field(default=None, compare=False)

    def to_dict(self) -> dict:
        """The view as JSON values."""
        facts = {"file": self.file, "score": self.score, "logit": self.logit, "usable": self.usable, "why": self.why}
        return facts | ({"map": self.saliency} if self.saliency else {})


@dataclass(frozen=True)
class Thresholds:
    """The thresholds of one or two locked operating points. high: equal to low where nothing is referred.

    guarantee: what was found where each point was locked, in words. unavailable: why no decision can be given, ''
    where one can.
    """

    points: tuple[OperatingPoint, ...] = ()
    low: float = float("nan")
    high: float = float("nan")
    aggregation: str = ""
    guarantee: str = ""
    unavailable: str = ""

    def settled(self, score: float) -> float:
        """The score, or the threshold that it equals within PRECISION.

        A threshold is the score of a study. That study must get the same decision in every batch and every runtime.
        """
        nearest = min((self.low, self.high), key=lambda threshold: abs(score - threshold))
        return nearest if self.points and abs(score - nearest) <= PRECISION else score

    def decide(self, score: float) -> tuple[str | None, str]:
        """'normal', 'refer' or 'abnormal', and why; None where no decision can be given."""
        if self.unavailable:
            return None, self.unavailable
        if self.low == self.high:
            call = _CALLS[2 if score >= self.low else 0]
            side = "at or above" if score >= self.low else "below"
            return call, f"The score {score:.3f} is {side} the threshold {self.low:.3f}."
        call = _CALLS[int(score >= self.low) + int(score >= self.high)]
        if call == "refer":
            return call, f"The score {score:.3f} is between the thresholds {self.low:.3f} and {self.high:.3f}."
        side = f"at or above the upper threshold {self.high:.3f}" if call == "abnormal" else (
            f"below the lower threshold {self.low:.3f}"
        )  # fmt: skip
        return call, f"The score {score:.3f} is {side}."

    def to_dict(self) -> dict | None:
        """The point as JSON values; None without one."""
        if not self.points:
            return None
        return {
            "id": "+".join(point.id for point in self.points),
            "threshold": self.low,
            "threshold_high": None if self.low == self.high else self.high,
            "rule": " and ".join(point.rule for point in self.points),
            "guarantee": self.guarantee,
            "aggregation": self.aggregation,
        }


@dataclass(frozen=True)
class StudyAnswer:
    """The answer for one study. score, logit: None where no radiograph is usable.

    model: name, digest, precision and runtime. timing_ms: what each stage took.
    """

    score: float | None
    logit: float | None
    decision: str | None
    why: str
    views: tuple[ViewAnswer, ...]
    model: dict
    thresholds: Thresholds
    timing_ms: dict = field(default_factory=dict, compare=False)

    @property
    def usable(self) -> bool:
        """Whether at least one radiograph could be scored."""
        return self.score is not None

    def timed(self, **milliseconds: float) -> "StudyAnswer":
        """This answer with further timings."""
        return replace(self, timing_ms=self.timing_ms | {key: round(value, 2) for key, value in milliseconds.items()})

    def to_dict(self) -> dict:
        """The answer as JSON values: what `read --json` prints and the service returns."""
        return {
            "study": {"score": self.score, "logit": self.logit, "decision": self.decision, "why": self.why},
            "views": [view.to_dict() for view in self.views],
            "model": self.model,
            "point": self.thresholds.to_dict(),
            "timing_ms": self.timing_ms,
        }


def answer_study(
    views: Sequence[DecodedView], outputs: np.ndarray, aggregation: str, thresholds: Thresholds, model: dict
) -> StudyAnswer:
    """The answer from decoded views and the network's outputs for the usable ones.

    outputs: float64 [usable, 1 or 2], logit and, for a network that weights the views of a study, attention.
    """
    found = iter(outputs)
    answers = []
    for view in views:
        value = float(next(found)[0]) if view.usable else None
        score = None if value is None else float(expit(value))
        grey = None if view.pixels is None else grey_levels(view.pixels)
        facts = (view.usable, view.why, view.code, view.digest, view.sha1, grey, view.side)
        answers.append(ViewAnswer(view.file, score, value, *facts))
    left_out = sum(not view.usable for view in views)
    if left_out == len(views):
        why = "No radiograph of the study can be used: " + "; ".join(f"{view.file}: {view.why}" for view in views[:3])
        return StudyAnswer(None, None, None, why + ".", tuple(answers), model, thresholds)
    attention = outputs[:, 1] if outputs.shape[1] > 1 else None
    score = thresholds.settled(score_of_views(outputs[:, 0], attention, aggregation))
    decision, why = thresholds.decide(score)
    if left_out:
        why += f" {count_text(left_out, 'radiograph')} of {len(views)} could not be used; see views."
    # A score of exactly 0 or 1 has no finite logit.
    value = float(logit(np.clip(score, 1e-15, 1 - 1e-15)))
    return StudyAnswer(score, value, decision, why, tuple(answers), model, thresholds)


def grey_levels(pixels: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation in 0..1 of the grey square of one radiograph, uint8."""
    return float(pixels.mean()) / 255, float(pixels.std()) / 255


def check_one_study(views: Sequence[DecodedView]) -> tuple[str, str]:
    """Why the files cannot be one study, and the code of that error; two empty texts where they can."""
    patients = {view.identity.patient for view in views} - {""}
    if len(patients) > 1:
        return (
            f"The DICOM files are of {count_text(len(patients), 'patient')}, by their headers; expected one. Send "
            "each study alone.",
            "patients-mixed",
        )
    studies = {view.identity.study for view in views} - {""}
    if len(studies) > 1:
        return (
            f"The DICOM files are of {count_text(len(studies), 'study')}, by their headers; expected one. Send each "
            "study alone.",
            "studies-mixed",
        )
    bones = sorted({view.bone for view in views if view.usable} - {""})
    if len(bones) > 1:
        return (
            f"The DICOM files show {' and '.join(bones)}; a study is of one bone. Send each bone as its own study, "
            "or name the bone to read.",
            "bones-mixed",
        )
    return "", ""


def of_the_region(views: Sequence[DecodedView], bone: str, known: frozenset[str], model: str) -> list[DecodedView]:
    """The views, those of another bone than asked for, or of a bone that the model was never evaluated on, refused.

    bone: '' where none is asked for. known: the bones of the model's evaluation; empty where they are not known. Only
    a DICOM header names a bone; other files are refused only where the request asks for a bone that is not known.
    """
    found = []
    for view in views:
        if view.usable and bone and known and bone not in known:
            view = view.refused(
                f"the request is for {bone[:40]!r}; {model} was evaluated on {', '.join(sorted(known))} only",
                "bone-unknown",
            )
        elif view.usable and bone and view.bone and view.bone != bone:
            view = view.refused(f"its header says {view.bone}; the request is for {bone}", "bone-other")
        elif view.usable and view.bone and known and view.bone not in known:
            view = view.refused(
                f"its header says {view.bone}; {model} was evaluated on {', '.join(sorted(known))} only", "bone-unknown"
            )
        found.append(view)
    return found
