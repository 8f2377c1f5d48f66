"""Expand a small labelled image dataset, and prove on held-out images what the new images are worth."""

__version__ = "0.1.0"
