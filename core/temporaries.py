"""Temporary files that a killed process left, and the rights of new files."""

import os
import re
import time
from contextlib import suppress
from pathlib import Path

# `.NAME.PID.THREAD.tmp` as `core.paths.write_atomically` names them, and `NAME.PID.tmp` of earlier versions.
_NAME = re.compile(r"\..+\.(\d+)\.\d+\.tmp|[^.].*\.(\d+)\.tmp")
_OLD_SECONDS = 24 * 3600
PRIVATE = 0o077


def keep_private() -> None:
    """Let only the owner read new files. With OVERREAD_UMASK, in octal such as 027, the group can read them, too."""
    try:
        mask = int(os.environ.get("OVERREAD_UMASK") or "077", 8)
    except ValueError:
        mask = PRIVATE
    os.umask(mask & 0o777)


def stale_temporaries(folder: Path, deep: bool = True) -> list[Path]:
    """Temporary files in a folder, with `deep` also below it, that no living process owns."""
    found = []
    for place, folders, names in os.walk(folder):
        if not deep:
            folders.clear()
        found += [Path(place, name) for name in names if name.endswith(".tmp") and _is_stale(Path(place, name))]
    return sorted(found)


def remove_stale(folder: Path, deep: bool = True) -> int:
    """Remove the temporary files that killed processes left in a folder; how many."""
    removed = 0
    for file in stale_temporaries(folder, deep):
        with suppress(OSError):
            file.unlink()
            removed += 1
    return removed


def _is_stale(file: Path) -> bool:
    match = _NAME.fullmatch(file.name)
    if not match:
        return False
    try:
        written = file.stat().st_mtime
    except OSError:
        return False
    # Another machine, or another container, may share the folder and number its processes alike.
    if time.time() - written > _OLD_SECONDS:
        return True
    began = _began(int(match[1] or match[2]))
    return began is None or began > written + 1


def _began(process: int) -> float | None:
    """When a process of this machine began (seconds); None where there is none, 0 where that cannot be found out."""
    if os.name != "posix":
        return 0.0
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except OSError:
        return 0.0  # it belongs to another user
    try:
        ticks = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
        return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, StopIteration):
        return 0.0
