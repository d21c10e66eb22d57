"""The seven regions of the upper limb, varied by build: their bones, soft tissue and sites of findings."""

from dataclasses import replace

import numpy as np

from core.phantom.arm import elbow, forearm, humerus, shoulder
from core.phantom.hand import finger, hand, wrist
from core.phantom.shapes import Region

# Region -> bones that can have a finding, and the range along each bone. Other bones are always normal.
SITES = {
    "finger": {"proximal": (0.2, 0.85), "middle": (0.2, 0.8), "distal": (0.2, 0.7)},
    "hand": {
        **{f"metacarpal{ray}": (0.2, 0.85) for ray in range(1, 6)},
        **{f"proximal{ray}": (0.2, 0.8) for ray in range(1, 6)},
    },
    "wrist": {"radius": (0.72, 0.96), "ulna": (0.75, 0.95), "scaphoid": (0.35, 0.65), "metacarpal2": (0.15, 0.4)},
    "forearm": {"radius": (0.25, 0.9), "ulna": (0.2, 0.88)},
    "elbow": {"humerus": (0.84, 0.95), "radius": (0.04, 0.2), "ulna": (0.08, 0.22)},
    "humerus": {"humerus": (0.12, 0.8)},
    "shoulder": {"humerus": (0.05, 0.24), "clavicle": (0.45, 0.85)},
}


def build_region(name: str, view: str, person: np.random.Generator, pose: np.random.Generator) -> Region:
    """One person's region in one view. `person` must be seeded the same for every view of one person."""
    made = _REGIONS[name](view, person, pose)
    sites = SITES[name]
    build = person.uniform(0.9, 1.1)
    grown = person.random() > 0.1
    bones = []
    for part in made.bones:
        slender = build * person.uniform(0.95, 1.05)
        canal = person.uniform(0.3, 0.6) if person.random() < 0.3 and part.cortex > 1.5 else None
        bones.append(
            replace(
                part,
                outline=tuple((along, plus * slender, minus * slender) for along, plus, minus in part.outline),
                site=sites.get(part.name),
                plate_lines=() if grown or part.flat < 1 or not part.cortex > 1.2 else (0.06, 0.94),
                canal=canal,
            )
        )
    stout = person.uniform(0.9, 1.2)
    soft = tuple(
        replace(part, outline=tuple((along, plus * stout, minus * stout) for along, plus, minus in part.outline))
        for part in made.soft
    )
    return replace(made, bones=tuple(bones), soft=soft)


_REGIONS = {
    "finger": finger,
    "hand": hand,
    "wrist": wrist,
    "forearm": forearm,
    "elbow": elbow,
    "humerus": humerus,
    "shoulder": shoulder,
}
