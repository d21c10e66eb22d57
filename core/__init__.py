"""Overread core: data, models, training, metrics and saliency. Knows nothing of the dashboard."""
