"""The log has Overread's sentences, and of everything else the place without the words."""

import logging

from core.serving.quiet_log import _WithoutWords


def formatted(logger: str, message: str, error: BaseException | None = None) -> str:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord(logger, logging.WARNING, __file__, 7, message, ("Planted",), info)
    return _WithoutWords("%(levelname)s %(message)s").format(record)


def test_words_of_other_libraries_are_left_out():
    assert formatted("overread.serving", "own %s") == "WARNING own Planted"
    text = formatted("pydicom.misc", "Invalid value %s")
    assert text == "WARNING a message of pydicom.misc (test_quiet_log:7), its text left out"


def test_an_exception_is_its_type_and_its_calls():
    try:
        try:
            int("Planted")
        except ValueError as error:
            raise KeyError("Planted") from error
    except KeyError as error:
        text = formatted("uvicorn.error", "Failed %s", error)
    assert "Planted" not in text.split("\n", 1)[1]
    assert "ValueError in test_quiet_log.py" in text and "KeyError in test_quiet_log.py" in text
    assert text.index("ValueError") < text.index("KeyError")
