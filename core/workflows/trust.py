"""Check saliency methods on a sample of radiographs as a job: in this process, or queued."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from core import jobs
from core.errors import OverreadError
from core.scores.source import Source


@dataclass(frozen=True)
class TrustSample:
    """Which radiographs are sampled, how many, and which saliency methods are checked on them."""

    split: str
    count: int
    methods: tuple[str, ...]


def check_methods(
    source: Source,
    sample: TrustSample,
    device: str = "",
    progress: Callable[[int, int, str], None] | None = None,
) -> pd.DataFrame:
    """The rows of `core.explain.cohort.check_cohort` over the sample. Maps checked before are not checked again.

    A job that every page can see and stop. OverreadError where another process checks maps of this checkpoint.
    """
    from core.explain.trust_sample import check_sample  # torch

    with jobs.at_work("trust", _arguments(source, sample), source.record()) as reporter:

        def report(done: int, total: int, what: str) -> None:
            reporter.report(done, total, what)
            if progress:
                progress(done, total, what)

        return check_sample(source, sample.split, sample.count, sample.methods, device, report, reporter.stop_requested)


def enqueue_check(source: Source, sample: TrustSample) -> jobs.Job:
    """Queue `python -m core trust`. OverreadError where a job checks maps of this checkpoint already."""
    return jobs.enqueue("trust", _arguments(source, sample), source.record())


def find_check_job(source: Source) -> jobs.Job | None:
    """The newest job that checks maps of these weights, running or ended; None without one."""
    return jobs.find("trust", digest=source.digest)


def _arguments(source: Source, sample: TrustSample) -> dict:
    if not source.dataset:
        raise OverreadError("Checking saliency methods needs a data set: pass --data NAME.", code="data-set-missing")
    return {
        "checkpoint": str(source.folder),
        "data": source.dataset.name,
        "split": sample.split,
        "sample": sample.count,
        "methods": list(sample.methods),
    }
