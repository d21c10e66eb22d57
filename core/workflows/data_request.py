"""The request to add a data set, and its record in `adding/NAME` until the data set exists."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from core.checksums import read_json
from core.data.datasets import list_datasets
from core.data.earlier_index import FILE as FACTS
from core.data.earlier_index import read_file_facts, write_file_facts
from core.data.file_facts import StoredFacts
from core.data.uploads import name_taken, upload_folder
from core.errors import OverreadError
from core.paths import checked_name, home


@dataclass(frozen=True)
class DataRequest:
    """The source of a new data set and how to index it; each field is an option of `python -m core index`.

    source: a folder, a table or a zip. columns: {our name: the table's}. table: one of several tables at the source,
    as a path below it. guess_columns: accept columns with similar names. new: refuse a name that exists. split_of: the
    data set whose split is taken over.
    """

    source: str
    name: str
    columns: dict[str, str] = field(default_factory=dict)
    labels: str = ""
    match_ignoring: tuple[str, ...] = ()
    allow_unmatched: bool = False
    allow_lost_labels: bool = False
    label_level: str = ""
    study_rule: str = ""
    valid_fraction: float = 0.2
    folds: int = 10
    seed: int = 0
    table: str = ""
    guess_columns: bool = False
    new: bool = False
    allow_outside: bool = False
    split_of: str = ""


def arguments_of(request: DataRequest) -> dict:
    """A request as JSON values."""
    return json.loads(json.dumps(asdict(request)))


def request_from(arguments: dict) -> DataRequest:
    """A request from JSON values, such as the arguments of a job."""
    names = DataRequest.__dataclass_fields__
    values = {name: value for name, value in arguments.items() if name in names}
    return DataRequest(**{**values, "match_ignoring": tuple(values.get("match_ignoring", ()))})


def adding_folder(name: str) -> Path:
    """The folder of files that are kept while a data set is being added."""
    return home() / "adding" / checked_name(name)


def place_of(request: DataRequest) -> Path:
    """The place of the files of a request: its source, or the folder into which its zip was unpacked."""
    source = Path(request.source)
    stored = read_kept(unpacked_file(request.name))
    there = stored and stored["source"] == str(source) and upload_folder(request.name).is_dir()
    return upload_folder(request.name) if there else source


def refuse_taken(request: DataRequest) -> None:
    """OverreadError where a request for a new data set has the name of an existing one."""
    checked_name(request.name)
    if request.new and request.name in {dataset.name for dataset in list_datasets()}:
        raise name_taken(request.name)


def kept_facts(name: str, source: Path) -> dict[str, StoredFacts]:
    """The facts of files that an unfinished indexing of this source has kept."""
    try:
        return read_file_facts(adding_folder(name) / FACTS, source) or {}
    except (OSError, ValueError, KeyError):
        return {}


def keep_facts(name: str, source: Path, facts: dict) -> None:
    """Keep the facts of files for the next look."""
    try:
        write_file_facts(adding_folder(name) / FACTS, facts, source)
    except OverreadError:
        return  # without them the next look reads every file again


def request_file(name: str) -> Path:
    """The file of the request itself."""
    return adding_folder(name) / "request.json"


def preview_file(name: str) -> Path:
    """The file of the last preview, with its request."""
    return adding_folder(name) / "preview.json"


def unpacked_file(name: str) -> Path:
    """The file that says which zip was unpacked for a data set."""
    return upload_folder(name).with_name(f".{name}.unpacked.json")


def read_kept(file: Path) -> dict | None:
    """A JSON object that was kept while a data set is added; None where there is none, or it was altered."""
    try:
        return read_json(file)
    except (OSError, ValueError):
        return None
