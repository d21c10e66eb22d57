"""Phantoms: synthetic radiographs that show no person, with known truth. See docs/phantoms.md."""

from core.phantom.plan import StudyChoices
from core.phantom.truth import truth_mask
from core.phantom.write import PhantomReport, write_phantoms

__all__ = ["PhantomReport", "StudyChoices", "truth_mask", "write_phantoms"]
