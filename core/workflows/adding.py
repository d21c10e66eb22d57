"""Adding a data set as a job of the queue: look at a source, add it, find out how far it is, or discard it.

`python -m core index` does it in this process; the page queues the same command, first with `--preview`.
"""

import shutil
from dataclasses import asdict

from core import jobs
from core.checksums import write_json
from core.data.datasets import list_datasets
from core.data.joins import JoinReport
from core.data.notes import note_rows, notes_of
from core.data.uploads import discard_upload
from core.errors import OverreadError
from core.paths import home
from core.roles import needs
from core.workflows.add_data import Prepared, Preview, Progress, commit, prepare, preview_of
from core.workflows.data_request import (
    DataRequest,
    adding_folder,
    arguments_of,
    preview_file,
    read_kept,
    refuse_taken,
    request_file,
    request_from,
    unpacked_file,
)


def add(request: DataRequest, progress: Progress | None = None) -> Prepared:
    """Prepare and commit as a job that every page can see and stop. Nothing is written if it is stopped."""
    with jobs.at_work("index", {**arguments_of(request), "preview": False}) as reporter:
        prepared = prepare(request, jobs.stoppable(reporter, progress))
        commit(prepared)
        return prepared


def look(request: DataRequest, progress: Progress | None = None) -> Prepared:
    """Prepare as a job, and keep the preview for the page."""
    arguments = {**arguments_of(request), "preview": True}
    with jobs.at_work("index", arguments) as reporter:
        write_json(request_file(request.name), arguments_of(request))
        prepared = prepare(request, jobs.stoppable(reporter, progress))
        found = preview_of(prepared)
        # As in a data set, without the ids of rows: those of DICOM identify patients.
        stored = {**asdict(found), "joins": [report.without_keys() for report in found.joins]}
        stored["notes"] = note_rows(found.notes, anonymous=True)
        write_json(preview_file(request.name), {"request": arguments_of(request), "preview": stored})
        return prepared


def enqueue_look(request: DataRequest) -> jobs.Job:
    """Queue `python -m core index --preview`. OverreadError where the name is taken or being added."""
    _check_new(request)
    # From now on everybody sees that this name is being added.
    write_json(request_file(request.name), arguments_of(request))
    return jobs.enqueue("index", {**arguments_of(request), "preview": True})


def enqueue_add(request: DataRequest) -> jobs.Job:
    """Queue `python -m core index`. OverreadError where the name is taken or being added."""
    _check_new(request)
    return jobs.enqueue("index", {**arguments_of(request), "preview": False})


def find_job(name: str) -> jobs.Job | None:
    """The newest job that looks at or adds a data set of this name; None without one."""
    return jobs.find("index", name=name)


def read_preview(request: DataRequest) -> Preview | None:
    """The preview of exactly this request; None if it was not made, or for other settings."""
    stored = read_kept(preview_file(request.name))
    if not stored or stored.get("request") != arguments_of(request):
        return None
    facts = dict(stored["preview"])
    facts["joins"] = [JoinReport(**row) for row in facts["joins"]]
    return Preview(**{**facts, "notes": notes_of(facts["notes"])})


def unfinished() -> list[DataRequest]:
    """Requests that were previewed and not added yet, by name."""
    known = {dataset.name for dataset in list_datasets()}
    found = []
    for file in sorted((home() / "adding").glob("*/request.json")):
        stored = read_kept(file)
        if stored and stored.get("name") not in known:
            found.append(request_from(stored))
    return found


def lately_added(most: int = 5) -> list[str]:
    """Names of the data sets that were added last, the newest first."""
    added = [job for job in jobs.list_jobs() if job.kind in ("index", "download") and job.state == "done"]
    done = [job for job in added if not job.arguments.get("preview")]
    return list(dict.fromkeys(job.arguments["name"] for job in done))[:most]


@needs("data")
def discard(name: str) -> None:
    """Stop the job of an unfinished data set, and remove its upload and all that was kept for it."""
    job = find_job(name)
    if job and job.active:
        jobs.stop(job.id)
    discard_upload(name)
    unpacked_file(name).unlink(missing_ok=True)
    shutil.rmtree(adding_folder(name), ignore_errors=True)


def _check_new(request: DataRequest) -> None:
    refuse_taken(request)
    stored = read_kept(request_file(request.name))
    if request.new and stored and stored["source"] != request.source:
        raise OverreadError(
            f"Somebody is adding a data set named {request.name} from {stored['source']}. Choose another name, or "
            "continue that one.",
            code="name-busy",
        )
