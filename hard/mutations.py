"""Changes of bytes, texts, JSON values and zips, drawn from a `random.Random`; each says in words what it did."""

import io
import json
import random
import zipfile
from collections.abc import Callable

Mutation = tuple[bytes, str]
# Values that break readers: of another kind, without end, not a number, too large, deep, and with codes.
VALUES: tuple[object, ...] = (
    None, True, False, 0, -1, 1e308, float("inf"), float("-inf"), float("nan"), 10**30, 10**400, "", " ", "x" * 5000,
    "\x00", "\ud800", "=cmd()", "![a](http://127.0.0.1:9/b.png)", "../../etc/passwd", [], {}, [[]], [None], {"": None},
    {"a": {"b": {}}}, "0", "nan", "true", 0.5, 3, "é", "\u202e", [1, 2, 3], ["a"] * 50,
)  # fmt: skip
CELLS = (
    "", " ", "nan", "inf", "-1e309", "1e400", "\x00", '"', "'", "\r", "\n", "\r\r\n", "\ufeff", "9" * 400, "0x10",
    "1,5", "1;0", "True", "None", "../../a.png", "/etc/passwd", "C:\\a.png", "=1+1", "\u202e", "\x1b[31m", "a\tb",
    "-0.0", "1_000", "½", "٣", "x" * 200_000, "![x](http://127.0.0.1:9/a.png)",
)  # fmt: skip
NAMES = (
    "../up.png", "/root.png", "a/../../b.png", "C:\\x.png", "a\\..\\b.png", "", ".", "..", "\x00.png", "x" * 300, "CON",
    "a/" * 200 + "b.png", "é.png", "\u202egnp.a", "a.png/", "train/XR_HAND/p1/study1_positive/image1.png", " a.png",
)  # fmt: skip
ENDS = (b"\n", b"\r", b"\r\n", b"\r\r\n", b"\n\r", b"\x0b", b"\x0c", b"\xc2\x85", b"\xe2\x80\xa8", b"")


def flip(content: bytes, draw: random.Random) -> Mutation:
    """One bit or one byte changed; never the same content."""
    place, changed = draw.randrange(len(content)), bytearray(content)
    if draw.random() < 0.5:
        bit = draw.randrange(8)
        changed[place] ^= 1 << bit
        return bytes(changed), f"bit {bit} of byte {place}"
    value = draw.randrange(255)
    changed[place] = value + (value >= changed[place])
    return bytes(changed), f"byte {place} becomes {changed[place]}"


def any_bytes(content: bytes, draw: random.Random) -> Mutation:
    """A few changes of the bytes: flips, cuts, repeats, zeros, other line ends, foreign beginnings."""
    changed, words = content, []
    for _ in range(draw.choice((1, 1, 2, 5))):
        changed, word = draw.choice(_BYTES)(changed or b"\0", draw)
        words.append(word)
    return changed, ", ".join(words)


def _cut(content: bytes, draw: random.Random) -> Mutation:
    place = draw.randrange(len(content))
    return content[:place], f"cut at {place}"


def _drop(content: bytes, draw: random.Random) -> Mutation:
    place, length = draw.randrange(len(content)), draw.choice((1, 4, 64))
    return content[:place] + content[place + length :], f"{length} bytes left out at {place}"


def _repeat(content: bytes, draw: random.Random) -> Mutation:
    place, length = draw.randrange(len(content)), draw.choice((1, 16, 500))
    return content[: place + length] + content[place:], f"{length} bytes repeated at {place}"


def _insert(content: bytes, draw: random.Random) -> Mutation:
    place, piece = (
        draw.randrange(len(content)),
        draw.choice((*ENDS, b"\x00", b'"', b"\xff", b"\xef\xbb\xbf", b"1" * 40)),
    )
    return content[:place] + piece + content[place:], f"{piece!r} put in at {place}"


def _number(content: bytes, draw: random.Random) -> Mutation:
    place, width = draw.randrange(len(content)), draw.choice((1, 2, 4, 8))
    value = draw.choice((0, 1, 2 ** (8 * width) - 1, 2 ** (8 * width - 1), 2 ** (8 * width - 1) - 1))
    piece = value.to_bytes(width, draw.choice(("little", "big")))
    return content[:place] + piece + content[place + width :], f"{piece!r} at {place}"


def _ends(content: bytes, draw: random.Random) -> Mutation:
    end = draw.choice(ENDS)
    return content.replace(b"\r\n", b"\n").replace(b"\n", end), f"line ends {end!r}"


def _start(content: bytes, draw: random.Random) -> Mutation:
    start = draw.choice(
        (b"PK\x03\x04", b"\x1f\x8b", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"{", b"[", b"<", b"\x80\x02", b"")
    )
    return start + content[draw.choice((0, len(start))) :], f"begins with {start!r}"


