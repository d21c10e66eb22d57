"""The command that opens the pages: dashboard."""

import importlib.util
import os
import sys
from typing import Annotated

import typer

from core.errors import OverreadError


def dashboard(
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[-- OPTIONS]", help="Options of `streamlit run`, after two hyphens.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8501,
    host: Annotated[
        str, typer.Option(help="Address to listen on. With the default, other machines cannot reach the pages.")
    ] = "127.0.0.1",
) -> None:
    """Start the server of the pages on this machine, and print their address. Ctrl-C ends it."""
    command = server_command(host, port, *(more or ()))
    sys.stdout.flush()
    os.execv(command[0], command)


def server_command(host: str, port: int, *more: str) -> list[str]:
    """The command that starts the server of the pages. OverreadError where Streamlit or the pages are missing."""
    from core import paths

    home = paths.REPOSITORY / "dashboard" / "Home.py"
    if not home.is_file():
        raise OverreadError(
            f"The pages are not here (expected: {home}). Install Overread again with `pip install .`, or run this "
            "command in a checkout.",
            code="pages-missing",
        )
    if importlib.util.find_spec("streamlit") is None:
        raise OverreadError(
            "The pages need Streamlit, which is not installed. Run: pip install streamlit", code="streamlit-missing"
        )
    # Streamlit reads the settings beside the first page from any working directory: a link to those of the repository.
    options = ("--server.address", host, "--server.port", str(port))
    return [sys.executable, "-m", "streamlit", "run", str(home), *options, *more]
