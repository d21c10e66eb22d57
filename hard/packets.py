"""Everything once, in a network of its own, where each packet that leaves this machine is counted: there is none.

The kernel gives this part a network with a loopback and one wire, whose other end this part reads. A packet sent on
purpose shows that it would be seen.
"""

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hard.trials import Trial, described

# The walk is made once.
COUNT = 1
NEAR, FAR, OUTSIDE = "near", "far", "203.0.113.9"
# What Chromium asks for by itself is not counted on the pages.
IDLE = "Chromium, without a page of Overread"
# Both addresses are for documentation; nothing answers.
LINKS = (
    f"ip link add {NEAR} type veth peer name {FAR}",
    f"sysctl -qw net.ipv6.conf.{NEAR}.accept_dad=0 net.ipv6.conf.{NEAR}.router_solicitations=0",
    f"sysctl -qw net.ipv6.conf.{FAR}.disable_ipv6=1",
    f"ip addr add 192.0.2.1/24 dev {NEAR}",
    f"ip addr add 2001:db8::1/64 dev {NEAR} nodad",
    "ip link set lo up",
    f"ip link set {FAR} up",
    f"ip link set {NEAR} up",
    f"ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev {NEAR} nud permanent",
    f"ip -6 neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 dev {NEAR} nud permanent",
    f"ip route add default via 192.0.2.2 dev {NEAR}",
    f"ip -6 route add default via 2001:db8::2 dev {NEAR}",
)
NOTHING = "nothing left"
PROTOCOLS = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}
NOTES: list[str] = []


def run(folder: Path, seed: int, count: int = COUNT) -> Iterator[Trial]:
    """Start this module again in a network of its own, and read what it found."""
    if why := missing():
        NOTES.append(f"No packet was counted: {why}.")
        return
    # Names are looked up at an address outside; a resolver on this machine would hide that it was asked.
    (folder / "resolv.conf").write_text("nameserver 203.0.113.53\n")
    inside = f"mount --bind {folder}/resolv.conf /etc/resolv.conf && exec {sys.executable} -m hard.packets {folder}"
    done = subprocess.run(["unshare", "-rnm", "sh", "-c", inside], capture_output=True, text=True)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    yield from (Trial(*one) for one in found)
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            NOTES.append(f"Chromium by itself: {', '.join(json.loads(line)['own']) or 'nothing'}; not counted.")
    if done.returncode:
        yield Trial("the walk", "uncaught", done.stderr[-500:])


def missing() -> str:
    """What this part needs and this machine lacks; '' if nothing."""
    for program in ("unshare", "ip", "sysctl", "mount"):
        if not shutil.which(program):
            return f"there is no {program}"
    probe = LINKS[0]
    done = subprocess.run(["unshare", "-rnm", "sh", "-c", probe], capture_output=True, text=True)
    return f"a network of its own is refused ({done.stderr.strip()[:200]})" if done.returncode else ""


