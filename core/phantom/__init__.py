"""Phantoms: synthetic radiographs of no person, with everything about them known. See docs/phantoms.md."""

from core.phantom.truth import truth_mask
from core.phantom.write import PhantomReport, write_phantoms

__all__ = ["PhantomReport", "truth_mask", "write_phantoms"]