_BYTES: tuple[Callable[[bytes, random.Random], Mutation], ...] = (
    flip, flip, flip, _cut, _drop, _repeat, _insert, _number, _number, _ends, _start,
)  # fmt: skip


def any_table(content: bytes, draw: random.Random) -> Mutation:
    """Changes of a text table: cells, columns, rows, delimiters, quotes and line ends; sometimes of its bytes."""
    if draw.random() < 0.25:
        return any_bytes(content, draw)
    rows = [line.split(",") for line in content.decode().splitlines()]
    for _ in range(draw.choice((1, 1, 3, 10))):
        row = draw.randrange(len(rows))
        what = draw.randrange(7)
        if what <= 2:
            rows[row][draw.randrange(len(rows[row]))] = draw.choice(CELLS)
        elif what == 3:
            rows.insert(row, list(draw.choice(rows)))
        elif what == 4:
            rows[row] = rows[row][: draw.randrange(len(rows[row]) + 1)] or [""]
        elif what == 5:
            rows[row] = [*rows[row], draw.choice(CELLS)]
        else:
            column = draw.randrange(len(rows[0]))
            rows = [[cell for place, cell in enumerate(line) if place != column] or [""] for line in rows]
    delimiter, end = draw.choice((",", ",", ",", ";", "\t", "|")), draw.choice(ENDS)
    text = end.join(delimiter.join(line).encode("utf-8", "surrogatepass") for line in rows)
    start = draw.choice((b"", b"", b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b"#a\n"))
    return start + text + draw.choice((b"", end)), f"cells changed, delimiter {delimiter!r}, line ends {end!r}"


def any_json(content: bytes, draw: random.Random) -> Mutation:
    """Changes of JSON values: another value anywhere, a key gone or renamed, deep nesting; sometimes of bytes."""
    kind = draw.random()
    if kind < 0.2:
        return any_bytes(content, draw)
    if kind < 0.25:
        deep = draw.choice((b"[", b'{"a":', b"[[{}],"))
        return deep * draw.choice((10, 2000, 100_000)), "nested deep"
    if kind < 0.3:
        return json.dumps(draw.choice(VALUES)).encode("utf-8", "surrogatepass"), "one value"
    values, words = json.loads(content), []
    for _ in range(draw.choice((1, 1, 2, 4))):
        word = _change(values, draw)
        words.append(word)
    return json.dumps(values).encode("utf-8", "surrogatepass"), ", ".join(words)


def _places(values: object) -> list[tuple]:
    """Every (container, key) of nested values."""
    if not isinstance(values, dict | list):
        return []
    pairs = list(values.items() if isinstance(values, dict) else enumerate(values))
    return [(values, key) for key, _ in pairs] + [place for _, value in pairs for place in _places(value)]


def _change(values: object, draw: random.Random) -> str:
    places = _places(values)
    if not places:
        return "nothing to change"
    holder, key = draw.choice(places)
    what, value = draw.random(), draw.choice(VALUES)
    if isinstance(value, dict | list):
        value = json.loads(json.dumps(value))
    if what < 0.7:
        holder[key] = value
        return f"{key} becomes {str(value)[:30]!r}"
    if what < 0.85:
        del holder[key]
        return f"{key} left out"
    if isinstance(holder, dict):
        holder[f"{key}x"] = holder.pop(key) if draw.random() < 0.5 else value
    else:
        holder.append(value)
    return f"one more beside {key}"


def any_zip(content: bytes, draw: random.Random) -> Mutation:
    """A zip with a hostile name, a link, a bomb, a copy or another method; often with changed bytes."""
    if draw.random() < 0.6:
        return any_bytes(content, draw)
    made = io.BytesIO(content)
    with zipfile.ZipFile(
        made, "a", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    ) as opened:
        info = zipfile.ZipInfo(draw.choice(NAMES).replace("\x00", "") or "a")
        info.compress_type = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
        info.external_attr = draw.choice((0, 0o120777 << 16, 0o100644 << 16, 0o010644 << 16, 0x10))
        opened.writestr(info, draw.choice((b"", b"/etc/passwd", b"\x89PNG", bytes(300_000))))
    return made.getvalue(), f"with {info.filename[:40]!r}"


def any_text(content: bytes, draw: random.Random) -> Mutation:
    """A short text such as a rule or a setting: a piece replaced by a hostile one, or bytes that are still UTF-8."""
    if draw.random() < 0.4:
        changed, words = any_bytes(content, draw)
        return changed.decode("utf-8", "replace").encode(), words
    text, piece = content.decode(), str(draw.choice((*VALUES, *CELLS, "1e5", "-3", "101%", ",,", "::", "==")))
    start, end = sorted((draw.randrange(len(text) + 1), draw.randrange(len(text) + 1)))
    return (text[:start] + piece + text[end:]).encode("utf-8", "surrogatepass"), f"{piece[:30]!r} at {start}"
