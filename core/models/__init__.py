"""Networks (`core.models.networks`, with torch) and checkpoints (`core.models.checkpoint`, read without torch)."""
