"""Kept maps in the workspace: two files a record, a bound on their size, and damaged records made again. No torch.

`maps/<digest>/<key>.npz` has the map, float32 [s, s]; `<key>.json` the facts, the checks and the hashes of both. The
JSON is written last, so that a kill leaves a whole record or none.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from core.explain.map_record import MapKey, MapRecord
from core.explain.map_values import Attribution
from core.explain.trust_report import Check, plain
from core.paths import home, write_atomically

FORMAT = 1
# Megabytes of kept maps in a workspace, unless OVERREAD_MAPS_MB says otherwise. A map at 224 px takes up to 0.2 MB.
DEFAULT_LIMIT_MB = 1000
# Records are removed down to this share of the limit, so that not every new map removes one.
_KEPT_SHARE = 0.8
_WRITES_BETWEEN_LOOKS = 50
_writes = 0


def maps_folder() -> Path:
    """The folder of all kept maps."""
    return home() / "maps"


def read_record(key: MapKey, network: tuple[float, float] | None) -> MapRecord | None:
    """The kept record of a key, judged with the network's AUROC; None where there is none or it is damaged.

    A damaged record is removed, so that it is made again. Reading a record counts as a use of it.
    """
    file = _file(key, "json")
    try:
        record = _parse(file.read_text(), key, network)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        _remove(file)
        return None
    with contextlib.suppress(OSError):
        os.utime(file)
    return record


def is_whole(file: Path) -> bool:
    """Whether the JSON of a record, and its map, are as they were written."""
    try:
        stored = json.loads(file.read_text())
        digest = stored.pop("sha256")
        if "npz" in stored:
            _read_npz(file.with_suffix(".npz"), stored["npz"])
        return digest == _digest(stored)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def write_record(record: MapRecord) -> MapRecord:
    """Keep a record, with or without its checks, and return it. Removes those used longest ago beyond the limit."""
    global _writes
    found, stored = record.attribution, {"format": FORMAT, "key": asdict(record.key), "refused": record.refused}
    stored["seconds"] = plain(record.seconds)
    if found is not None:
        data = _npz(found.map)
        write_atomically(_file(record.key, "npz"), lambda path: path.write_bytes(data))
        facts = {name: value for name, value in vars(found).items() if name != "map"}
        stored |= {"attribution": plain(facts), "npz": hashlib.sha256(data).hexdigest()}
    if record.checks is not None:
        stored |= {
            "checks": [plain(asdict(check)) for check in record.checks],
            "better_than_edges": record.better_than_edges,
            "curves": plain(record.curves),
        }
    text = json.dumps({**stored, "sha256": _digest(stored)})
    write_atomically(_file(record.key, "json"), lambda path: path.write_text(text))
    _writes += 1
    if _writes % _WRITES_BETWEEN_LOOKS == 1:
        prune(_limit_bytes())
    return record


def prune(limit: float) -> int:
    """Remove the records that were used longest ago where all of them take more than `limit` bytes; how many."""
    records = []
    for file in maps_folder().glob("*/*.json"):
        with contextlib.suppress(OSError):
            facts, partner = file.stat(), file.with_suffix(".npz")
            records.append((facts.st_mtime_ns, facts.st_size + _size(partner), file))
    total, removed = sum(size for _, size, _ in records), 0
    if total <= limit:
        return 0
    for _, size, file in sorted(records):
        if total <= _KEPT_SHARE * limit:
            break
        _remove(file)
        total, removed = total - size, removed + 1
    return removed


def _parse(text: str, key: MapKey, network: tuple[float, float] | None) -> MapRecord:
    """The record in a file. ValueError where a hash does not match."""
    stored = json.loads(text)
    digest = stored.pop("sha256")
    if digest != _digest(stored) or stored["format"] != FORMAT:
        raise ValueError("the hash of the record does not match")
    record = MapRecord(key, refused=stored["refused"], network=network, seconds=_number(stored["seconds"]))
    if "attribution" in stored:
        values = _read_npz(_file(key, "npz"), stored["npz"])
        facts = stored["attribution"]
        facts |= {name: _number(facts[name]) for name in ("gap", "value")}
        record = replace(record, attribution=Attribution(**facts, map=values))
    if "checks" in stored:
        checks = tuple(
            Check(**{**one, "value": _number(one["value"]), "reference": _number(one["reference"])})
            for one in stored["checks"]
        )
        better, curves = stored["better_than_edges"], stored["curves"]
        record = replace(record, checks=checks, better_than_edges=better, curves=curves)
    return record


def _number(stored: float | None) -> float:
    return math.nan if stored is None else stored


def _npz(values: np.ndarray) -> bytes:
    """The map as an NPZ with the same bytes each time, as two processes that make one record must agree."""
    buffer, member = io.BytesIO(), zipfile.ZipInfo("map.npy")  # without a date
    member.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(buffer, "w") as archive, archive.open(member, "w") as file:
        np.lib.format.write_array(file, np.ascontiguousarray(values, dtype=np.float32), allow_pickle=False)
    return buffer.getvalue()


def _read_npz(path: Path, digest: str) -> np.ndarray:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ValueError("the file of the map is missing") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError("the hash of the map does not match")
    with np.load(io.BytesIO(data), allow_pickle=False) as opened:
        values = opened["map"]
    # One record is handed to many pages.
    values.flags.writeable = False
    return values


def _file(key: MapKey, ending: str) -> Path:
    return maps_folder() / key.digest[:16] / f"{key.name}.{ending}"


def _remove(file: Path) -> None:
    # The JSON first: a map without it is not a record.
    for one in (file, file.with_suffix(".npz")):
        with contextlib.suppress(OSError):
            one.unlink()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _limit_bytes() -> float:
    try:
        return 1e6 * float(os.environ["OVERREAD_MAPS_MB"])
    except (KeyError, ValueError):
        return 1e6 * DEFAULT_LIMIT_MB


def _digest(stored: dict) -> str:
    return hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()
