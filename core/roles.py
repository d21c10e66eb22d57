"""The three roles, and the tasks that each may do.

A function that writes for a person is marked with `needs(task)`. It asks the current role before it does anything, so
that no page and no command can bypass it. The role is `owner` unless something else decides: the dashboard sets
`decide` to a function that reads the login (`dashboard/shared/roles.py`); commands run as the person who owns the
workspace.
"""

from collections.abc import Callable
from functools import wraps

from core.errors import OverreadError

VIEWER, REVIEWER, OWNER = "viewer", "reviewer", "owner"
# From the least to the most; each role may do what those before it may do.
ROLES = (VIEWER, REVIEWER, OWNER)
# {task: (the least role, the task in words)}
TASKS = {
    "read": (REVIEWER, "store verdicts and make walkthroughs"),
    "compute": (REVIEWER, "score, audit and check maps"),
    "lock": (OWNER, "lock, verify, withdraw and decide thresholds"),
    "train": (OWNER, "train and estimate runs"),
    "data": (OWNER, "add, import and discard data"),
    "labels": (OWNER, "accept labels"),
}

# {module.function: task} of every marked function.
MARKED: dict[str, str] = {}

decide: Callable[[], str] = lambda: OWNER  # noqa: E731 - a setting that the dashboard replaces


def current_role() -> str:
    """The role of the person for whom the current work runs."""
    return decide()


def may(task: str) -> bool:
    """Whether the current role includes a task of TASKS."""
    return ROLES.index(current_role()) >= ROLES.index(TASKS[task][0])


def why_not(task: str) -> str:
    """The sentence for a person whose role may not do a task."""
    least, words = TASKS[task]
    return (
        f"Your role is {current_role()}; only {_those_from(least)} may {words}. "
        "The section [roles] of .streamlit/secrets.toml says who has which role."
    )


def require(task: str) -> None:
    """OverreadError unless the current role includes the task."""
    if not may(task):
        raise OverreadError(why_not(task), code="role-missing")


def needs(task: str) -> Callable:
    """Mark a function that only some roles may call; it requires `task` before it runs."""

    def mark(function: Callable) -> Callable:
        @wraps(function)
        def checked(*arguments, **named):
            require(task)
            return function(*arguments, **named)

        MARKED[f"{function.__module__}.{function.__name__}"] = task
        return checked

    return mark


def _those_from(least: str) -> str:
    return " and ".join(f"{role}s" for role in ROLES[ROLES.index(least) :])
