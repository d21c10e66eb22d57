"""Which method works on which family: `python docs/make_saliency_table.py` rewrites the table in docs/saliency.md."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from core.explain import methods  # noqa: F401  registers them
from core.explain.attribution import METHODS, Refused, attribute
from core.explain.explained import private_copy
from core.explain.layers import find_layer
from tests.explain.families import FAMILIES, classifier_of

PAGE = Path(__file__).with_name("saliency.md")
START = "<!-- table -->"


def main() -> None:
    """Every method on every family, random weights and pixels: a dot where it gives a map, R where it is refused."""
    names = list(METHODS)
    lines = [
        "| family | px | Grad-CAM looks at | " + " | ".join(METHODS[name].title for name in names) + " |",
        "|---|---|---|" + "---|" * len(names),
    ]
    for family, (size, _) in FAMILIES.items():
        classifier = classifier_of(family)
        pixels = np.random.default_rng(1).integers(0, 256, (size, size)).astype(np.uint8)
        layer = find_layer(private_copy(classifier.model).model, classifier.tensor(pixels[None]))
        marks = []
        for name in names:
            try:
                attribute(classifier, pixels, name)
                marks.append("yes")
            except Refused:
                marks.append("**R**")
        place = f"{layer.name} ({layer.height} x {layer.width} {layer.layout})"
        lines.append(f"| {family} | {size} | {place} | {' | '.join(marks)} |")
        print(lines[-1], file=sys.stderr)
    text = PAGE.read_text()
    PAGE.write_text(text[: text.index(START)] + START + "\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
