"""A report on studies or on a run; pictures that a run does not hold itself come from the dataset that it names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from imaginate.data import open_dataset
from imaginate.errors import ConfigError, ImaginateError
from imaginate.records import Sample
from imaginate.reports import DrawMap, Options, ReadImage, write_report, write_tables
from imaginate.runs import RunFolder

PathLike = str | os.PathLike[str]


def report(
    paths: PathLike | Sequence[PathLike],
    *,
    out: PathLike | None = None,
    formats: Sequence[str] = ("html",),
    hourly_price: float | None = None,
    currency: str = "$",
    seeds: int = 8,
    copies: int = 5,
    map: bool | str = False,
    map_by: str = "pca",
) -> list[Path]:
    """Report on a study or a run, into its own folder or `out`, or tables over several studies; returns the files.

    `formats`: any of html, csv, markdown, latex, json. `hourly_price` of the machine, in `currency`, adds money to the
    cost. `seeds` and `copies`: how many of each a contact sheet shows.
    `map`: a map of each run's seeds, new and held-out images in the space of its guide, or of the one that is named;
    `map_by`: on a plane (pca), or by neighbours (umap).
    """
    if not formats:
        raise ConfigError("format must name at least one of html, csv, markdown, latex, json")
    options = Options(
        hourly_price=hourly_price,
        currency=currency,
        seeds=seeds,
        copies=copies,
        read_image=image_reader(),
        draw_map=_map_drawer(map if isinstance(map, str) else None, map_by) if map else None,
    )
    folders = [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    if len(folders) == 1:
        return write_report(folders[0], out=None if out is None else Path(out), formats=formats, options=options)
    if not out:
        raise ConfigError(f"a report over {len(folders)} folders needs --out FOLDER")
    return write_tables(folders, out=Path(out), formats=formats, options=options)


def _map_drawer(guide: str | None, word: str) -> DrawMap:
    """A function (run folder, held-out dataset and split) -> its map."""
    from imaginate.workflows.map import check_by, draw_map

    by = check_by(word)
    return lambda root, held_out: draw_map(RunFolder(root), guide, held_out, by=by)


def image_reader() -> ReadImage:
    """A function (dataset path, split, sample id) -> encoded bytes.

    None where the dataset or the image is gone: a report then says so instead of failing.
    """
    opened: dict[tuple[str, str | None], Mapping[str, Sample]] = {}

    def read(path: str | None, split: str | None, name: str) -> bytes | None:
        if not path:
            return None
        if (path, split) not in opened:
            opened[path, split] = _samples(path, split)
        sample = opened[path, split].get(name)
        try:
            return None if sample is None else sample.source.read()
        except ImaginateError:
            return None

    return read


def _samples(path: str, split: str | None) -> Mapping[str, Sample]:
    try:
        return {sample.id: sample for sample in open_dataset(path, split=split).samples}
    except ImaginateError:
        return {}
