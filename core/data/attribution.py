"""The source of a data set: title, authors, licence and link, stored beside its index and shown wherever the set is."""

import struct
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

from core.checksums import read_json, write_json
from core.paths import dataset_folder

FILE = "attribution.json"


@dataclass(frozen=True)
class DatasetAttribution:
    """The names that a licence such as CC BY asks for: title, authors, licence and link."""

    title: str
    authors: str
    licence: str
    licence_link: str
    link: str
    citation: str = ""

    def line(self) -> str:
        """One line for a page or an export."""
        return f"{self.title}, {self.short_authors()}, {self.licence}, {self.link}"

    def short_authors(self) -> str:
        """The first author, with 'et al.' for more than two."""
        names = self.authors.split("; ")
        return f"{names[0]} et al." if len(names) > 2 else " and ".join(names)


def attribution_line(name: str) -> str:
    """The line to name with a data set's radiographs; '' where none is stored."""
    found = read_attribution(name)
    return found.line() if found else ""


def with_attribution(png: bytes, name: str) -> bytes:
    """A PNG that contains radiographs of a data set, with its attribution as a text; the same bytes without one."""
    line = attribution_line(name)
    if not line:
        return png
    # iTXt: a keyword, no compression, no language, no translation, and UTF-8.
    body = b"iTXt" + b"Source\0\0\0\0\0" + line.encode()
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    end = png.rindex(b"\0\0\0\0IEND")
    return png[:end] + chunk + png[end:]


def attribution_file(name: str) -> Path:
    """The file of a data set's attribution."""
    return dataset_folder(name) / FILE


def read_attribution(name: str) -> DatasetAttribution | None:
    """The attribution of a data set; None where none is stored, as for a team's own radiographs."""
    try:
        return DatasetAttribution(**read_json(attribution_file(name)))
    except (OSError, ValueError, TypeError):
        return None


def write_attribution(name: str, attribution: DatasetAttribution) -> None:
    """Store the attribution of a data set."""
    write_json(attribution_file(name), asdict(attribution), indent=1)
