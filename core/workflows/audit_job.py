"""Audit a data set as a job: in this process, or queued."""

from collections.abc import Callable

from core import jobs
from core.audit.audit import Audit, read_audit, run_audit
from core.data.index import Dataset, read_index
from core.data.measure_store import complete_measures, read_measures


def audit_dataset(dataset: Dataset, progress: Callable[[int, int, str], None] | None = None) -> Audit:
    """The stored audit of this index, or a new one, which is stored. Afterwards every radiograph has its measures.

    New work is a job that every page can see and stop. OverreadError where another process audits the data set.
    """
    found = read_audit(dataset)
    if found and not measured_earlier(dataset):
        return found
    with jobs.at_work("audit", {"data": dataset.name}, dataset.record(), _size(dataset)) as reporter:
        report = jobs.stoppable(reporter, progress)
        if not found:
            return run_audit(dataset, report)
        from core.data.decode import decode

        decode(dataset, read_index(dataset.name), measures=True, progress=report)
        return found


def measured_earlier(dataset: Dataset) -> bool:
    """Whether an earlier version measured radiographs of this set, which lack a measure that was added since."""
    return len(complete_measures(dataset)) < len(read_measures(dataset))


def enqueue_audit(dataset: Dataset) -> jobs.Job:
    """Queue `python -m core audit`. OverreadError where the data set is being audited already."""
    return jobs.enqueue("audit", {"data": dataset.name}, dataset.record())


def find_audit_job(dataset: Dataset) -> jobs.Job | None:
    """The newest job that audits this index, running or ended; None without one."""
    return jobs.find("audit", **dataset.record())


def _size(dataset: Dataset) -> int:
    return len(read_index(dataset.name))
