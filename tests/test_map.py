"""The map of the code in docs/architecture.md agrees with the tree."""

import re

import pytest

from dashboard.page_list import PAGES
from tests.conftest import REPOSITORY

MAP = (REPOSITORY / "docs" / "architecture.md").read_text()
NAMED = [name for name in re.findall(r"`([\w./-]+)`", MAP) if "/" in name or name.endswith((".py", ".js"))]
FOLDERS = sorted(
    folder.relative_to(REPOSITORY).as_posix()
    for room in ("core", "dashboard")
    for folder in (REPOSITORY / room).rglob("*")
    if folder.is_dir() and folder.name != "__pycache__" and any(file.is_file() for file in folder.iterdir())
)


def folder_of_row(name: str) -> str:
    """The folder of the table row that mentions a bare file name."""
    row = next(line for line in MAP.splitlines() if f"`{name}`" in line)
    return re.match(r"\| `([\w./-]+)`", row)[1] if row.startswith("|") else ""


@pytest.mark.parametrize("name", sorted(set(NAMED)))
def test_every_path_on_the_map_exists(name):
    if "/" not in name and (folder := folder_of_row(name)):
        assert (REPOSITORY / folder / name).is_file()
    elif "/" in name:
        assert (REPOSITORY / name).exists()
    else:
        assert list(REPOSITORY.glob(f"*/**/{name}"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_is_on_the_map_or_is_a_listed_page(folder):
    assert f"`{folder}`" in MAP or folder in {f"dashboard/{page.name}" for page in PAGES} | {"core", "dashboard"}


def test_the_map_takes_five_minutes():
    # At 250 words a minute.
    assert len(MAP.split()) < 1250
