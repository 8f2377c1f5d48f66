"""Limits of what is read from data, one name each, and the readers of YAML and JSON that keep them.

A file of a kilobyte can stand for a petabyte: aliases of aliases in YAML, arrays in arrays in JSON, a million members
of an archive. Whoever reads such a file is to stop with one line, before its memory is full.
"""

from __future__ import annotations

import json
from typing import Any

YAML_BYTES = 32 * 2**20  # of a recipe, a study or a list of classes
YAML_VALUES = 5_000_000  # in it, each alias counted with all that it stands for
MEMBERS = 4_000_000  # of a zip or a tar
HEADER_BYTES = 2**20  # of a name, a link or facts in a tar
LABEL_BYTES = 2**30  # of the labels of an npz

TOO_DEEP = "its values are nested too deeply"


def parse_json(text: str | bytes) -> Any:
    """A JSON text as plain values. ValueError where it is none, or nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None


def parse_yaml(text: str, *, as_texts: bool = False) -> Any:
    """A YAML text as plain values; `as_texts`: `0`, `no` and `2001-01-01` stay the texts that they are.

    ValueError, of one line, where it is none, is too long, holds itself, or stands for too many values.
    """
    import yaml

    if len(text) > YAML_BYTES:
        raise ValueError(f"it is longer than {YAML_BYTES:,} bytes")
    try:
        found = yaml.load(text, Loader=yaml.BaseLoader if as_texts else yaml.SafeLoader)
        count = _count(found, {}, set())
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    except (yaml.YAMLError, TypeError, OverflowError) as error:  # also a key that is a list
        raise ValueError(" ".join(str(error).split())) from None
    if count > YAML_VALUES:
        raise ValueError(f"its aliases stand for more than {YAML_VALUES:,} values")
    return found


def _count(value: Any, known: dict[int, int], above: set[int]) -> int:
    """The values in a value, itself too, as if no two of them were shared."""
    if not isinstance(value, (dict, list, tuple, set)):
        return 1
    if id(value) in above:
        raise ValueError("an alias in it holds itself")
    if id(value) not in known:
        above.add(id(value))
        parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        known[id(value)] = min(YAML_VALUES + 1, 1 + sum(_count(part, known, above) for part in parts))
        above.discard(id(value))
    return known[id(value)]
