"""Options of a run that are not in its recipe: device, progress, resume."""

from collections.abc import Callable
from dataclasses import dataclass, replace

Progress = Callable[[int, int, str], None]


def _ignore(value: object) -> None:
    return None


@dataclass(frozen=True)
class RunOptions:
    """Everything about a run that is not in its recipe.

    resume: continue a stopped run after its last full epoch. device: such as 'cpu'; '' takes a GPU where there is one.
    allow_overlap: train although patients are in two splits; they count as train and never as valid. progress: called
    with (done, total, what). say: called with each message. watch: called with each row of the history.
    """

    resume: bool = False
    device: str = ""
    allow_overlap: bool = False
    progress: Progress | None = None
    say: Callable[[str], None] = _ignore
    watch: Callable[[dict], None] = _ignore

    def silent(self) -> "RunOptions":
        """These options without messages and progress, for a process that does not lead."""
        return replace(self, say=_ignore, progress=None)


def duration_text(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
