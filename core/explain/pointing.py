"""Whether a map points at a known finding (the pointing game). Imports no torch."""

import numpy as np
from scipy import ndimage

from core.explain.trust_report import Check


def pointing(values: np.ndarray, finding: np.ndarray) -> dict[str, float]:
    """Return the figures of a map against the mask of a finding.

    `hit`: 1 where the strongest place is within s / 15 of the mask, else 0 (pointing game, Zhang 2018). `chance`: the
    probability that a random place hits. `inside`: the share of the positive map inside the mask. `area`: the mask's
    share of the picture. `overlap`: intersection over union of the mask and equally many of the strongest pixels.
    """
    positive = np.maximum(values, 0)
    near = ndimage.distance_transform_edt(~finding) <= finding.shape[0] / 15
    strongest = np.zeros(finding.shape, bool)
    if positive.max() > 0:
        strongest.ravel()[np.argsort(positive, axis=None)[::-1][: int(finding.sum())]] = True
    hit = positive.max() > 0 and near.ravel()[positive.argmax()]
    total = positive.sum()
    return {
        "hit": float(hit),
        "chance": float(near.mean()),
        "inside": float(positive[finding].sum() / total) if total else 0.0,
        "area": float(finding.mean()),
        "overlap": float((strongest & finding).sum() / max((strongest | finding).sum(), 1)),
    }


def finding_checks(values: np.ndarray, finding: np.ndarray | None) -> list[Check]:
    """The checks `pointing` and `inside` of a map; an empty list where no finding is known."""
    if finding is None or not finding.any():
        return []
    facts = pointing(values, finding)
    place = "on" if facts["hit"] else "off"
    strongest = f"the strongest place of the map is {place} the known finding"
    inside = (
        f"{facts['inside']:.0%} of the map is on the finding, which covers {facts['area']:.0%}; "
        f"overlap {facts['overlap']:.2f}"
    )
    return [
        Check("pointing", facts["hit"], facts["chance"], bool(facts["hit"]), strongest),
        Check("inside", facts["inside"], facts["area"], facts["inside"] > facts["area"], inside),
    ]
