"""From what a person names on the command line to units, by the first kind of source that recognises it."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence

from imaginate import registry
from imaginate.data.place import examine
from imaginate.data.redirects import redirects
from imaginate.data.urls import hub_hint, is_url
from imaginate.errors import DataError
from imaginate.pool.units import PoolSource, Unit
from imaginate.records import Place


def units_of(source: str, split: str | None = None) -> Iterator[Unit]:
    """The units of one source, in a fixed order. Raises DataError where nothing there can be read."""
    paths = _expand(source)
    if not paths:
        raise DataError(f"no such source: {source}{hub_hint(source)}")
    for path in paths:
        place, kind = _kind_of(path, split)
        yield from kind.units(place, split)


def check_sources(sources: Sequence[str], pool: str = "", split: str | None = None) -> None:
    """DataError for a source that is nowhere, or has no such thing as a split, before anything is written; where `pool`
    is a folder that is no pool, the two may be the wrong way round."""
    for source in sources:
        if not is_url(source) and not _expand(source):
            swapped = os.path.isdir(pool) and not os.path.isdir(os.path.join(pool, "rows.lance"))
            order = f"; the pool comes first: imaginate pool build {source} {pool}" if swapped else ""
            raise DataError(f"no such source: {source}{order or hub_hint(source)}")
        if split is not None:
            for path in _expand(source):
                _kind_of(path, split)


def _kind_of(path: str, split: str | None) -> tuple[Place, PoolSource]:
    """The first kind that recognises a path. DataError where none does, or none of its splits can be asked for."""
    # behind a URL the name alone decides: examining each of a thousand tars would take a request
    place = Place(path=path, kind="file", is_remote=True) if is_url(path) else examine(path)
    kinds: tuple[PoolSource, ...] = registry.in_order("pool-sources")
    kind = next((kind for kind in kinds if kind.recognises(place)), None)
    if kind is None and place.is_remote:
        raise DataError(f"{path}: on an object store, name tars or parquet files (a pattern will do)")
    if kind is None:
        raise DataError(f"{path} is of no kind that a pool is built from")
    if split is not None and not kind.has_splits:
        raise DataError(
            f"a pool takes all images of {path}, whatever their split: leave out --split {split}, or name the folder "
            "or the files of that split alone"
        )
    return place, kind


def _expand(source: str) -> list[str]:
    if is_url(source):
        if not glob.has_magic(source):
            return [source]
        import fsspec

        system, pattern = fsspec.core.url_to_fs(source, **redirects(source))
        if system.exists(pattern):  # a name with brackets
            return [source]
        return [system.unstrip_protocol(path) for path in sorted(system.glob(pattern))]
    if os.path.exists(source):
        return [source]
    return sorted(glob.glob(os.path.expanduser(source), recursive=True))
