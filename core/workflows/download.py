"""Get a public data set in one step: its record, its file, its index and its attribution."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core import jobs
from core.data import fracatlas
from core.data.archives import is_zip
from core.data.attribution import DatasetAttribution, write_attribution
from core.data.download import Patience, RemoteFile, download, file_md5, read_json
from core.data.notes import Note
from core.data.uploads import check_name_free, packed_upload
from core.errors import OverreadError
from core.workflows.add_data import Prepared, commit, prepare
from core.workflows.data_request import DataRequest

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class PublicSet:
    """A data set with a public record on figshare. size: bytes of its file, to be named before the record is read.

    attribution: used where a file was brought along and the record cannot be read.
    """

    name: str
    record: str
    size: int
    attribution: DatasetAttribution


@dataclass(frozen=True)
class PublicRecord:
    """The public record of a set as it is now."""

    file: RemoteFile
    attribution: DatasetAttribution


FRACATLAS = PublicSet(
    "fracatlas",
    "https://api.figshare.com/v2/articles/22363012",
    338_000_000,
    fracatlas.ATTRIBUTION,
)
SETS = {FRACATLAS.name: FRACATLAS}
MURA_STEPS = (
    "The licence of MURA forbids passing it on, so it cannot be downloaded here. To obtain it:",
    "1. Open https://stanfordmlgroup.github.io/competitions/mura/ and follow its link to the download.",
    "2. Read the research use agreement, and register with your own name and address.",
    "3. Download MURA-v1.1.zip (about 3.2 GB) with the link that you receive.",
    "4. Copy the zip to this machine and index it: python -m core index MURA-v1.1.zip --name mura",
    "   On the page Add data, choose 'On the server' and give the path of the zip.",
)


def download_set(
    wanted: PublicSet,
    name: str,
    progress: Progress | None = None,
    file: Path | None = None,
    patience: Patience = Patience(),
) -> Prepared:
    """Download, unpack and index a public data set under a name: a job that every page can see and stop.

    file: the set's file, downloaded before, which is then not fetched. A stopped download continues where it was.
    """
    with jobs.at_work("download", _arguments(wanted, name)) as reporter:
        report = jobs.stoppable(reporter, progress)
        packed, attribution, notes = _file_of(wanted, name, report, file, patience)
        prepared = prepare(DataRequest(str(packed), name, new=True), report)
        prepared = replace(prepared, indexed=replace(prepared.indexed, notes=[*prepared.indexed.notes, *notes]))
        # Before the index, so that the set is never shown without it.
        write_attribution(name, attribution)
        commit(prepared)
        return prepared


def enqueue_download(wanted: PublicSet, name: str) -> jobs.Job:
    """Queue `python -m core download`. OverreadError where the name is taken, or the set is being downloaded."""
    if not part_of(name).exists():
        check_name_free(name)
    return jobs.enqueue("download", _arguments(wanted, name))


def find_download(name: str) -> jobs.Job | None:
    """The newest job that downloads a set under this name; None without one."""
    return jobs.find("download", name=name)


def part_of(name: str) -> Path:
    """The file in which an unfinished download is kept."""
    return packed_upload(name).with_name(f"{packed_upload(name).name}.part")


def read_record(wanted: PublicSet, patience: Patience = Patience()) -> PublicRecord:
    """The file, licence and authors that the record names. OverreadError for a record of another form."""
    record = read_json(wanted.record, patience)
    try:
        zips = [entry for entry in record["files"] if str(entry["name"]).lower().endswith(".zip")]
        entry = max(zips, key=lambda one: int(one["size"]))
        md5 = str(entry.get("supplied_md5") or entry["computed_md5"])
        file = RemoteFile(str(entry["download_url"]), Path(str(entry["name"])).name, int(entry["size"]), md5)
        known = wanted.attribution
        attribution = DatasetAttribution(
            str(record["title"]),
            "; ".join(str(author["full_name"]) for author in record["authors"]) or known.authors,
            str(record["license"]["name"]),
            str(record["license"].get("url") or known.licence_link),
            f"https://doi.org/{record['doi']}" if record.get("doi") else known.link,
            known.citation,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise OverreadError(
            f"{wanted.record} does not have the form of a record (it lacks {error}); expected a zip with size and MD5, "
            "authors and a licence. Download the set in a browser, and pass --file.",
            code="download-record",
        ) from error
    return PublicRecord(file, attribution)


def _file_of(
    wanted: PublicSet, name: str, progress: Progress, file: Path | None, patience: Patience
) -> tuple[Path, DatasetAttribution, list[Note]]:
    """The zip of a set, what to name with it, and notes."""
    if file is None:
        found = read_record(wanted, patience)
        return download(found.file, packed_upload(name), progress, patience), found.attribution, []
    if not (file.is_file() and is_zip(file)):
        raise OverreadError(
            f"{file} is not a zip; expected the zip of the data set. Check the path.", code="source-missing"
        )
    try:
        found = read_record(wanted, replace(patience, tries=1))
    except OverreadError:
        text = f"{os.path.basename(file)} was not compared with its record, which cannot be reached"
        return file, wanted.attribution, [Note(text, "download-unchecked")]
    if (digest := file_md5(file)) != found.file.md5:
        raise OverreadError(
            f"{file} has the MD5 {digest}; the record of {wanted.name} says {found.file.md5}. Download it again, or "
            f"index it as your own with: python -m core index {file} --name {name}",
            code="download-hash",
        )
    return file, found.attribution, []


def _arguments(wanted: PublicSet, name: str) -> dict:
    return {"set": wanted.name, "name": name}
