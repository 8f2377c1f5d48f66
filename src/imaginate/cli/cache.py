"""Show, empty or limit the cache of what is computed once in a machine's life: features and hashes of images.

    imaginate cache
    imaginate cache limit 10GB       # what was not used for longest goes first; 0 keeps nothing
    imaginate cache clear

It is in the cache folder of this system, or in the folder that IMAGINATE_CACHE names (IMAGINATE_CACHE=off: nowhere).
"""

from __future__ import annotations

import argparse
import re

from imaginate.cli._common import say
from imaginate.errors import ConfigError

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do."""
    parser.add_argument("what", nargs="?", default="show", choices=["show", "clear", "limit"], help="default show")
    parser.add_argument("size", nargs="?", metavar="SIZE", help="of limit: 500MB, 10GB, ...; 0 keeps nothing")


def run(args: argparse.Namespace) -> int:
    """Do it, then say what is kept."""
    from imaginate.engine.sizes import size_in_words
    from imaginate.machine_cache import cache

    if (args.size is not None) != (args.what == "limit"):
        raise ConfigError("a size goes with limit, and limit with a size: imaginate cache limit 10GB")
    limit = None if args.size is None else bytes_of(args.size)
    found = cache()
    if args.what == "clear":
        found.clear()
    if limit is not None:
        found.set_limit(limit)
    used = found.usage()
    values, most = f"{used.entries:,} values", size_in_words(used.limit)
    words = f"{used.path}: {values}, {size_in_words(used.bytes)} of at most {most}"
    nowhere = "no cache: IMAGINATE_CACHE is off, or its folder cannot be written"
    say(args, used, nowhere if used.path is None else words)
    return 0


def bytes_of(text: str) -> int:
    """`10GB` -> 10,000,000,000. ConfigError for what is no size."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B?)", text.strip().upper())
    if found is None:
        raise ConfigError(f"a size must be a number with KB, MB, GB or TB, or 0, got {text!r}")
    unit = found[2] if found[2] in _UNITS else f"{found[2]}B"
    return int(float(found[1]) * _UNITS.get(unit, 1))
