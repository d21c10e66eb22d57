"""A visitor without a browser: opens pages of a server over its WebSocket and waits for each run to end."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

# Longer than any turn may take; a turn that does not end raises TimeoutError.
LIMIT = 120.0
EARLY = (ForwardMsg.FINISHED_EARLY_FOR_RERUN,)  # another run follows


@dataclass(frozen=True)
class Turn:
    """One run of a page. seconds: from the request to the end of the run. exception: '' without one."""

    page: str
    seconds: float
    exception: str


@dataclass(frozen=True)
class Component:
    """A component of Overread as the page drew it last. data: what its script is given."""

    widget: str
    fragment: str
    data: dict


class Session:
    """One session on a server. Used with `with`. limit: seconds that a turn may take. reader: the name in its cookie.

    components: those of the open page by name, such as "overread.films".
    """

    def __init__(self, address: str, limit: float = LIMIT, reader: str = "") -> None:
        self._limit, self._page, self._query = limit, "", ""
        self._address = address.replace("http", "ws", 1) + "/_stcore/stream"
        self._headers = {"Cookie": f"overread_reader={quote(reader)}"} if reader else {}
        self.components: dict[str, Component] = {}

    def __enter__(self) -> "Session":
        self._socket = connect(
            self._address,
            subprotocols=["streamlit"],
            additional_headers=self._headers,
            max_size=None,
            open_timeout=60,
        )
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()

    def open(self, page: str, query: dict[str, str]) -> Turn:
        """Open a page, or the same page with another address, and wait until its script has ended."""
        self._page, self._query = page, urlencode(query)
        self.components.clear()
        return self._run(self._request())

    def set_state(self, component: Component, state: dict) -> Turn:
        """What the browser sends when a component's script sets its state; the run that follows."""
        message = self._request()
        message.rerun_script.fragment_id = component.fragment
        message.rerun_script.widget_states.widgets.add(id=component.widget, json_value=json.dumps(state))
        return self._run(message)

    def _request(self) -> BackMsg:
        message = BackMsg()
        message.rerun_script.page_name = self._page
        message.rerun_script.query_string = self._query
        message.rerun_script.context_info.url = f"http://127.0.0.1/{self._page}"
        return message

    def _run(self, message: BackMsg) -> Turn:
        began, exception = time.monotonic(), ""
        self._socket.send(message.SerializeToString())
        while True:
            left = self._limit - (time.monotonic() - began)
            answer = ForwardMsg.FromString(self._socket.recv(timeout=max(0.01, left)))
            kind = answer.WhichOneof("type")
            element = answer.delta.new_element.WhichOneof("type") if kind == "delta" else ""
            if element == "exception":
                found = answer.delta.new_element.exception
                exception = f"{found.type}: {found.message}"
            elif element == "bidi_component":
                drawn = answer.delta.new_element.bidi_component
                data = json.loads(drawn.json or drawn.mixed.json or "null")
                self.components[drawn.component_name] = Component(drawn.id, answer.delta.fragment_id, data)
            elif kind == "page_info_changed":
                self._query = answer.page_info_changed.query_string
            if kind == "script_finished" and answer.script_finished not in EARLY:
                return Turn(self._page, time.monotonic() - began, exception)


def process_of(port: str) -> Path:
    """The folder in /proc of the server at a port."""
    wanted = f"--server.port\0{port}\0".encode()
    return next(file.parent for file in Path("/proc").glob("[0-9]*/cmdline") if wanted in file.read_bytes())


def taken_by_others() -> tuple[float, float]:
    """Processor seconds of this machine since its start: those that ran here, and those that its host gave to others.

    A virtual machine waits for its processors while others have them; `steal` in /proc/stat counts this.
    """
    ticks = [int(cell) for cell in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _, _, interrupts, soft, stolen = (tick / os.sysconf("SC_CLK_TCK") for tick in ticks)
    return user + nice + system + interrupts + soft, stolen


def cpu_seconds(process: Path) -> float:
    """Processor time that a process has used."""
    words = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
