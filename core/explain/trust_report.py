"""The checks of a map and the verdict that follows from them, as values. Imports no torch."""

import math
from dataclasses import asdict, dataclass, field

from core.scores.learning import LEAST

HOLDS_UP, DO_NOT_TRUST = "holds up", "do not trust"
# Random weights react to exposure, metal and size: on 686 studies, two of eleven such networks had an AUROC of .59 and
# .61 with lower bounds above one half (docs/lab-log.md). A network counts as trained above this.
LEAST_AUROC = LEAST
# These compare a map with the known finding. A true map of a network that looks elsewhere fails them, so they say
# something about the network and nothing about the map.
TRUTH_CHECKS = ("pointing", "inside")


@dataclass(frozen=True)
class Check:
    """One check: its figure, the reference it is compared with, whether it passed, and a sentence."""

    name: str
    value: float
    reference: float
    passed: bool
    words: str


@dataclass(frozen=True)
class TrustReport:
    """All checks of one map. verdict: HOLDS_UP or DO_NOT_TRUST. why: the sentence that explains the verdict.

    curves: {map | random | centre | edges: {insertion | deletion: scores as more squares change}}.
    """

    verdict: str
    why: str
    better_than_edges: bool | None
    checks: tuple[Check, ...]
    curves: dict = field(default_factory=dict)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that decide against the map."""
        return tuple(check for check in self.checks if not check.passed and check.name not in TRUTH_CHECKS)

    def figure(self, name: str) -> float:
        """The value of a check; NaN where it was not made."""
        return next((check.value for check in self.checks if check.name == name), math.nan)

    def to_dict(self) -> dict:
        """Plain values for JSON; NaN and infinity become None."""
        return {key: plain(value) for key, value in asdict(self).items()}


def report_of(checks: tuple[Check, ...], better_than_edges: bool | None, curves: dict) -> TrustReport:
    """The report of these checks: a map holds up where it passes every one that does not need the finding."""
    failed = [check for check in checks if not check.passed and check.name not in TRUTH_CHECKS]
    verdict, why = (DO_NOT_TRUST, failed[0].words) if failed else (HOLDS_UP, "it passes every check here")
    return TrustReport(verdict, why, better_than_edges, checks, curves)


def network_knows(auroc: tuple[float, float] | None) -> tuple[bool, str]:
    """Whether a network's study AUROC and lower bound show that it learned something, and a clause that says so."""
    if auroc is None or math.isnan(auroc[0]):
        return False, "it is not known whether this network separates abnormal from normal: it has no known AUROC"
    value, low = auroc
    words = f"the network's study AUROC is {value:.3f} ({'no interval' if math.isnan(low) else f'from {low:.3f}'})"
    # The comparison fails for a NaN bound too: without an interval there are too few studies.
    if low > LEAST_AUROC:
        return True, words
    return False, f"{words}, and random weights may reach {LEAST_AUROC}: the network may have learned nothing"


def model_check(auroc: tuple[float, float] | None) -> Check:
    """The check of the network itself: whether its AUROC shows that it learned something."""
    passed, words = network_knows(auroc)
    return Check("model", auroc[0] if auroc else math.nan, LEAST_AUROC, passed, words)


def plain(value: object) -> object:
    """The value with lists in place of tuples, and None in place of NaN and infinity, as JSON needs it."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
