"""The progress bar of every command."""

from imaginate.progress import Bar, bar

__all__ = ["Bar", "bar"]
