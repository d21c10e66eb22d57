"""Put off the import of a module that packages load and this program seldom uses. No torch."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def deferred(name: str, *functions: str) -> Iterator[None]:
    """Inside, importing these functions of the module `name` does not load it; calling one does.

    Any other name of the module loads it at once. A module that is loaded already stays as it is.
    """
    if name in sys.modules:
        yield
        return
    stand_in = ModuleType(name)

    def real() -> ModuleType:
        _remove(stand_in)
        return importlib.import_module(name)

    def of_the_real(wanted: str):
        # The import system looks for some of these names itself, and a stand-in has none.
        if wanted.startswith("__"):
            raise AttributeError(wanted)
        return getattr(real(), wanted)

    def later(function: str):
        return lambda *given, **named: getattr(real(), function)(*given, **named)

    vars(stand_in).update({function: later(function) for function in functions}, __getattr__=of_the_real)
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        _remove(stand_in)


def _remove(stand_in: ModuleType) -> None:
    if sys.modules.get(stand_in.__name__) is stand_in:
        del sys.modules[stand_in.__name__]
