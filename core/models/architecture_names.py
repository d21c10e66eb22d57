"""The names that `networks.build` takes, without importing torch: read from the sources of this package and of timm."""

import importlib.util
import re
from functools import cache
from pathlib import Path

_OWN = re.compile(r"^@register\ndef (\w+)\(", re.M)
_TIMM = re.compile(r"^@register_model\n(?:@.*\n)*def (\w+)\(", re.M)


@cache
def known_architectures() -> tuple[str, ...]:
    """Our networks, then timm's, each by name; timm's are missing where it is not installed."""
    own = _names(Path(__file__).parent / "networks", _OWN)
    spec = importlib.util.find_spec("timm")
    folders = spec.submodule_search_locations or () if spec else ()
    found = [name for folder in folders for name in _names(Path(folder) / "models", _TIMM)]
    return (*sorted(set(own) - {"attention", "patch_attention", "ensemble"}), *sorted(set(found)))


def _names(folder: Path, pattern: re.Pattern) -> list[str]:
    return [name for file in sorted(folder.glob("*.py")) for name in pattern.findall(file.read_text(errors="replace"))]
