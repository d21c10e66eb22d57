"""A PostgreSQL of the tests' own, which can be stopped as if the machine had lost its power."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class Missing(Exception):
    """PostgreSQL cannot run here; the text says why."""


@dataclass(frozen=True)
class Server:
    """A server that runs. address: `postgresql://user@host:port`, without a database."""

    address: str
    folder: Path
    port: int
    as_user: tuple[str, ...]
    binaries: Path

    def crash(self) -> None:
        """Stop it without a checkpoint: connections are cut, and the next start recovers from the log."""
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        """Start it, after `crash`, too."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c max_connections=200"
        self._control("-o", options, "-l", str(self.folder / "log"), "start")

    def _control(self, *words: str) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", *words)

    def run(self, program: str, *words: str) -> None:
        """Run a program of PostgreSQL. RuntimeError with what it printed if it fails."""
        command = [*self.as_user, str(self.binaries / program), *words]
        # Its output goes to a file: the server inherits it, and a pipe would stay open as long as the server runs.
        with tempfile.TemporaryFile("w+") as said:
            status = subprocess.run(command, cwd=self.folder, stdout=said, stderr=said).returncode
            said.seek(0)
            if status:
                raise RuntimeError(f"{program} failed: {said.read()}")


@contextmanager
def running(durable: bool = False) -> Iterator[Server]:
    """Start a server in a folder of its own and remove both afterwards.

    durable: with fsync, which only matters for a power cut of the machine. Missing where PostgreSQL cannot run.
    """
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not installed:
        raise Missing("PostgreSQL is not installed (Debian's package postgresql)")
    # PostgreSQL refuses to run as root; its package creates the user postgres.
    root = os.geteuid() == 0
    if root and not (shutil.which("runuser") and "postgres" in {user.pw_name for user in pwd.getpwall()}):
        raise Missing("PostgreSQL does not run as root, and there is no user postgres to run it as")
    folder = Path(tempfile.mkdtemp(prefix="overread-postgres-"))
    if root:
        shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    as_user = ("runuser", "-u", "postgres", "--") if root else ()
    server = Server(f"postgresql://tests@127.0.0.1:{port}", folder, port, as_user, installed[-1].parent)
    try:
        fast = () if durable else ("-N",)
        server.run("initdb", "-D", str(folder / "data"), "-U", "tests", "-A", "trust", "-E", "UTF8", *fast)
        server.start()
        try:
            yield server
        finally:
            server.crash()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
