"""The one error that is written for a person to read, and the cleaning of texts that come from elsewhere."""

import errno
import re
from pathlib import Path

# Escape sequences of terminals, and control characters other than tab and line feed.
_CODES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-_]?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_NUMPY = re.compile(r"\b(?:np|numpy)\.(?:float|int|uint|bool|str|bytes|complex|longdouble|datetime)\w*\(([^()]*)\)")
LONGEST = 3000
_NUMPY_TYPE = re.compile(r"<class 'numpy\.(\w+)'>")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
_PART_END = re.compile(r"[;:,(]\s*")


class OverreadError(ValueError):
    """Bad input: the message says what was found, what was expected and what to do.

    The command line prints it and exits with 1; a page shows it as a message. Any other exception is a bug. code: a
    short name that stays when the wording changes, such as 'column-missing'; tests and scripts match it. file: a
    damaged file that can be made again (`core.workflows.make_again`); a page offers that.
    """

    def __init__(self, message: str, code: str = "", file: Path | str = "") -> None:
        super().__init__(one_line(message))
        self.code = code
        self.file = str(file)

    def __reduce__(self):
        # Worker processes send their errors back by pickling; without this the code would be lost.
        return type(self), (str(self), self.code, self.file)


NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_RIGHTS = {errno.EACCES, errno.EPERM, errno.EROFS}


def from_disk(error: OSError) -> OverreadError | None:
    """A full disk or missing rights as a sentence, wherever they were met; None for any other failure."""
    where = f" at {error.filename}" if error.filename else ""
    if error.errno in NO_ROOM:
        return OverreadError(
            f"The disk is full{where}. What was finished before is kept. Free some disk space, or set OVERREAD_HOME to "
            "a larger disk, and start again.",
            code="disk-full",
        )
    if error.errno in NO_RIGHTS:
        reason = (error.strerror or str(error)).lower()
        return OverreadError(
            f"The system denies access{where} ({reason}). Give access to the user who runs "
            "Overread, or choose another place.",
            code="folder-no-rights",
        )
    return None


def one_line(text: str) -> str:
    """A message without codes and line ends. Of one with more than LONGEST characters, the middle is left out.

    A message quotes what was found, and a hostile file may have a name of megabytes; what to do comes last.
    """
    line = " ".join(without_codes(text).splitlines())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 605]} ... {line[-600:]}"


def without_codes(text: str) -> str:
    """A text without control characters, escape codes of terminals and numpy's way to write numbers."""
    return _NUMPY_TYPE.sub(r"\1", _NUMPY.sub(r"\1", _CODES.sub("", str(text))))


def reason_of(error: BaseException | str, most: int = 160) -> str:
    """Why another library failed: its first line as a clause for a sentence of ours, never cut within a phrase.

    A line of more than `most` characters ends after the last whole sentence or part of one that fits. An error
    without such a text gives the name of its class.
    """
    lines = [line.strip() for line in without_codes(str(error)).splitlines() if line.strip()]
    text = " ".join(lines[:2]) if lines and lines[0].endswith(":") else (lines or [""])[0]
    if len(text) > most:
        ends = [found.start() for found in _SENTENCE_END.finditer(text) if found.start() <= most]
        parts = [found.start() for found in _PART_END.finditer(text) if 20 <= found.start() <= most]
        text = text[: (ends or parts or [0])[-1]]
        if text.count("(") > text.count(")"):
            text = text[: text.rindex("(")]
    text = text.strip().rstrip(".:;, ")
    return text or (error if isinstance(error, str) else type(error).__name__)[:most]
