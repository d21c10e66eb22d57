"""Overread core: data, models, training, metrics and saliency. Does not import the dashboard."""
