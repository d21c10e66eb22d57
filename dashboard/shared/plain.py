"""Text from data, made safe for every place where Streamlit would read it as Markdown, or Plotly as HTML."""

import re
from html import escape

# Characters with a meaning in Markdown, anywhere or at the start of a line. After a backslash they are plain text.
_MARKS = re.compile(r"[\\`*_\[\]<>$~]|:(?=[A-Za-z])|&(?=[\w#])|^[#+=-]")
_NUMBERED = re.compile(r"^(\d{1,9})([.)])")
# Streamlit replaces these after Markdown is read, so a backslash does not help: icons and emoji, arrows, addresses.
_LATER = re.compile(r":(?=[\w+-]+:)|:(?=//)|(?<=[wW]{3})(?=\.)|@(?=\w)|(?<!\S)[-<>~](?=[->=]{1,2}(?!\S))")
# A word joiner: it has no width, and ends none of the words that a browser breaks lines at.
_JOINER = "\N{WORD JOINER}"


def plain(text: object) -> str:
    """The text as Markdown that shows it as it was typed, on one line.

    For labels, captions, messages, tooltips and options: everything that is drawn by a Streamlit element other than
    st.html, st.text, st.code and a table.
    """
    line = _LATER.sub(lambda found: found.group() + _JOINER, " ".join(str(text).split()))
    return _NUMBERED.sub(r"\1\\\2", _MARKS.sub(lambda found: "\\" + found.group(), line))


def chart_text(text: object) -> str:
    """The text as a chart shows it as it was typed: Plotly reads tags, entities and `%{...}`.

    For names of traces, categories, marks of an axis, annotations, and what is written into a hover text. Not for the
    title of `theme.figure`, which is drawn as page text.
    """
    return escape(str(text), quote=False).replace("{", "&#123;")
