"""Finds members by file name: `methods/flip_crop.py` is registered as the method `flip-crop`.

The member of a file is its only public class. Folders inside a room (`core/`) hold what the members share, and are not
looked at. Outside packages add theirs by the entry point group of the room (`imaginate.methods`, `imaginate.filters`,
...; name = registered name, value = the class).
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

from imaginate.contract import Decoder, Filter, GuideFamily, Method, PriorFamily, Reader
from imaginate.errors import ConfigError
from imaginate.records import ImageSource
from imaginate.settings import build, nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Kind = Literal[
    "methods", "filters", "techniques", "readers", "layouts", "decoders", "sources", "pool-sources", "guides", "priors",
    "metrics", "learners",
]  # fmt: skip

# Where the files of each kind of member are, and what one of them is called in a message.
ROOMS: Mapping[Kind, tuple[str, str]] = {
    "methods": ("imaginate.methods", "method"),
    "filters": ("imaginate.filters", "filter"),
    "techniques": ("imaginate.personalisation", "technique"),
    "readers": ("imaginate.data.readers", "format"),
    "layouts": ("imaginate.data.official", "published layout"),
    "decoders": ("imaginate.data.decoders", "kind of picture"),
    "sources": ("imaginate.data.sources", "kind of image source"),
    "pool-sources": ("imaginate.pool.sources", "kind of pool source"),
    "guides": ("imaginate.models.guides", "guide"),
    "priors": ("imaginate.models.priors", "prior family"),
    "metrics": ("imaginate.evaluation.metrics", "metric"),
    "learners": ("imaginate.training.learners", "learner"),
}


@cache
def names(kind: Kind) -> tuple[str, ...]:
    """All registered names, sorted; imports none of them."""
    package = importlib.import_module(ROOMS[kind][0])
    inside = {
        m.name.replace("_", "-") for m in pkgutil.iter_modules(package.__path__) if not m.ispkg and m.name[0] != "_"
    }
    return tuple(sorted(inside | set(_outside(kind))))


@overload
def find(kind: Literal["methods"], name: str) -> type[Method]: ...
@overload
def find(kind: Literal["filters"], name: str) -> type[Filter]: ...
@overload
def find(kind: Literal["readers"], name: str) -> type[Reader]: ...
@overload
def find(kind: Literal["decoders"], name: str) -> type[Decoder]: ...
@overload
def find(kind: Literal["sources"], name: str) -> type[ImageSource]: ...
@overload
def find(kind: Literal["guides"], name: str) -> type[GuideFamily]: ...
@overload
def find(kind: Literal["priors"], name: str) -> type[PriorFamily]: ...
@overload
def find(kind: Kind, name: str) -> type[Any]: ...
def find(kind: Kind, name: str) -> type[Any]:
    """The class registered under a name. Raises ConfigError with the nearest name."""
    if name not in names(kind):
        raise ConfigError(f"unknown {ROOMS[kind][1]} {name!r}{nearest(name, names(kind))}")
    outside = _outside(kind)
    if name in outside:
        return outside[name].load()  # type: ignore[no-any-return]
    return _only_class(importlib.import_module(f"{ROOMS[kind][0]}.{name.replace('-', '_')}"))


@overload
def make(kind: Literal["methods"], name: str, values: Mapping[str, Any] | None = None) -> Method: ...
@overload
def make(kind: Literal["filters"], name: str, values: Mapping[str, Any] | None = None) -> Filter: ...
@overload
def make(kind: Kind, name: str, values: Mapping[str, Any] | None = None) -> Any: ...
def make(kind: Kind, name: str, values: Mapping[str, Any] | None = None) -> Any:
    """A member from its name and plain settings."""
    return build(find(kind, name), values or {}, where=name)


@overload
def in_order(kind: Literal["readers"]) -> tuple[Reader, ...]: ...
@overload
def in_order(kind: Literal["decoders"]) -> tuple[Decoder, ...]: ...
@overload
def in_order(kind: Kind) -> tuple[Any, ...]: ...
@cache
def in_order(kind: Kind) -> tuple[Any, ...]:
    """One of each member of a kind that has a `priority`, the lowest first: in this order they are asked."""
    return tuple(sorted((find(kind, name)() for name in names(kind)), key=lambda member: member.priority))


def summary(cls: type[Any]) -> str:
    """The first line of the class's docstring: its idea."""
    return (inspect.getdoc(cls) or "").strip().split("\n")[0]


@cache
def _outside(kind: Kind) -> dict[str, EntryPoint]:
    group = f"imaginate.{kind}"
    if not any(_mentions(place, group.encode()) for place in sys.path):
        return {}
    from importlib import metadata

    return {entry.name: entry for entry in metadata.entry_points(group=group)}


def _mentions(place: str, group: bytes) -> bool:
    """Whether a package installed in one folder of the path may have entry points of this group.

    Looking into those small files takes a few milliseconds; importing `importlib.metadata`, which is asked only where
    there is one, takes a third of the time in which `imaginate methods` must answer.
    """
    try:
        names = os.listdir(place or ".")
    except OSError:
        return os.path.isfile(place)  # a zip on the path: `importlib.metadata` reads it
    files = [os.path.join(place, n, "entry_points.txt") for n in names if n.endswith((".dist-info", ".egg-info"))]
    return any(group in _read(path) for path in files)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _only_class(module: Any) -> type[Any]:
    found = [
        value
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
    if len(found) != 1:
        raise ConfigError(f"{module.__name__} must define exactly one public class, has {len(found)}")
    return found[0]
