"""The largest request that the service accepts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on a request. files: radiographs in one study; seconds: from its arrival to its answer.

    pixels: of one radiograph; a detector of 43 x 43 cm at 100 micrometres has 18 million.
    """

    files: int = 40
    studies: int = 64
    file_bytes: int = 64_000_000
    request_bytes: int = 256_000_000
    pixels: int = 50_000_000
    seconds: float = 60.0
    waiting: int = 64
