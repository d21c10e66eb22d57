"""Counts in sentences agree with their unit: `1 study`, `2 studies are`; no f-string writes a plural after a number."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from core.plural import count_clause, count_text, plural_of, share_clause

REPOSITORY = Path(__file__).resolve().parent.parent
UNITS = (
    "bones|boxes|cases|cells|checkpoints|checks|columns|copies|draws|entries|epochs|files|folds|groups|ids|images|items|"
    "jobs|keys|labels|lines|logits|models|names|notes|pairs|patients|phantoms|points|radiographs|readers|reads|rows|"
    "runs|samples|scores|slices|splits|steps|studies|thresholds|values|verdicts|views|walkthroughs"
)
PLURAL = re.compile(rf"^ (?!across |of |in |and |with |at |by |had )(?:[a-z-]+ )?({UNITS})\b(?!/)")
# A value is a count if it is written with separators of thousands, computed by one of these calls, or named like one.
CALLS = re.compile(r"\b(len|int|sum|nunique|count)\(")
NAMED = re.compile(rf"(^|[._'])(n|count|total|number|more|lost|found|missed|needed|shared|already|left|{UNITS})('\])?$")
# Numbers that are never 1: numbers fixed in the code, and shares.
NEVER_ONE = {"2 * FOLDS", "frames"}


def is_count(value: ast.FormattedValue) -> bool:
    """Whether a value of an f-string is a number of things, which may be 1."""
    expression = ast.unparse(value.value)
    called = getattr(value.value, "func", None)
    if getattr(called, "id", "") in ("count_text", "count_clause", "share_clause") or expression in NEVER_ONE:
        return False
    form = ast.unparse(value.format_spec) if value.format_spec else ""
    fixed = expression.isupper() or "/" in expression
    return not fixed and bool("," in form or CALLS.search(expression) or NAMED.search(expression))


def written_plurals(file: Path) -> list[str]:
    """`line: {value} plural` of each f-string with a plural after a count."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        values = node.values if isinstance(node, ast.JoinedStr) else []
        for value, after in pairwise(values):
            words = PLURAL.match(after.value) if isinstance(after, ast.Constant) else None
            if words and isinstance(value, ast.FormattedValue) and is_count(value):
                found.append(f"{node.lineno}: {{{ast.unparse(value.value)}}}{words[0]}")
    return found


FILES = [file for room in ("core", "dashboard") for file in sorted((REPOSITORY / room).rglob("*.py"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(REPOSITORY).as_posix())
def test_no_plural_follows_a_number(file):
    assert written_plurals(file) == [], "use core.plural.count_text, or count_clause where a verb follows"


def test_a_plural_after_a_number_is_found(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("a = f'{len(rows):,} rows'\nb = f'{n} known patients'\nc = f'{view.split} studies'\n")
    assert written_plurals(file) == ["1: {len(rows)} rows", "2: {n} known patients"]


@pytest.mark.parametrize(
    ("unit", "plural"),
    [("study", "studies"), ("copy", "copies"), ("box", "boxes"), ("process", "processes"), ("day", "days")],
)
def test_units_have_their_plural(unit, plural):
    assert (
        plural_of(unit) == plural and count_text(1, unit) == f"1 {unit}" and count_text(1234, unit) == f"1,234 {plural}"
    )


def test_a_verb_agrees_with_the_count():
    assert count_clause(1, "study", "are") == "1 study is" and count_clause(0, "study", "are") == "0 studies are"
    assert share_clause(1, 3, "row", "match") == "1 of 3 rows matches"
    assert share_clause(2, 3, "row", "have") == "2 of 3 rows have"
