"""Update the table in docs/saliency.md of methods and families: `python docs/make_saliency_table.py [--all]`.

Existing cells are kept unless `--all` is given, so a new method or family takes a minute instead of half an hour.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from core.explain.attribution import attribute
from core.explain.layers import find_layer
from core.explain.method_registry import MethodRefused
from core.explain.methods import METHODS
from core.explain.private_copy import private_copy
from tests.explain.families import FAMILIES, MORE, classifier_of

PAGE = Path(__file__).with_name("saliency.md")
START = "<!-- table -->"
LOOKS = "layer of Grad-CAM"


def main() -> None:
    """Run every method on every family with random weights and pixels: 'yes' for a map, R where it is refused."""
    text = PAGE.read_text()
    known = {} if "--all" in sys.argv else existing_cells(text[text.index(START) :])
    titles = {name: one.title for name, one in METHODS.items()}
    rows: dict[str, dict[str, str]] = {}
    families = {**FAMILIES, **MORE}
    for family, (size, _) in families.items():
        row = known.get(family, {})
        if {LOOKS, *titles.values()} - set(row):
            row |= new_cells(family, size, {name: title for name, title in titles.items() if title not in row})
            print(family, row, file=sys.stderr)
        rows[family] = {"px": str(size), **row}
        # Written after each family, so that an interruption loses only one.
        shown = {**known, **rows} if len(rows) < len(families) else rows
        write(text[: text.index(START)], shown, list(titles.values()))


def write(above: str, rows: dict[str, dict[str, str]], titles: list[str]) -> None:
    """Write the page: the text above the table, then the table. Cells not made yet are empty."""
    lines = ["| " + " | ".join(["family", "px", LOOKS, *titles]) + " |", "|" + "---|" * (3 + len(titles))]
    lines += [
        f"| {family} | {' | '.join(row.get(column, '') for column in ('px', LOOKS, *titles))} |"
        for family, row in rows.items()
    ]
    PAGE.write_text(above + START + "\n" + "\n".join(lines) + "\n")


def existing_cells(table: str) -> dict[str, dict[str, str]]:
    """Read the cells of the existing table, by family and column."""
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines() if "|" in line]
    if not cells:
        return {}
    return {row[0]: {name: cell for name, cell in zip(cells[0][1:], row[1:]) if cell} for row in cells[2:]}


def new_cells(family: str, size: int, wanted: dict[str, str]) -> dict[str, str]:
    """The layer that Grad-CAM uses, and a mark for each wanted method under its title."""
    classifier = classifier_of(family)
    pixels = np.random.default_rng(1).integers(0, 256, (size, size)).astype(np.uint8)
    layer = find_layer(private_copy(classifier.model).model, classifier.tensor(pixels[None]))
    row = {LOOKS: f"{layer.name} ({layer.height} x {layer.width} {layer.layout})"}
    for name, title in wanted.items():
        try:
            attribute(classifier, pixels, name)
            row[title] = "yes"
        except MethodRefused:
            row[title] = "**R**"
    return row


if __name__ == "__main__":
    main()
