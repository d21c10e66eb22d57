"""How tests match an error: by its class, its code and its figures, so that the wording can change."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from core.errors import OverreadError


@contextmanager
def refused(code: str, *figures: object) -> Iterator[pytest.ExceptionInfo]:
    """The block must raise an OverreadError with this code whose message has each figure (a number, name or path)."""
    with pytest.raises(OverreadError) as caught:
        yield caught
    assert caught.value.code == code, f"expected the code {code!r}, found {caught.value.code!r}: {caught.value}"
    missing = [figure for figure in figures if str(figure) not in str(caught.value)]
    assert not missing, f"the message lacks {missing}: {caught.value}"
