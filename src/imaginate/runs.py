"""A run folder as it is on disk: THE one reader of its recipe, its facts and its rows, and of the runs before it.

    run = RunFolder("flowers-gif/")                   # a local folder, or an fsspec url
    run.facts["classes"], run.recipe["method"]
    run.rows(columns=("file_name", "seed_image"))     # of metadata.parquet
    run.table(REJECTED)                               # a pyarrow table

Whatever cannot be read is one RunError line that says which file it is and what to do.
"""

from __future__ import annotations

import dataclasses
import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from imaginate import shapes
from imaginate.errors import RunError
from imaginate.files import EARLIER, KEPT, METRICS, OLD_METRICS, RECIPE, REJECTED, RUN, Folder, first_line, short_hash
from imaginate.limits import parse_json, parse_yaml
from imaginate.records import ClassInfo, LabelSpace

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = [
    "KEPT",
    "METRICS",
    "OLD_METRICS",
    "RECIPE",
    "REJECTED",
    "RUN",
    "Facts",
    "Row",
    "RunFolder",
    "Values",
    "json_object",
]

Facts: TypeAlias = Mapping[str, Any]  # what a JSON or YAML file holds
Values: TypeAlias = dict[str, Any]  # the same, while it is filled
Row: TypeAlias = dict[str, Any]  # an image, by column
BATCH = 4096  # rows that are in memory at a time
Columns: TypeAlias = Collection[str] | Callable[[str], bool]


