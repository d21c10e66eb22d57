"""Remarks about outside data. Each has a code that stays when its wording changes."""

from collections.abc import Iterable


class Note(str):
    """A remark for the user, a sentence without a full stop, with a code such as 'labels-differ'.

    anonymous: the text without ids of patients, which is stored in its place; by default the text.
    """

    code: str
    anonymous: str

    def __new__(cls, text: str, code: str = "note", anonymous: str = "") -> "Note":
        note = super().__new__(cls, text)
        note.code, note.anonymous = code, anonymous or text
        return note


def note_rows(notes: Iterable[str], anonymous: bool = False) -> list[dict]:
    """Notes as {code, text}, for JSON. anonymous: without ids of patients, for storage."""
    return [
        {"code": getattr(note, "code", "note"), "text": str(getattr(note, "anonymous", note) if anonymous else note)}
        for note in notes
    ]


def notes_of(rows: Iterable) -> list[Note]:
    """Notes from JSON: {code, text}, or bare text as earlier versions stored it."""
    return [Note(row["text"], row["code"]) if isinstance(row, dict) else Note(str(row)) for row in rows]
