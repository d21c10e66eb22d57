"""Every command and flag is in the documentation, and every command that it shows exists and parses."""

import itertools
import re
import shlex

import pytest
import typer

from core.__main__ import app
from core.training.recipes import RECIPES
from docs import make_cli
from tests.conftest import REPOSITORY

PAGES = [
    file.relative_to(REPOSITORY).as_posix()
    for pattern in ("*.md", "docs/*.md", "docs/how-to/*.md", "checkpoints/README.md")
    for file in sorted(REPOSITORY.glob(pattern))
]
PROGRAM = typer.main.get_command(app)
RUN = re.compile(r"(?:python -m core|launch -m core|\boverread) (?P<words>[^`]+)")


def all_commands() -> dict[str, object]:
    """Each command by the words that call it."""
    found = {}
    for name, command in PROGRAM.commands.items():
        within = getattr(command, "commands", None) or {"": command}
        found |= {f"{name} {inner}".strip(): one for inner, one in within.items()}
    return found


COMMANDS = all_commands()
# Those of the program itself, which end it.
OWN_OPTIONS = {option for one in PROGRAM.params for option in one.opts}


def snippets(text: str) -> list[str]:
    """The code in a page: lines of blocks, joined where they end in a backslash, and code within a sentence."""
    fenced = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    indented = re.findall(r"(?m)^    (\S.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    lines = [line for block in fenced for line in block.replace("\\\n", " ").splitlines()]
    inline = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [re.sub(r"\s+", " ", snippet) for snippet in (*lines, *indented, *inline)]


def documented_calls() -> list[tuple[str, str]]:
    """(page, words after the program's name) of each command line shown, and of `train ... --flag` alone."""
    found = []
    for page in PAGES:
        for snippet in snippets((REPOSITORY / page).read_text()):
            if run := RUN.search(snippet):
                found.append((page, run["words"]))
            elif "--" in snippet and any(snippet.startswith(name + " ") for name in COMMANDS):
                found.append((page, snippet + " ..."))
    return [call for call in dict.fromkeys(found) if call[1].split()[0] not in {"COMMAND", "..."}]


def words_of(text: str) -> list[str]:
    """The words of a command line: comments go, optional parts count, the first of alternatives, placeholders are 1."""
    text = re.sub(r"\s#.*", "", text).replace("\\|", "|").replace("...", " ").replace("[OPTIONS]", "")
    words = (word.split("|")[0] for word in shlex.split(re.sub(r"[\[\]]", " ", text)))
    return [re.sub(r"^[A-Z_]+(\.[a-z]+)?$", "1", word) for word in words if word]


def parse(words: list[str], partial: bool) -> None:
    """Parse without running. `partial`: what is required may be missing."""
    if words[0] in OWN_OPTIONS:
        return
    name = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in COMMANDS), None)
    assert name, f"no command {words[0]!r}"
    COMMANDS[name].make_context(name, words[len(name.split()) :], resilient_parsing=partial)


@pytest.mark.parametrize(("page", "text"), documented_calls(), ids=lambda text: text[:60])
def test_a_documented_command_exists_and_parses(page, text):
    words = words_of(text)
    parse(words, partial="..." in text or not words[1:])
    if words[0] in {"train", "sweep"} and words[1:] and words[1] != "1" and not words[1].startswith("-"):
        assert words[1] in RECIPES


@pytest.mark.parametrize(
    "text",
    ["frobnicate", "--bogus", "train --bogus", "index PATH --name", "evaluate NAME --threshold high", "audit a b"],
)
def test_a_wrong_command_does_not_parse(text):
    with pytest.raises(Exception, match=r"frobnicate|bogus|name|valid|extra|unexpected"):
        parse(words_of(text), partial=False)


def test_documented_commands_are_found_in_every_kind_of_code():
    text = "```sh\npython -m core a \\\n  --b\n```\n\n    overread c D\n\nand `python -m core e`"
    assert [RUN.search(snippet)["words"] for snippet in snippets(text)] == ["a --b", "c D", "e"]


def test_every_command_and_flag_is_in_the_reference():
    page = (REPOSITORY / "docs" / "cli.md").read_text()
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert set(sections) == set(COMMANDS)
    assert all(f" {option}`" in page for option in OWN_OPTIONS)
    for name, command in COMMANDS.items():
        flags = itertools.chain.from_iterable([*one.opts, *one.secondary_opts] for one in command.params)
        missing = [flag for flag in flags if flag.startswith("-") and f"`{flag}" not in sections[name]]
        assert not missing, f"docs/cli.md lacks {missing} of {name}"


def test_the_reference_is_as_the_commands_are():
    assert (REPOSITORY / "docs" / "cli.md").read_text() == make_cli.page(), "run `make docs`"
