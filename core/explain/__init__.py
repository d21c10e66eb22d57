"""Saliency: maps of what moves a network's logit, and the checks that say whether a map can be trusted."""
