"""What a cached value of a file is keyed by."""

from pathlib import Path

from core.paths import home


def stamp(file: Path) -> tuple:
    """The file, and when and how large it was last written; a missing file has zeros."""
    # The home is part of it: two workspaces may hold data sets of one name.
    facts = file.stat() if file.exists() else None
    return (str(home()), str(file), facts.st_mtime_ns, facts.st_size) if facts else (str(home()), str(file), 0, 0)
