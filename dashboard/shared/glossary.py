"""The glossary: its terms, and text with the first occurrence of each term marked."""

import re
from functools import cache
from html import escape
from pathlib import Path

FILE = Path(__file__).with_name("glossary.md")
_LINE = re.compile(r"^- \*\*(.+?)\*\*: (.+)$", re.MULTILINE)


@cache
def terms() -> dict[str, str]:
    """Each term in lower case, with its explanation."""
    return {term.lower(): words for term, words in _LINE.findall(FILE.read_text(encoding="utf-8"))}


def marked(text: str) -> str:
    """Plain text as HTML; the first occurrence of each term, also in the plural, shows its explanation on pointing."""
    seen: set[str] = set()

    def mark(found: re.Match) -> str:
        term = _term(found.group(1).lower())
        if not term or term in seen:
            return found.group(0)
        seen.add(term)
        return f'<abbr class="term" title="{escape(terms()[term])}">{found.group(0)}</abbr>'

    return _pattern().sub(mark, escape(text))


def _term(word: str) -> str:
    """The glossary's term for a word, perhaps in the plural; '' where there is none."""
    singular = (word, word.removesuffix("s"), f"{word.removesuffix('ies')}y")
    return next((one for one in singular if one in terms()), "")


@cache
def _pattern() -> re.Pattern:
    plurals = {f"{term[:-1]}ies" if term.endswith("y") else f"{term}s" for term in terms()}
    # The longest first, so that "missed study" is not marked as "study".
    words = sorted({*terms(), *plurals}, key=len, reverse=True)
    return re.compile(rf"(?<![\w&/-])({'|'.join(map(re.escape, words))})(?![\w-])", re.IGNORECASE)
