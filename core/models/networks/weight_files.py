"""Files of weights as people have them: a state dict, alone or inside a training checkpoint. Never full unpickling."""

import argparse
import codecs
import collections
import pathlib
import re
import types
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from core.errors import OverreadError

# Keys under which training programs store the state dict: the key of the weights comes before the key of running means.
NESTS = (
    "state_dict",
    "model_state_dict",
    "model",
    "params",
    "weights",
    "net",
    "network",
    "model_state",
    "module",
    "encoder",
    "backbone",
    "teacher",
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "ema",
    "params_ema",
)
# Classes that hold settings beside the tensors and run no code when they are made.
_NUMPY_TYPES = [type(np.dtype(code)) for code in np.typecodes["All"] if code not in "OMm"]
_ALLOWED = [
    argparse.Namespace,
    types.SimpleNamespace,
    collections.OrderedDict,
    collections.defaultdict,
    collections.Counter,
    np.dtype,
    np.ndarray,
    *dict.fromkeys(_NUMPY_TYPES),
    *((np._core.multiarray.scalar, f"numpy.{core}.multiarray.scalar") for core in ("_core", "core")),
    *((np._core.multiarray._reconstruct, f"numpy.{core}.multiarray._reconstruct") for core in ("_core", "core")),
    (codecs.encode, "_codecs.encode"),
    *((kind, f"{place}.{kind.__name__}") for place in ("builtins", "__builtin__") for kind in (set, dict, list, int)),
    # A path is only kept as text; one of another system could not be made.
    *(
        (pathlib.PurePosixPath if "Posix" in name else pathlib.PureWindowsPath, f"{place}.{name}")
        for place in ("pathlib", "pathlib._local")
        for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
    ),
]
_UNKNOWN_CLASS = re.compile(r"(?:GLOBAL|Unsupported class|class) ([\w.]+)")
_EXPECTED = "Expected .safetensors, or a .pth, .pt, .ckpt or .bin of a state dict"


@dataclass(frozen=True)
class WeightsFile:
    """Tensors by name as in the file, and sentences on where they were in it."""

    state: dict[str, torch.Tensor]
    notes: list[str] = field(default_factory=list)


def read_weights(file: Path) -> WeightsFile:
    """The state dict of a file, one level deep at most. OverreadError says why there is none."""
    content = _load(file)
    if not isinstance(content, dict):
        raise _unusable(file, f"holds {_described(content)}")
    own = _tensors(content)
    nests = {str(key): _tensors(value) for key, value in content.items() if isinstance(value, dict)}
    nests = {key: tensors for key, tensors in nests.items() if tensors and key != "optimizer"}
    # A few tensors beside a nest are figures of the training, such as a best score.
    if own and not any(len(tensors) >= len(own) for tensors in nests.values()):
        return WeightsFile(own)
    known = [key for key in NESTS if key in nests]
    if not known and len(nests) != 1:
        inside = ", ".join(map(str, list(content)[:6])) or "nothing"
        raise _unusable(file, f"holds no state dict (found {inside}; {len(nests)} of them with tensors)")
    name = (known or list(nests))[0]
    others = [key for key in known if key != name]
    note = f"{file.name}: the weights are those under {name!r}"
    return WeightsFile(nests[name], [f"{note}; not those under {', '.join(map(repr, others))}" if others else note])


def _load(file: Path):
    try:
        with file.open("rb") as opened:
            start = opened.read(9)
        if file.suffix.lower() == ".safetensors" or start[8:9] == b"{":
            from safetensors.torch import load_file

            return load_file(file)
        with torch.serialization.safe_globals(_ALLOWED):
            return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise OverreadError(f"There is no weights file {file}; check the path.", code="weights-missing") from None
    except Exception as error:
        # A damaged pickle can raise any exception, since reading one runs its instructions.
        raise _unusable(file, f"could not be read as weights ({_reason(file, start, error)})") from error


def _reason(file: Path, start: bytes, error: Exception) -> str:
    """Why the file was not read, in a whole sentence of ours where the cause is known."""
    text = str(error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        return error.strerror.lower()
    if file.stat().st_size == 0:
        return "the file is empty"
    if start.startswith(b"version https"[:9]):
        return "it is a pointer of Git LFS; download the file itself"
    if start.lstrip()[:1] == b"<":
        return "it is a web page; download the file itself"
    if "TorchScript" in text:
        return "it is a TorchScript program; save model.state_dict() instead"
    if found := _UNKNOWN_CLASS.search(text):
        return (
            f"it holds an object of class {found[1]}, and only tensors and plain settings are opened, since others can "
            "run code; save model.state_dict() alone"
        )
    if start[:2] == b"PK" or start[:1] == b"\x80" or start[8:9] == b"{":
        return "it is damaged, or its download was cut off"
    return "it is neither a file of torch nor of safetensors"


def _unusable(file: Path, found: str) -> OverreadError:
    return OverreadError(f"{file} {found}. {_EXPECTED}.", code="weights-unreadable")


def _tensors(content: dict) -> dict[str, torch.Tensor]:
    """The tensors of a dict by name, arrays of numpy among them."""
    found = {}
    for key, value in content.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            value = torch.from_numpy(np.array(value, order="C"))
        if isinstance(key, str) and isinstance(value, torch.Tensor):
            found[key] = value.detach()
    return found


def _described(content: object) -> str:
    many = f" of {len(content)}" if isinstance(content, list | tuple) else ""
    return f"a {type(content).__name__}{many} and no state dict (names to tensors)"
