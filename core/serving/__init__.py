"""Serving: one study in, its score and its decision at the locked operating point out.

`load(...)` gives a reader; the command `read`, the service and the page all use it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.serving.reader import Reader


def load(name: str | Path, points: Sequence[str] = ("latest",), device: str = "") -> "Reader":
    """A reader for a checkpoint: its name or folder. `core.serving.reader.load` has the arguments.

    Imports torch only when it is called: the decoding processes import this package and need none.
    """
    from core.serving.reader import load as load_reader

    return load_reader(name, points, device)
