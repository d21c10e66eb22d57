"""Rows of a text with delimiters, and which delimiter it is written with."""

import csv
import io

import numpy as np

DELIMITERS = {"\t": "tabs", ";": "semicolons", "|": "'|'", ",": "commas"}
_SAMPLE_ROWS, _SAMPLE_CHARACTERS = 500, 1 << 18


def sniff_delimiter(text: str) -> str:
    """The delimiter with which the most rows have as many cells as the first one; a comma where none occurs."""
    sample = text[:_SAMPLE_CHARACTERS]
    best, choice = (0.0, 1), ","
    for delimiter in DELIMITERS:
        try:
            rows = split_rows(sample, delimiter, exact=False, strict=False, limit=_SAMPLE_ROWS)[1]
        except csv.Error:
            continue
        if len(sample) < len(text) and len(rows) > 1:
            rows = rows[:-1]  # the sample may end within a row
        if not rows or len(rows[0]) < 2:
            continue
        first = len(rows[0])
        share = float(np.mean([len(row) == first for row in rows]))
        if (share, first) > best:
            best, choice = (share, first), delimiter
    return choice


def split_rows(
    text: str, delimiter: str, exact: bool, strict: bool = True, limit: int | None = None
) -> tuple[list[int], list[list[str]]]:
    """Each row that is not blank, and the line on which it starts."""
    old = csv.field_size_limit(2**30)
    lines, rows, before = [], [], 0
    try:
        # newline='': a carriage return alone ends a line, and one within quotes is kept.
        reader = csv.reader(
            io.StringIO(text, newline=""), delimiter=delimiter, strict=strict, skipinitialspace=not exact
        )
        while True:
            try:
                row = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                raise csv.Error(f"line {before + 1}: {error}") from error
            if row and (len(row) > 1 or row[0].strip()):
                lines.append(before + 1)
                rows.append(row)
                if limit and len(rows) >= limit:
                    break
            before = reader.line_num
    finally:
        csv.field_size_limit(old)
    return lines, rows
