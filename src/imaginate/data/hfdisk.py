"""HF datasets saved on disk (`save_to_disk`): arrow streams are mapped, so that a row costs its own bytes only."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from imaginate.data import features, splits
from imaginate.data.dataset import Listing, Skipped
from imaginate.data.hfparquet import Choose, cell_bytes
from imaginate.data.labelling import Labeller
from imaginate.data.unpacked import stamp
from imaginate.errors import DataError, ImageError
from imaginate.records import Sample


@dataclass(frozen=True, slots=True)
class ArrowSource:
    """One row of an arrow stream file."""

    path: str
    batch: int
    row: int
    column: str

    def read(self) -> bytes:
        """The row's bytes, or those of the file that the row names."""
        try:
            cell = _batches(self.path, stamp(self.path))[self.batch].column(self.column)[self.row].as_py()
        except (OSError, IndexError, KeyError, ValueError):
            raise ImageError("damaged arrow file") from None
        return cell_bytes(cell, self.path)


@lru_cache(maxsize=64)
def _batches(path: str, stamp: tuple[int, int]) -> list[Any]:
    """The record batches of a stream, mapped and not read; mapping survives a fork."""
    import pyarrow as pa

    with pa.memory_map(path) as file, pa.ipc.open_stream(file) as reader:
        return list(reader)


def read(path: str, choose: Choose) -> Listing:
    """The rows of the chosen split; class names come from the features."""
    folders = _folders(path)
    there = splits.ordered(split for split in folders if split)
    wanted = choose(there)
    tables = {split: _table(folder) for split, folder in folders.items()}
    labeller = Labeller(next((columns.names for columns, _ in tables.values() if columns.names), None))
    if not labeller.fixed:
        for columns, files in tables.values():
            for file in files:
                for batch in _batches(file, stamp(file)):
                    labeller.see(batch.column(columns.label).to_pylist())
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for split, (columns, files) in tables.items():
        number = 0
        for file in files if wanted is None or split == wanted else ():
            for at, batch in enumerate(_batches(file, stamp(file))):
                for row, value in enumerate(batch.column(columns.label).to_pylist()):
                    name = f"{split}/{number}" if split else str(number)
                    number += 1
                    label = labeller.label(value)
                    if isinstance(label, str):
                        skipped.append(Skipped(name, label, split or None))
                    else:
                        source = ArrowSource(file, at, row, columns.image)
                        samples.append(Sample(id=name, label=label, source=source, split=split or None))
    return Listing(format="HF dataset on disk", labels=labeller.space, samples=samples, skipped=skipped, splits=there)


def _folders(path: str) -> dict[str, str]:
    """Split ("" for a lone dataset) -> folder."""
    file = os.path.join(path, "dataset_dict.json")
    if not os.path.isfile(file):
        return {"": path}
    names = _json(file).get("splits")
    if not isinstance(names, list) or not names:
        raise DataError(f"{file} names no splits")
    return {splits.canonical(str(name)): os.path.join(path, str(name)) for name in names}


def _table(folder: str) -> tuple[features.Columns, list[str]]:
    """The columns of one saved dataset and its arrow files."""
    import pyarrow as pa

    state = _json(os.path.join(folder, "state.json"))
    if state.get("_indices_data_files"):
        raise DataError(f"{folder} has an index over its rows; save it anew with flatten_indices()")
    files = [os.path.join(folder, str(entry["filename"])) for entry in state.get("_data_files") or []]
    if not files:
        raise DataError(f"{folder}/state.json names no arrow files")
    info = os.path.join(folder, "dataset_info.json")
    told = _json(info).get("features") if os.path.isfile(info) else None
    try:
        with pa.memory_map(files[0]) as file, pa.ipc.open_stream(file) as reader:
            schema = reader.schema
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {files[0]} as arrow: {str(error).splitlines()[0]}") from None
    columns = features.find(schema, told if isinstance(told, dict) else None)
    if columns is None:
        raise DataError(f"{folder} has no image and label columns; it has {', '.join(schema.names)}")
    return columns, files


def _json(file: str) -> Mapping[str, Any]:
    try:
        with open(file, encoding="utf-8") as stream:
            told = json.load(stream)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {file}: {error}") from None
    if not isinstance(told, dict):
        raise DataError(f"{file} must hold a JSON object")
    return told
