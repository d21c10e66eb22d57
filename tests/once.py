"""What takes long to make and is never written to: made by the first process of a test run that needs it."""

import fcntl
from collections.abc import Callable
from pathlib import Path


def made_once(tmp_path_factory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make(folder)` has filled. The processes of one run share it, so nobody may write to it."""
    base = tmp_path_factory.getbasetemp()
    if base.name.startswith("popen-gw"):  # a process of pytest-xdist; the folder of the run is the one above
        base = base.parent
    folder, done = base / "once" / name, base / "once" / f"{name}.done"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
