"""The pages of the manual: the files of `docs`, read from this machine."""

import re
from pathlib import Path

from core.paths import shipped_folder
from dashboard.shared.cache import FileStamp, cached_data, stamp
from dashboard.shared.glossary import FILE as GLOSSARY

DOCS = shipped_folder("docs") or Path(__file__).parent / "docs"
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+?)\.md(#[^)]*)?\)")
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)\n?")
_INTERNAL = ("lab-log", "style")  # for developers


def pages() -> dict[str, Path]:
    """Every page by its name, how-tos first: {'glossary': ..., 'how-to/add-data': ..., 'metrics': ...}."""
    found = {file.relative_to(DOCS).with_suffix("").as_posix(): file for file in sorted(DOCS.rglob("*.md"))}
    found = {name: file for name, file in found.items() if name not in _INTERNAL}
    return {"glossary": GLOSSARY, **{name: found[name] for name in sorted(found, key=lambda name: "/" not in name)}}


def title_of(file: Path) -> str:
    """The first heading of a page."""
    return text_of(stamp(file)).partition("\n")[0].lstrip("# ").strip()


@cached_data(max_entries=64)
def text_of(file: FileStamp) -> str:
    """A page as Markdown, its links to other pages leading to the manual, without pictures and formulas."""
    text = Path(file.path).read_text(encoding="utf-8")
    folder = Path(file.path).parent

    def lead(found: re.Match) -> str:
        target = (folder / f"{found.group(1)}.md").resolve()
        inside = target.is_relative_to(DOCS) and target.is_file()
        return f"](manual?doc={target.relative_to(DOCS).with_suffix('').as_posix()})" if inside else "](manual)"

    # A dollar would begin a formula.
    return _LINK.sub(lead, _IMAGE.sub("", text)).replace("$", "\\$")
