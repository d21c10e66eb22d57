"""The client of `bench.serving`: requests made beforehand, sent over kept connections; only the status is parsed."""

import asyncio
import json
import time
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Request:
    """A whole HTTP request as bytes."""

    data: bytes = field(repr=False)


@dataclass
class Measured:
    """latencies: seconds of each request. errors: answers other than 200 and 422. answered: with the warming."""

    latencies: list[float]
    errors: int
    seconds: float
    answered: int = 0

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds


def multipart(route: str, files: list[bytes]) -> Request:
    """A study as a form."""
    boundary, parts = "overread-bench", b""
    for number, data in enumerate(files):
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{number}.png"\r\n'
        parts += head.encode() + b"Content-Type: image/png\r\n\r\n" + data + b"\r\n"
    return _request(route, f"multipart/form-data; boundary={boundary}", parts + f"--{boundary}--\r\n".encode())


def binary_pixels(route: str, squares: np.ndarray) -> Request:
    """Decoded radiographs, each a study, as the Open Inference Protocol sends them with raw tensors."""
    names = b"".join(len(text).to_bytes(4, "little") + text for text in (b"%d" % n for n in range(len(squares))))
    inputs = [
        _tensor("pixels", "UINT8", squares.shape, squares.nbytes),
        _tensor("study", "BYTES", (len(squares),), len(names)),
    ]
    head = json.dumps({"inputs": inputs, "outputs": [{"name": "score"}, {"name": "decision"}]}).encode()
    body = head + squares.tobytes() + names
    return _request(route, "application/octet-stream", body, f"Inference-Header-Content-Length: {len(head)}\r\n")


def _tensor(name: str, kind: str, shape: tuple, size: int) -> dict:
    return {"name": name, "datatype": kind, "shape": list(shape), "parameters": {"binary_data_size": size}}


def _request(route: str, kind: str, body: bytes, more: str = "") -> Request:
    head = f"POST {route} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n{more}"
    return Request(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


async def press(port: int, requests: list[Request], concurrency: int, seconds: float, warm: float = 1.0) -> Measured:
    """Clients that each send the next request once the last is answered. seconds: 0 for one request and no warming."""
    found = Measured([], 0, seconds)
    begun = time.perf_counter() + (warm if seconds else 0.0)

    async def client(place: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            sent = time.perf_counter()
            writer.write(requests[place % len(requests)].data)
            status = await _answer(reader)
            answered = time.perf_counter()
            found.answered += 1
            if sent >= begun or not seconds:
                found.latencies.append(answered - sent)
                found.errors += status not in (200, 422)
            if answered - begun >= seconds:
                break
            place += concurrency
        writer.close()

    await asyncio.gather(*(client(place) for place in range(concurrency)))
    found.seconds = time.perf_counter() - begun
    return found


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    await reader.readexactly(int(lines[b"content-length"]))
    return status