class RunFolder:
    """A run, finished or not. Nothing is read before it is asked for."""

    def __init__(self, root: str | os.PathLike[str] | Folder) -> None:
        self.store = root if isinstance(root, Folder) else Folder(root)
        self.root = self.store.root

    @property
    def is_finished(self) -> bool:
        """Whether its table is there, and it does not grow just now."""
        return self.store.exists(KEPT) and not self.store.exists(EARLIER)

    def check_finished(self) -> None:
        """RunError for a folder that is no run, or one that its command has not finished."""
        if not self.is_finished:
            if not self.store.exists(RECIPE):
                raise RunError(f"{self.root} is not a run folder: it has no {RECIPE}")
            if words := self.words_for_lost_table():
                raise RunError(f"{self.root} was finished, but {words}")
            raise RunError(f"{self.root} is a run that is not finished: give its command again")

    def words_for_lost_table(self) -> str:
        """What is to be said of a finished run whose table is gone; "" of any other."""
        if not self.facts.get("finished") or self.store.exists(KEPT) or self.store.exists(EARLIER):
            return ""
        way = "give the run's command again, which writes it anew"
        if not self.may_rewrite_table:
            way = "restore it, or give the run's command a new folder"
        return f"its table {KEPT} is gone: {way}"

    @property
    def may_rewrite_table(self) -> bool:
        """Whether the rows of its shards say all that its table said: none was judged again."""
        return not self.facts.get("refiltered")

    @cached_property
    def recipe_text(self) -> str:
        """recipe.yaml as it was written."""
        if not self.store.exists(RECIPE):
            raise RunError(f"{self.root} is not a run folder: it has no {RECIPE}")
        return _text(self.store, RECIPE)

    @cached_property
    def recipe(self) -> Facts:
        """recipe.yaml: the whole configuration."""
        path = self.store.path(RECIPE)
        try:
            found = parse_yaml(self.recipe_text) or {}
        except ValueError as error:
            raise RunError(f"{path} cannot be read: {first_line(error)}") from None
        if not isinstance(found, dict):
            raise RunError(f"{path} is damaged: it holds no settings")
        if wrong := shapes.misfit(found, shapes.RECIPE):
            raise RunError(f"{path} is damaged: {wrong}")
        return found

    @cached_property
    def facts(self) -> Facts:
        """run.json: versions, classes, totals, cost. Empty where there is none."""
        found = self.json(RUN) if self.store.exists(RUN) else {}
        if wrong := shapes.misfit(found, shapes.RUN_FACTS):
            raise RunError(f"{self.store.path(RUN)} is damaged: {wrong}")
        return found

    def check_facts(self, *keys: str) -> None:
        """RunError where run.json lacks one of these keys."""
        missing = [key for key in keys if key not in self.facts]
        if missing:
            raise RunError(f"{self.store.path(RUN)} is damaged: it has no {', '.join(missing)}")

    def json(self, name: str) -> Facts:
        """A JSON file of the folder."""
        return json_object(self.store, name)

    @property
    def method(self) -> str:
        """The name of the method that made its images."""
        found = self.recipe.get("method") or {}
        return found if isinstance(found, str) else str(found.get("name", "unknown"))

    @property
    def labels(self) -> LabelSpace | None:
        """The classes that run.json lists, in label order; None where it lists none."""
        known = {field.name for field in dataclasses.fields(ClassInfo)}
        try:
            infos = [{key: value for key, value in row.items() if key in known} for row in self.facts["classes"]]
            return LabelSpace(tuple(ClassInfo(**{**row, "synonyms": tuple(row.get("synonyms", ()))}) for row in infos))
        except (KeyError, TypeError, AttributeError):
            return None

    def table(self, name: str = KEPT, *, columns: Columns | None = None, needed: Collection[str] = ()) -> pa.Table:
        """A table of the folder: those of the `columns` that it has, all by default, and the `needed` ones."""
        with self.parquet(name) as source:
            # pyarrow's threads, reading through a Python file, may abort the process at its end: see `parquet`
            return source.read(columns=self._columns(source, name, columns, needed), use_threads=False)

    def batches(
        self, name: str = KEPT, *, columns: Columns | None = None, needed: Collection[str] = ()
    ) -> Iterator[pa.RecordBatch]:
        """The same in pieces of at most BATCH rows: what a table of any length takes in memory is one of them."""
        with self.parquet(name) as source:
            chosen = self._columns(source, name, columns, needed)
            yield from source.iter_batches(BATCH, columns=chosen, use_threads=False)

    @contextmanager
    def parquet(self, name: str = KEPT) -> Iterator[pq.ParquetFile]:
        """A table of the folder, opened: its schema, its length, its pieces. It is read by the thread that asks: one of
        pyarrow's, letting go of what a Python file gave it while the interpreter ends, aborts the process."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if name == KEPT:
            self.check_finished()
        try:
            with self.store.open(name) as file:
                yield pq.ParquetFile(file, pre_buffer=False)
        except (OSError, pa.ArrowException) as error:
            raise RunError(f"{self.store.path(name)} cannot be read: {first_line(error)}") from None

    def _columns(
        self, source: pq.ParquetFile, name: str, columns: Columns | None, needed: Collection[str]
    ) -> list[str] | None:
        there = source.schema_arrow.names
        missing = [column for column in needed if column not in there]
        if missing:
            raise RunError(f"{self.store.path(name)} is not a run's table: it has no column {', '.join(missing)}")
        return _chosen(there, columns, needed)

    def rows(self, name: str = KEPT, *, columns: Columns | None = None, needed: Collection[str] = ()) -> list[Row]:
        """The same as `table`, row by row."""
        return list(self.table(name, columns=columns, needed=needed).to_pylist())

    def gone(self) -> list[str]:
        """The images that its table names and its folder no longer has, kept or rejected: somebody removed them."""
        there, found = _Listed(self.store), []
        for batch in self.batches(columns=("file_name",)):
            names: list[str] = batch.column(0).to_pylist()
            absent = there.lacks(names)
            absent = {name for name in absent if there.lacks([_rejected(name)])}
            found += [name for name in names if name in absent] if absent else []
        return found

    def words_for_gone(self, names: list[str]) -> str:
        """What to say of images that are gone, and what can be done."""
        count = "1 image is" if len(names) == 1 else f"{len(names)} images are"
        return (
            f"of {self.root}, {count} gone from its folder (first: {names[0]}); if somebody removed them by "
            f"hand, `imaginate refilter {self.root} --accept-removed` rejects them; the run's own expand command with "
            "--restore makes them again"
        )

    def images_mark(self) -> Values:
        """Which images the run holds now: how many new ones and originals, and a hash of their names and, in a local
        folder, their sizes. Another mark means other images: a refilter or a hand has changed them."""
        rows = self.rows(columns=("file_name", "method"), needed=("file_name",))
        names = sorted((str(row["file_name"]), row.get("method") is not None) for row in rows)
        sizes = [(name, new, _size(self.store, name)) for name, new in names]
        there = [one for one in sizes if one[2] is not None]
        new = sum(is_new for _, is_new, _ in there)
        return {"new": new, "originals": len(there) - new, "hash": short_hash(there)}

    def finished_shards(self) -> list[str]:
        """The tables of the shards that are whole, in order: all that an unfinished run has."""
        names = self.store.names("shards")
        return [f"shards/{name[:-5]}.parquet" for name in names if name.endswith(".json")]

    @property
    def source(self) -> str:
        """The path of the dataset, or of the run, that it was made from."""
        return str((self.recipe.get("data") or {}).get("path") or "")

    def chain(self) -> list[RunFolder]:
        """This run, the run that it was made from, and so on, the latest first, as far as they are still there."""
        runs, seen = [self], {_place(self.root)}
        while True:
            earlier = RunFolder(runs[-1].source) if runs[-1].source else None
            if earlier is None or _place(earlier.root) in seen or not earlier._is_whole:
                return runs
            seen.add(_place(earlier.root))
            runs.append(earlier)

    @property
    def _is_whole(self) -> bool:
        """Whether this is a finished run, and no dataset that happens to have a table of the same name."""
        return self.store.exists(RECIPE) and self.is_finished


class _Listed:
    """Which files a run has, a folder listed once. A name takes eight bytes (its hash): folders of millions fit."""

    def __init__(self, store: Folder) -> None:
        self._store = store
        self._known: dict[str, array[int]] = {}  # sorted

    def lacks(self, names: Iterable[str]) -> set[str]:
        """Those of the names for which there is no file."""
        return {name for name in names if not self._has(*name.rpartition("/")[::2])}

    def _has(self, folder: str, name: str) -> bool:
        if folder not in self._known:
            self._known[folder] = array("q", sorted(map(hash, self._store.each_name(folder))))
        known, asked = self._known[folder], hash(name)
        at = bisect_left(known, asked)
        return at < len(known) and known[at] == asked


def _rejected(name: str) -> str:
    return name.replace("images/", "rejected/", 1)


def json_object(store: Folder, name: str) -> Values:
    """A JSON file that holds an object (run.json, results.json, ...)."""
    path = store.path(name)
    try:
        found = parse_json(_text(store, name))
    except ValueError as error:
        raise RunError(f"{path} cannot be read: {first_line(error)}") from None
    if not isinstance(found, dict):
        raise RunError(f"{path} is damaged: it holds no JSON object")
    return found


def _text(store: Folder, name: str) -> str:
    try:
        return store.get(name).decode(errors="surrogateescape")
    except OSError as error:
        raise RunError(f"{store.path(name)} cannot be read: {first_line(error)}") from None


def _size(store: Folder, name: str) -> int | None:
    """The size of an image; None where it is gone, 0 where nothing says."""
    if not store.local:
        return 0
    try:
        return os.stat(store.path(name)).st_size
    except (OSError, ValueError, RunError):
        return None


def _chosen(there: list[str], columns: Columns | None, needed: Collection[str]) -> list[str] | None:
    """The columns to read, in the table's order; None for all."""
    if columns is None:
        return None
    wanted = columns if callable(columns) else set(columns).__contains__
    return [name for name in there if name in needed or wanted(name)]


def _place(root: str) -> str:
    return root if "://" in root else os.path.abspath(root)
