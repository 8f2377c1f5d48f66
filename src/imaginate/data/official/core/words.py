"""Words for classes that a publisher calls by numbers or codes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from imaginate.data.class_yaml import read_yaml

FOLDER = Path(__file__).parents[1] / "words"


@cache
def words_of(name: str) -> dict[str, str]:
    """Code -> word, in label order."""
    return dict(read_yaml(str(FOLDER / f"{name}.yaml"))["classes"])
