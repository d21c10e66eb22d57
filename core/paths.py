"""Paths of all files. Everything that Overread writes is under `OVERREAD_HOME`; the shipped models are only read."""

import contextlib
import os
import re
import site
import sysconfig
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from core.errors import OverreadError
from core.temporaries import remove_stale

# Folders from which this process has removed the temporary files of killed processes.
_tidied: set[Path] = set()

REPOSITORY = Path(__file__).resolve().parent.parent


def home() -> Path:
    """The folder of data sets, caches and predictions: `OVERREAD_HOME`, else `./workspace`.

    A process follows the links in it once, so that a link which is changed later does not split its work in two.
    """
    named = os.environ.get("OVERREAD_HOME") or "workspace"
    return _resolved(named if os.path.isabs(named) else os.path.join(os.getcwd(), named))


# A page asks dozens of times a run, and each look at the links of a path gives other threads the interpreter.
@lru_cache(maxsize=256)
def _resolved(folder: str) -> Path:
    return Path(folder).resolve()


def shipped_folder(name: str) -> Path | None:
    """A folder of the repository, `checkpoints` or `docs`, which `pip install .` copies to `share/overread`."""
    if (REPOSITORY / "pyproject.toml").is_file():
        return REPOSITORY / name
    # An environment or the system, `pip install --user`, and `pip install --target`.
    bases = (sysconfig.get_path("data"), site.getuserbase(), str(REPOSITORY))
    return next((folder for base in bases if (folder := Path(base, "share", "overread", name)).is_dir()), None)


# The shipped checkpoints, and those that earlier versions trained beside them: read, never written to.
CHECKPOINTS = shipped_folder("checkpoints") or home() / "checkpoints"


def dataset_folder(name: str) -> Path:
    """The folder of a data set's index."""
    return home() / "datasets" / checked_name(name)


def cache_folder(name: str) -> Path:
    """The folder of a data set's decoded pixels and thumbnails."""
    return home() / "cache" / checked_name(name)


def predictions_folder(name: str) -> Path:
    """The folder of a data set's scores, one file per checkpoint."""
    return home() / "predictions" / checked_name(name)


def imported_folder(name: str) -> Path:
    """The folder of scores that were imported under this name."""
    return home() / "imported" / checked_name(name)


def own_checkpoints() -> Path:
    """The folder of the checkpoints that people train here."""
    return home() / "checkpoints"


def checkpoint_roots() -> tuple[Path, ...]:
    """Every folder that checkpoints are found in by name; the first that has a name wins."""
    return tuple(dict.fromkeys((own_checkpoints(), CHECKPOINTS)))


def records_folder(name: str, digest: str) -> Path:
    """The folder of what people record about a checkpoint: its operating points and their verifications.

    digest: SHA-256 of the weights, so that new weights under an old name begin without records.
    """
    return home() / "records" / name / digest[:12]


def checkpoint_folder(name_or_path: str | Path) -> Path:
    """The folder of a checkpoint: a path as it is; a name where it is found, else in `own_checkpoints`.

    OverreadError for a name that is too long.
    """
    text = str(name_or_path)
    if max(len(os.fsencode(part)) for part in text.split(os.sep)) > 200:
        raise OverreadError(
            f"The checkpoint name {text[:40]}... is too long; use 200 characters or fewer.", code="name-too-long"
        )
    if os.sep in text or text in {".", ".."}:
        return Path(text).resolve()
    name = checked_name(text)
    return next((root / name for root in checkpoint_roots() if (root / name).is_dir()), own_checkpoints() / name)


def checked_name(name: str) -> str:
    """The name, if it is safe as the name of a folder. OverreadError otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise OverreadError(
            f"The name {name!r} cannot be a folder: use 1 to 100 letters, digits, '.', '_' or '-', "
            "the first a letter or digit.",
            code="name-invalid",
        )
    return name


def file_stamp(file: Path) -> tuple[str, int, int]:
    """Path, time of the last write (nanoseconds) and size in bytes of a file; zeros where there is none."""
    try:
        facts = file.stat()
    except OSError:
        return str(file), 0, 0
    return str(file), facts.st_mtime_ns, facts.st_size


def write_atomically(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a temporary file beside `path`, then rename it to `path` in one step.

    A kill leaves the old file. OverreadError where the disk is full or the folder cannot be written to; the old file is
    then unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent not in _tidied:
            _tidied.add(path.parent)
            remove_stale(path.parent, deep=False)
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        # A folder that cannot be written to may also refuse to remove a file.
        with contextlib.suppress(OSError):
            temporary.unlink()
    return path


def unwritable(path: Path, error: OSError) -> OverreadError:
    """The error for a file that could not be written."""
    return OverreadError(
        f"{path} could not be written ({error.strerror or error}): free some disk space or choose another place "
        "(OVERREAD_HOME for data, --out for checkpoints). The old file is unchanged.",
        code="file-unwritable",
    )
