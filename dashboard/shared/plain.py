"""Text from data, made safe for every place where Streamlit would read it as Markdown."""

import re

# Every ASCII punctuation mark may follow a backslash in Markdown, and then stands for itself.
_MARKS = re.compile(r"([!-/:-@\[-`{-~])")


def plain(text: object) -> str:
    """The text as Markdown that shows it as it was typed, on one line."""
    return _MARKS.sub(r"\\\1", " ".join(str(text).split()))
