"""Records as JSON: numpy's numbers become numbers, NaN and infinity become null."""

import math


def json_values(value):
    """A value that JSON can hold. NaN and infinity become None."""
    if isinstance(value, dict):
        return {key: json_values(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_values(part) for part in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
