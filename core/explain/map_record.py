"""A map, its checks and its verdict as one frozen value, and the key it is kept by. Imports no torch."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from core.data.references import name_in
from core.explain.map_values import Attribution, MapSettings
from core.explain.method_list import METHOD_LIST
from core.explain.pointing import finding_checks
from core.explain.trust_report import Check, TrustReport, model_check, report_of
from core.models.checkpoint import Checkpoint

# Raised when a method or a check changes, so that kept records are made again.
VERSION = 1
REFUSED, UNCHECKED = "refused", "not checked yet"


@dataclass(frozen=True)
class MapKey:
    """All that determines a map and its checks. Two equal keys have the same map, the same figures and the same seed.

    digest, spec: the hash of the weights, and the input specification as JSON. sha1: of the radiograph's file.
    baseline: its name; that of a mean radiograph ends in the data set and its hash. aggregation, views: '' and () where
    the map explains the radiograph's own logit, otherwise how the study's score is made and the SHA-1 of its views.
    """

    digest: str
    spec: str
    sha1: str
    method: str
    layer: str = ""
    baseline: str = "black"
    aggregation: str = ""
    views: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The key as 40 hexadecimal digits: the name of its files."""
        text = json.dumps({"version": VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    @property
    def seed(self) -> int:
        """The seed of every random number in the map and its checks. The views of a study share it, like their maps."""
        return int((replace(self, sha1="") if self.views else self).name[:8], 16)


@dataclass(frozen=True)
class MapRecord:
    """One map with its checks and its verdict; nothing is drawn, printed or exported without one.

    attribution: None where the method was refused; `refused` is then the reason. checks: those of the map itself, None
    until they are made. network: the study AUROC of the network and its lower bound, which the verdict needs as well;
    None where it is not known. seconds: what the map took, without the checks.
    """

    key: MapKey
    attribution: Attribution | None = None
    refused: str = ""
    checks: tuple[Check, ...] | None = None
    better_than_edges: bool | None = None
    curves: dict = field(default_factory=dict, compare=False)
    network: tuple[float, float] | None = None
    seconds: float = field(default=math.nan, compare=False)

    @property
    def report(self) -> TrustReport | None:
        """Every check and the verdict; None until the checks are made."""
        if self.checks is None:
            return None
        return report_of((model_check(self.network), *self.checks), self.better_than_edges, self.curves)

    @property
    def verdict(self) -> str:
        """'holds up', 'do not trust', 'refused' or 'not checked yet'."""
        return REFUSED if self.refused else self.report.verdict if self.report else UNCHECKED

    @property
    def why(self) -> str:
        """The sentence that explains the verdict; '' until the checks are made."""
        return self.refused or (self.report.why if self.report else "")

    @property
    def complete(self) -> bool:
        """Whether nothing is left to make."""
        return bool(self.refused) or self.checks is not None

    def report_with(self, finding: np.ndarray | None) -> TrustReport | None:
        """The report with the checks against a known finding, bool [s, s]; they do not change the verdict."""
        if self.report is None or self.attribution is None:
            return None
        more = tuple(finding_checks(self.attribution.map, finding))
        return replace(self.report, checks=(*self.report.checks, *more))

    def to_dict(self, finding: np.ndarray | None = None) -> dict:
        """Plain values for JSON, without the map."""
        if self.attribution is None:
            return {"method": self.key.method, "refused": self.refused}
        facts: dict = {"method": self.key.method, "verdict": self.verdict}
        facts |= {"logit": self.attribution.value, "note": self.attribution.note, "layer": self.attribution.layer}
        report = self.report_with(finding)
        return facts | (report.to_dict() if report else {})


@dataclass(frozen=True)
class MapTask:
    """The maps of one radiograph, or of all views of a study, that are made in one go. Hashable.

    folder: of the checkpoint. files: path and SHA-1 of each radiograph, sorted by SHA-1. data: the data set whose mean
    radiograph is the baseline; '' with any other.
    """

    folder: str
    digest: str
    spec: str
    files: tuple[tuple[str, str], ...]
    method: str
    layer: str = ""
    baseline: str = "black"
    aggregation: str = ""
    data: str = ""

    @property
    def keys(self) -> tuple[MapKey, ...]:
        """The key of each radiograph's map, in the order of `files`."""
        hashes = tuple(sha1 for _, sha1 in self.files)
        views = hashes if self.aggregation else ()
        return tuple(
            MapKey(self.digest, self.spec, sha1, self.method, self.layer, self.baseline, self.aggregation, views)
            for sha1 in hashes
        )

    def to_dict(self) -> dict:
        """JSON values; `MapTask.from_dict` reads them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict) -> "MapTask":
        """The task of `to_dict`."""
        return cls(**{**stored, "files": tuple((path, sha1) for path, sha1 in stored["files"])})


def map_task(
    checkpoint: Checkpoint,
    files: list[tuple[str, str]],
    method: str,
    settings: MapSettings = MapSettings(),
    aggregation: str = "",
    mean_of: str = "",
) -> MapTask:
    """The task of one radiograph, or of a study's views with an aggregation. files: path and SHA-1 of each.

    A setting that the method does not read is left out, and every aggregation of one view is its own logit, so that
    equal maps have one key. mean_of: `name@hash` of the data set, for the baseline 'mean'.
    """
    uses = METHOD_LIST[method].uses if method in METHOD_LIST else ("layer", "baseline")
    baseline = settings.baseline if "baseline" in uses else "black"
    return MapTask(
        str(checkpoint.folder),
        checkpoint.weights_hash,
        checkpoint.input_spec.to_json(),
        tuple(sorted(files, key=lambda file: file[1])),
        method,
        settings.layer if "layer" in uses else "",
        f"mean of {mean_of}" if baseline == "mean" else baseline,
        aggregation if len(files) > 1 else "",
        name_in(mean_of) if baseline == "mean" else "",
    )
