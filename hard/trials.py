"""One trial of an attack, and the table that counts them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.errors import LONGEST, OverreadError

# Outcomes after which the exit status is 1.
FAULTS = ("silent", "uncaught", "unnamed", "fetched", "lost")


@dataclass(frozen=True)
class Trial:
    """What was tried on what, and what happened.

    outcome: 'same' (the values as they were), 'read' (a changed input that is still valid), 'refused' (with a
    sentence), 'made again', 'shown' (a page that opened), 'kept' (after a kill), or one of FAULTS. detail: what was
    changed and what was answered.
    """

    subject: str
    outcome: str
    detail: str = ""


class Outcome:
    """The outcome of a piece of work, filled by `caught`."""

    def __init__(self) -> None:
        self.name, self.detail = "", ""


@contextmanager
def caught(fine: str = "read") -> Iterator[Outcome]:
    """Run a block; the outcome is `fine`, unless the block sets another, 'refused', or 'uncaught'."""
    outcome = Outcome()
    try:
        yield outcome
        outcome.name = outcome.name or fine
    except OverreadError as error:
        outcome.name, outcome.detail = "refused", str(error)
        # A refusal is one text without lines, with a code that scripts can match.
        if not error.code or len(str(error).splitlines()) != 1 or len(str(error)) > LONGEST:
            outcome.name, outcome.detail = "uncaught", f"no sentence with a code: {str(error)[:300]!r} ({error.code})"
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - every other exception is what is looked for
        outcome.name, outcome.detail = "uncaught", described(error)


def described(error: BaseException) -> str:
    """An exception with the last places it came through."""
    places, step = [], error.__traceback__
    while step:
        code = step.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{step.tb_lineno}")
        step = step.tb_next
    return f"{type(error).__name__}: {str(error)[:200]} ({' '.join(places[-4:])})"


def table(trials: Iterable[Trial]) -> list[dict[str, object]]:
    """One row per subject, in the order of their first trial: how often it was tried, and each outcome's count."""
    counts: dict[str, Counter] = {}
    for trial in trials:
        counts.setdefault(trial.subject, Counter())[trial.outcome] += 1
    return [{"subject": subject, "tried": found.total(), **found} for subject, found in counts.items()]


def markdown(rows: list[dict]) -> str:
    """Rows as a Markdown table; the columns are the outcomes that occurred, faults last and always there."""
    usual = [name for row in rows for name in row if name not in ("part", "subject", "tried", *FAULTS)]
    columns = ["part", "subject", "tried", *dict.fromkeys(usual), *FAULTS]
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    lines += [f"| {' | '.join(str(row.get(name, 0)) for name in columns)} |" for row in rows]
    return "\n".join(lines)


def faults(trials: Iterable[Trial]) -> list[Trial]:
    """The trials with an outcome that must not happen."""
    return [trial for trial in trials if trial.outcome in FAULTS]
