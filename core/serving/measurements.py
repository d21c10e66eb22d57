"""Measurements of the service, in Prometheus' text format. No label has a name, an id or a word from a file."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from core.serving.answers import StudyAnswer

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Measurements:
    """Counters and histograms of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "overread_requests", "Requests by route and status.", ["route", "status"], registry=self.registry
        )
        self._studies = Counter(
            "overread_studies",
            "Studies by model and decision.",
            ["model", "decision"],
            registry=self.registry,
        )
        self._unusable = Counter(
            "overread_unusable_radiographs", "Radiographs that were not used.", ["code"], registry=self.registry
        )
        self._refused = Counter("overread_refusals", "Requests refused, by code.", ["code"], registry=self.registry)
        self._seconds = Histogram(
            "overread_study_seconds", "Seconds from a study to its answer.", buckets=_SECONDS, registry=self.registry
        )
        self._score = Histogram(
            "overread_study_score",
            "Scores of studies.",
            ["model"],
            buckets=[number / 20 for number in range(1, 20)],
            registry=self.registry,
        )
        self.open = Gauge("overread_open_studies", "Studies admitted and not answered yet.", registry=self.registry)

    def answered(self, answer: StudyAnswer, seconds: float) -> None:
        """Count an answer."""
        model = answer.model["name"]
        self._studies.labels(model, answer.decision or "none").inc()
        self._seconds.observe(seconds)
        if answer.score is not None:
            self._score.labels(model).observe(answer.score)
        self.unusable(view.code for view in answer.views if not view.usable)

    def unusable(self, codes: Iterable[str]) -> None:
        """Count radiographs that were not used."""
        for code in codes:
            self._unusable.labels(code or "unknown").inc()

    def refused(self, code: str) -> None:
        """Count a refused request."""
        self._refused.labels(code or "unknown").inc()

    def request(self, route: str, status: int) -> None:
        """Count a request. route: its pattern, never its address."""
        self._requests.labels(route, str(status)).inc()

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)
