"""A report on studies or on a run; pictures that a run does not hold itself come from the dataset that it names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from imaginate.data import DataSpec, open_dataset
from imaginate.data.spec import reading_of, source_of
from imaginate.errors import ConfigError, ImaginateError
from imaginate.evaluation.comparison import Comparison
from imaginate.markdown import table
from imaginate.records import Sample
from imaginate.reports import DrawMap, Options, ReadImage, write_report, write_tables
from imaginate.reports.read import RunContents, Study, read
from imaginate.reports.tables import run_rows, study_rows
from imaginate.runs import RunFolder
from imaginate.settings import build
from imaginate.workflows.inspect import inspect

PathLike = str | os.PathLike[str]


class WrittenReport(list[Path]):
    """The files of a report; `paths` are the folders that it is on."""

    def __init__(self, files: Iterable[Path] = (), paths: Sequence[str] = ()) -> None:
        super().__init__(files)
        self.paths = tuple(paths)

    @property
    def page(self) -> Path | None:
        """The page to open in a browser; None where none was asked for."""
        return next((file for file in self if file.suffix == ".html"), None)

    def __repr__(self) -> str:
        on = ", ".join(repr(path) for path in self.paths)
        return f"WrittenReport({on}: {', '.join(file.name for file in self)})"

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    def _repr_html_(self) -> str:
        """For notebooks: the files, then table and verdict of a study, or contact sheet and summary of a run."""
        files = table([{"file": file, "bytes": file.stat().st_size} for file in self if file.exists()])
        return files + "".join(_shown(source) for source in map(read, self.paths))

    def to_pandas(self) -> Any:
        """A row an arm, or a run, with all that `report.csv` has, as a pandas data frame (pandas is not installed with
        imaginate)."""
        import pyarrow as pa

        options, rows = Options(), list[dict[str, Any]]()
        for source in map(read, self.paths):
            rows += study_rows(source, options) if isinstance(source, Study) else run_rows(source, options)
        names = list(dict.fromkeys(name for row in rows for name in row))
        return pa.table({name: [row.get(name) for row in rows] for name in names}).to_pandas()


def _shown(source: Study | RunContents) -> str:
    if isinstance(source, Study):
        return Comparison(source.results)._repr_html_()
    return inspect(source.place)._repr_html_()


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
) -> WrittenReport:
    """Report on a study or a run, into its own folder or `out`, or tables over several studies; returns the files, in a
    list that a notebook shows.

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
        files = write_report(folders[0], out=None if out is None else Path(out), formats=formats, options=options)
        return WrittenReport(files, folders)
    if not out:
        raise ConfigError(f"a report over {len(folders)} folders needs --out FOLDER")
    return WrittenReport(write_tables(folders, out=Path(out), formats=formats, options=options), folders)


def _map_drawer(guide: str | None, word: str) -> DrawMap:
    """A function (run folder, held-out dataset and split) -> its map."""
    from imaginate.workflows.map import check_by, draw_map

    by = check_by(word)
    return lambda root, held_out: draw_map(RunFolder(root), guide, held_out, by=by)


def image_reader() -> ReadImage:
    """A function (dataset: the data section of a recipe, with `read_as` of a study, sample id) -> encoded bytes.

    None where the dataset or the image is gone: a report then says so instead of failing.
    """
    opened: dict[str, Mapping[str, Sample]] = {}

    def read(dataset: Mapping[str, Any], name: str) -> bytes | None:
        if not dataset.get("path"):
            return None
        key = repr(sorted(dataset.items(), key=str))
        if key not in opened:
            opened[key] = _samples(dataset)
        sample = opened[key].get(name)
        try:
            return None if sample is None else sample.source.read()
        except ImaginateError:
            return None

    return read


def _samples(dataset: Mapping[str, Any]) -> Mapping[str, Sample]:
    dataset = {**dataset, **reading_of(dataset.get("read_as"))}
    try:
        return {sample.id: sample for sample in open_dataset(build(DataSpec, source_of(dataset), where="data")).samples}
    except ImaginateError:
        return {}