class Wire(threading.Thread):
    """Reads the far end of the wire. packets: one line for each packet that left."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.packets: list[str] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # every protocol
        self._socket.bind((FAR, 0))

    def run(self) -> None:
        while True:
            frame, (_, _, kind, *_) = self._socket.recvfrom(65_536)
            if kind != socket.PACKET_OUTGOING:
                self.packets.append(destination(frame))


def destination(frame: bytes) -> str:
    """Protocol, address and port that an Ethernet frame goes to."""
    kind = struct.unpack("!H", frame[12:14])[0]
    if kind == 0x0800:
        protocol, address = frame[23], socket.inet_ntop(socket.AF_INET, frame[30:34])
        ports = 14 + 4 * (frame[14] & 15)
    elif kind == 0x86DD:
        protocol, address, ports = frame[20], socket.inet_ntop(socket.AF_INET6, frame[38:54]), 54
    else:
        return f"frame of type {kind:#06x}"
    port = struct.unpack("!H", frame[ports + 2 : ports + 4])[0] if protocol in (6, 17) else 0
    if protocol == 17 and port == 53:
        return f"look-up of {name_asked(frame[ports + 20 :])}"
    return f"{PROTOCOLS.get(protocol, protocol)} to {address}" + (f" port {port}" if port else "")


def name_asked(question: bytes) -> str:
    """The name in a question to a name server: parts with their lengths before them."""
    names = []
    while question and question[0]:
        names.append(question[1 : 1 + question[0]].decode("ascii", "replace"))
        question = question[1 + question[0] :]
    return ".".join(names)


def walk(folder: Path) -> None:
    """Do everything once; prints a trial for each part of it."""
    for link in LINKS:
        subprocess.run(link.split(), check=True)
    wire = Wire()
    wire.start()
    time.sleep(3)  # the kernel greets the network
    control(wire)
    own: set[str] = set()
    for name, work in parts(folder):
        before = len(wire.packets)
        try:
            work()
            time.sleep(0.5)
            left = [packet for packet in wire.packets[before:] if packet not in own]
            if name == IDLE:
                own, left = set(left), []
                print(json.dumps({"own": sorted(own)}), flush=True)
            outcome = ("fetched", f"{len(left)} packets: {', '.join(dict.fromkeys(left))}") if left else (NOTHING, "")
        except Exception as error:  # noqa: BLE001 - the report names it
            outcome = ("uncaught", described(error))
        print(json.dumps([name, *outcome]), flush=True)


def control(wire: Wire) -> None:
    """Send a packet, look up a name, and try to connect: each must be seen. RuntimeError if one is not."""
    for name, send in (
        ("a packet", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (OUTSIDE, 9))),
        ("IPv6", lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"x", ("2001:db8:1::9", 9))),
        ("a name", lambda: subprocess.run(["timeout", "1", "getent", "hosts", "example.org"])),
        ("a connection", lambda: socket.create_connection((OUTSIDE, 443), timeout=0.2)),
    ):
        before = len(wire.packets)
        with contextlib.suppress(OSError):
            send()
        time.sleep(0.5)
        if len(wire.packets) == before:
            raise RuntimeError(f"{name} was sent to the network and not counted")
    time.sleep(3)  # what is tried again


def parts(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """The name of each part, and its work."""
    home = folder / "home"
    yield "a workspace: index, scores, thresholds, verdicts, maps", lambda: workspace(home)
    commands = (
        "doctor", "checkpoints", "recipes", "evaluate model --data demo", "predict model --data demo",
        "train fast-cpu --data demo --out packet-run --set epochs=1 --set size=32 --set weights=",
    )  # fmt: skip
    for words in commands:
        yield f"core {words.split()[0]}", lambda words=words: core(words)
    yield "the service, with a study", lambda: service(home)
    yield "the pages, without a browser", lambda: pages(home)
    if shutil.which("chromium"):
        yield IDLE, idle_browser
        yield "the pages, in Chromium", lambda: browser(home)


def workspace(home: Path) -> None:
    """Every kind of file."""
    from hard.workspace import make_workspace

    make_workspace(home, patients=16)


def core(words: str) -> None:
    """A command, in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "core", *words.split()], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{words}: {done.stderr[-300:]}")


def service(home: Path) -> None:
    """Start the service and send it a study."""
    import requests

    from core.data.datasets import read_dataset, read_index
    from hard.workspace import MODEL
    from tests.browser.server import free_port

    row, port = read_index("demo").iloc[0], free_port()
    command = [sys.executable, "-m", "core", "serve", MODEL, "--port", str(port)]
    with (home / "service.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 90
        while True:
            try:
                requests.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).raise_for_status()
                break
            except requests.RequestException:
                if time.monotonic() > until or process.poll() is not None:
                    raise
                time.sleep(0.3)
        content = (Path(read_dataset("demo").root) / row["path"]).read_bytes()
        address = f"http://127.0.0.1:{port}/v1/studies"
        requests.post(address, files=[("files", ("a.png", content))], timeout=60).raise_for_status()
    finally:
        process.terminate()
        process.wait()


def pages(home: Path) -> None:
    """Every page, over the WebSocket."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    from dashboard import page_list
    from hard.session import Session
    from hard.workspace import MODEL
    from tests.browser.server import serve

    # On every interface, and with a page of another host that tries to open a connection: both are reasons for
    # Streamlit to look up the public address of the machine.
    with serve(home, "--server.address", "0.0.0.0") as address, Session(address) as visitor:
        with contextlib.suppress(InvalidStatus):
            connect(address.replace("http", "ws") + "/_stcore/stream", origin="http://overread.example", proxy=None)
        for page in page_list.PAGES:
            visitor.open(page.name, {"data": "demo", "model": MODEL})


def idle_browser() -> None:
    """A page with a field, which is nobody's: what Chromium then asks for is its own (account, updates, autofill)."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    from tests.browser.server import chromium

    class Form(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><form>" + b"".join(b"<input name=field%d>" % at for at in range(6)))

        def log_message(self, *words: object) -> None:
            """The standard output is the report."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Form) as server, chromium() as opened:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = opened.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.wait_for_timeout(30_000)
        server.shutdown()


def browser(home: Path) -> None:
    """Every page in the system's browser, which also loads what the pages name."""
    from dashboard import page_list
    from tests.browser.server import chromium, serve, settle

    with serve(home) as address, chromium() as opened:
        page = opened.new_page()
        for one in page_list.PAGES:
            page.goto(f"{address}/{one.name}")
            settle(page)


if __name__ == "__main__":
    os.environ["OVERREAD_HOME"] = str(Path(sys.argv[1], "home"))
    walk(Path(sys.argv[1]))
