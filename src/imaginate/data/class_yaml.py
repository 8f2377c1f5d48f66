"""A `classes.yaml` as plain values."""

from __future__ import annotations

from typing import Any

from imaginate.errors import DataError
from imaginate.limits import parse_yaml


def read_yaml(file: str) -> dict[str, Any]:
    """The file as {"domain": str, "classes": {name: ...}}; DataError where it is something else."""
    try:
        with open(file, encoding="utf-8") as stream:
            # BaseLoader keeps `0`, `no` and `2001-01-01` as the texts that class names are
            found = parse_yaml(stream.read(), as_texts=True)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {file}: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict) or not found:
        raise DataError(f"{file} must be a mapping of class names, got {type(found).__name__}")
    if not isinstance(found.get("classes"), dict):
        found = {"classes": found}
    other = sorted(set(found) - {"classes", "domain"})
    if other or not isinstance(found.get("domain", ""), str):
        raise DataError(f"{file} may hold `domain` (a text) and `classes`, got {', '.join(other) or 'another domain'}")
    return found
