"""What names end in: a million files have few endings, so that a question about all names is asked of these."""

from __future__ import annotations

from collections.abc import Iterable


def ending(name: str) -> str:
    """The part of a name from its last dot on, in its own case; the whole name where it has none."""
    return name[name.rfind(".") :] if "." in name else name


def endings(names: Iterable[str]) -> set[str]:
    """The different endings of names."""
    return set(map(ending, names))
