"""Counts in sentences agree with their unit: `1 study`, `2 studies are`; no f-string writes a plural after a number."""

import ast
import re
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
# Texts, not counts: 'valid studies', 'labels.csv names the column', '30% of draws'.
TEXTS = {"MANIFEST", "command", "file", "kind", "name", "source", "split", "values.shape", "word"}
TEXT_FIELDS = (".name", ".data", ".split", ".title")
# Numbers that are never 1: shares and means with decimals, and numbers fixed in the code.
NEVER_ONE = {"2 * FOLDS", "abs(value)", "frames", "gain", "layer.width", "priors[balance]", "priors[chosen.balance]"}
# Functions that return a text.
CALLS = {"count_text", "count_clause", "share_clause", "join"}


def written_plurals(file: Path) -> list[str]:
    """`line: {value} plural` of each f-string with a plural after a value that may be 1."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        for value, after in zip(getattr(node, "values", [])[:-1], getattr(node, "values", [])[1:]):
            if not isinstance(node, ast.JoinedStr) or not isinstance(value, ast.FormattedValue):
                continue
            words = PLURAL.match(after.value) if isinstance(after, ast.Constant) else None
            expression = ast.unparse(value.value)
            is_text = (
                expression in TEXTS
                or expression.endswith(TEXT_FIELDS)
                or isinstance(value.value, (ast.IfExp, ast.JoinedStr))
                or "[:" in expression
            )
            fixed = expression in NEVER_ONE or expression.isupper() or "/" in expression or "_percent(" in expression
            # A call, such as `count_text(...)` or `', '.join(...)`, that is no number itself.
            call = value.value.func if isinstance(value.value, ast.Call) else None
            called = getattr(call, "id", getattr(call, "attr", ""))
            if (
                words
                and not is_text
                and not fixed
                and called not in ("count_text", "count_clause", "share_clause", "join")
            ):
                found.append(f"{node.lineno}: {{{expression}}}{words[0]}")
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
