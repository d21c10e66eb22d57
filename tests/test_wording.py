"""Words that docs/style.md retires, and phrases that made readers stop: none is in the texts of the project."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
# A phrase that may not occur, and what to write instead. Only phrases that have no other meaning in code.
RETIRED = {
    r"(who|what)ever\b": "name the person or the thing",
    r"less the (rest|others?)\b": "minus",
    r"(is|are|was|were|be|been) (told|said)\b": "is reported, is distinguished",
    r"(lies|lie) (in|below|beside|under)\b": "is in",
    r"(held|put) (against|beside)\b": "compared with",
    r"rate of exchange\b": "trade-off",
    r"random agreements\b": "correctly classified studies drawn at random",
    r"looked at\b": "evaluated, checked",
    r"(?<!\")(go|goes|going|gone) on\b": "continue",
    r"(break|breaks|broke|broken) off\b": "is interrupted",
    r"as it stands\b": "now",
    r"all the same\b": "anyway",
    r"(wrong way|turned) round\b": "in reverse order, reversed",
    r"of late\b": "recent",
    r"stays? plain\b": "is shown without its map",
    r"flatters?\b": "is too good",
    r"give\w* \w+ away\b": "reveal",
    r"(one|a) (row|line|number|object|column) an? (?!(stored|new)\b)[a-z]+\b": "one row per study",
    r"one a (row|line|radiograph|study)\b": "one per line",
    r"(?<!there )(is|are|be) no (json|parquet|csv|utf|safetensors|zip|table|recipe)\b": "is not JSON",
    r"(that|which|it) is (none|not one)(?= of the|[.,;:)])": "is not a record, is invalid",
    r"known before,": "imported before",
    r"belongs? to nothing\b": "that nothing uses",
}
PATTERN = re.compile(rf"\b(?:{'|'.join(RETIRED)})")


def texts() -> dict[str, str]:
    files = [
        *REPOSITORY.glob("*.md"),
        *(file for file in (REPOSITORY / "docs").rglob("*.md") if file.name != "style.md"),
        *(
            file
            for folder in ("core", "dashboard")
            for kind in ("*.py", "*.md", "*.js", "*.html")
            for file in (REPOSITORY / folder).rglob(kind)
        ),
    ]
    found = {file.relative_to(REPOSITORY).as_posix(): file.read_text(encoding="utf-8").lower() for file in files}
    # Earlier releases stay as they were published.
    found["CHANGELOG.md"] = found["CHANGELOG.md"].split("\n## 0.2.0")[0]
    return {name: re.sub(r"\s*\n\s*(# )?", " ", text) for name, text in found.items()}


def test_no_text_has_a_retired_phrase():
    found = [
        f"{name}: ...{text[max(0, hit.start() - 30) : hit.end() + 30]!r}"
        for name, text in texts().items()
        for hit in PATTERN.finditer(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "sentence",
    [
        "whoever recomputes it",
        "a download that broke off",
        "scores rank the wrong way round",
        "One row a study",
        "the file is no JSON",
        "names the line that is not one.",
        "the film stays plain",
    ],
)
def test_the_phrases_are_found(sentence):
    assert PATTERN.search(sentence.lower())
