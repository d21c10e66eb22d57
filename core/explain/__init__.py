"""Saliency: maps of the parts that change a network's logit, and the checks that say whether a map can be trusted."""
