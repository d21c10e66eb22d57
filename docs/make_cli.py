"""Write docs/cli.md, the reference of the command line, from the commands: `python docs/make_cli.py`."""

import inspect
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import typer

from core.__main__ import app

PAGE = Path(__file__).with_name("cli.md")
HEAD = """# Command line

`python -m core COMMAND` in the repository, or `overread COMMAND` where the package is installed. `make docs` writes
this page from the commands.

`--json` prints one JSON object on standard output and nothing else. The exit status is 0 for success, 2 for wrong use
and 1 for any other error. An error is one or two sentences on standard error, followed by its code in square brackets.
`OVERREAD_HOME` is the folder of data sets, caches and scores; the default is `./workspace`.
`python -m core --version` prints the version.
"""
PLACEHOLDERS = {int: "N", float: "X", Path: "PATH", str: "TEXT"}


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


def page() -> str:
    """The whole page."""
    commands = list(command_functions(app))
    lines = [HEAD, "| command | does |", "|---|---|"]
    lines += [f"| [`{name}`](#{name.replace(' ', '-')}) | {summary(function)} |" for name, function in commands]
    return "\n".join([*lines, *(section(name, function) for name, function in commands)]) + "\n"


def command_functions(group: typer.Typer, prefix: str = "") -> Iterator[tuple[str, Callable]]:
    """Each command's name, as it is typed, and its function; commands of a sub-group follow the others."""
    for info in group.registered_commands:
        yield prefix + (info.name or info.callback.__name__.replace("_", "-")), info.callback
    for info in group.registered_groups:
        yield from command_functions(info.typer_instance, f"{prefix}{info.name} ")


def summary(function: Callable) -> str:
    """The first line of the help text, without its full stop."""
    return inspect.getdoc(function).split("\n\n")[0].replace("\n", " ").removesuffix(".")


def section(name: str, function: Callable) -> str:
    """Usage, help text and a table of arguments and options."""
    rows, usage = [], []
    for parameter in inspect.signature(function).parameters.values():
        kind, info = typing.get_args(parameter.annotation)[:2]
        required = parameter.default is inspect.Parameter.empty
        spelt = spelling(parameter.name, kind, info)
        if required:
            usage.append(spelt)
        default = "required" if required else shown_default(parameter.default)
        rows.append(f"| `{escaped(spelt)}` | {escaped(info.help or '')} | {default} |")
    optional = ["[OPTIONS]"] if len(usage) < len(rows) else []
    lines = ["", f"## {name}", "", f"    overread {' '.join([name, *usage, *optional])}", "", inspect.getdoc(function)]
    if rows:
        lines += ["", "| argument or option | meaning | default |", "|---|---|---|", *rows]
    return "\n".join(lines)


def spelling(name: str, kind: type, info) -> str:
    """An argument as `NAME`, an option as `--name VALUE`, a switch as `--name`."""
    if isinstance(info, typer.models.ArgumentInfo):
        return info.metavar or name.upper()
    # Of `Option("--json", ...)` in an annotation, typer keeps the flag where a default would be.
    declared = [text for text in (info.default, *(info.param_decls or ())) if str(text).startswith("--")]
    flag = next(iter(declared), "--" + name.replace("_", "-"))
    plain = next(one for one in types_within(kind) if one in (*PLACEHOLDERS, bool))
    return flag if plain is bool else f"{flag} {info.metavar or PLACEHOLDERS[plain]}"


def types_within(kind: type) -> Iterator[type]:
    """The type itself, and those it is made of, as in `list[str] | None`."""
    yield kind
    for inner in typing.get_args(kind):
        yield from types_within(inner)


def shown_default(value: object) -> str:
    """The default in code font; empty where there is none, and for a switch that is off."""
    return "" if value is None or value is False or value == "" else f"`{value}`"


def escaped(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()
