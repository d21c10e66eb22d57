"""A visitor without a browser: opens pages of a server over its WebSocket and waits for each run to end."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

# Longer than any turn may take; a turn that does not end raises TimeoutError.
LIMIT = 120.0


@dataclass(frozen=True)
class Turn:
    """One run of a page. seconds: from the request to the end of the run. exception: '' without one."""

    page: str
    seconds: float
    exception: str


class Session:
    """One session on a server. Used with `with`. limit: seconds that a turn may take."""

    def __init__(self, address: str, limit: float = LIMIT) -> None:
        self._limit = limit
        self._address = address.replace("http", "ws", 1) + "/_stcore/stream"

    def __enter__(self) -> "Session":
        self._socket = connect(self._address, subprotocols=["streamlit"], max_size=None, open_timeout=60)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()

    def open(self, page: str, query: dict[str, str]) -> Turn:
        """Open a page, or the same page with another address, and wait until its script has ended."""
        message, began, exception = BackMsg(), time.monotonic(), ""
        message.rerun_script.page_name = page
        message.rerun_script.query_string = urlencode(query)
        message.rerun_script.context_info.url = f"http://127.0.0.1/{page}"
        self._socket.send(message.SerializeToString())
        while True:
            left = self._limit - (time.monotonic() - began)
            answer = ForwardMsg.FromString(self._socket.recv(timeout=max(0.01, left)))
            kind = answer.WhichOneof("type")
            if kind == "delta" and answer.delta.new_element.WhichOneof("type") == "exception":
                found = answer.delta.new_element.exception
                exception = f"{found.type}: {found.message}"
            if kind == "script_finished" and answer.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                return Turn(page, time.monotonic() - began, exception)


def process_of(port: str) -> Path:
    """The folder in /proc of the server at a port."""
    wanted = f"--server.port\0{port}\0".encode()
    return next(file.parent for file in Path("/proc").glob("[0-9]*/cmdline") if wanted in file.read_bytes())


def cpu_seconds(process: Path) -> float:
    """Processor time that a process has used."""
    words = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
