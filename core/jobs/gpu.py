"""Load of the GPU, from `nvidia-smi`, without torch."""

import shutil
import subprocess

_FIELDS = "--query-gpu=name,utilization.gpu,memory.used,memory.total"


def gpu_text() -> str:
    """The first GPU, how busy it is and its memory, in one line; '' without `nvidia-smi`."""
    tool = shutil.which("nvidia-smi")
    if not tool:
        return ""
    try:
        command = [tool, _FIELDS, "--format=csv,noheader,nounits"]
        line = subprocess.run(command, capture_output=True, text=True, timeout=2).stdout.splitlines()[0]
        name, busy, used, total = (part.strip() for part in line.split(","))
        return f"{name} {busy}% busy, {int(used) / 1024:.1f} of {int(total) / 1024:.0f} GiB"
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return ""
