"""HF datasets saved on disk (`save_to_disk`): one dataset, or a folder of splits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from imaginate.data import features, splits
from imaginate.data.arrow import batches
from imaginate.data.columns import FOLLOWED
from imaginate.data.labelling import Labeller
from imaginate.data.sources.hf_arrow import ArrowSource
from imaginate.errors import DataError, RunError
from imaginate.files import below, first_line
from imaginate.limits import parse_json
from imaginate.records import Listing, Part, Place, Sample, Skipped


class HfDisk:
    """Reads arrow streams with images in them; class names come from the features."""

    layout: ClassVar[str] = "a HF dataset saved on disk"
    priority: ClassVar[int] = 20

    def recognises(self, place: Place) -> bool:
        """The JSON files that `save_to_disk` writes."""
        return "dataset_dict.json" in place.names or {"state.json", "dataset_info.json"} <= place.names

    def read(self, place: Place, part: Part) -> Listing:
        """The rows of the wanted split."""
        return _read(place.path, part)


def _read(path: str, part: Part) -> Listing:
    """The rows of the chosen split; class names come from the features."""
    folders = _folders(path)
    there = splits.ordered(split for split in folders if split)
    wanted = splits.choose(there, part.split)
    tables = {split: _table(folder, part) for split, folder in folders.items()}
    names = next((columns.names for columns, _ in tables.values() if columns.names), None)
    labeller = Labeller(names, where=path, column=next(iter(tables.values()))[0].label)
    if not labeller.fixed:
        for columns, files in tables.values():
            for file in files:
                for batch in batches(file):
                    labeller.see(batch.column(columns.label).to_pylist())
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for split, (columns, files) in tables.items():
        number = 0
        for file in files if wanted is None or split == wanted else ():
            for at, batch in enumerate(batches(file)):
                for row, value in enumerate(batch.column(columns.label).to_pylist()):
                    name = f"{split}/{number}" if split else str(number)
                    number += 1
                    label = labeller.label(value)
                    if isinstance(label, str):
                        skipped.append(Skipped(name, label, split or None))
                    else:
                        source = ArrowSource(file, at, row, columns.image)
                        samples.append(Sample(id=name, label=label, source=source, split=split or None))
    return Listing(
        format="HF dataset on disk",
        labels=labeller.space,
        samples=samples,
        skipped=skipped,
        splits=there,
        notes=labeller.notes,
        follows=FOLLOWED,
    )


def _folders(path: str) -> dict[str, str]:
    """Split ("" for a lone dataset) -> folder."""
    file = os.path.join(path, "dataset_dict.json")
    if not os.path.isfile(file):
        return {"": path}
    names = _json(file).get("splits")
    if not isinstance(names, list) or not names:
        raise DataError(f"{file} names no splits")
    return {splits.canonical(str(name)): os.path.join(path, str(name)) for name in names}


def _table(folder: str, part: Part) -> tuple[features.Columns, list[str]]:
    """The columns of one saved dataset and its arrow files."""
    import pyarrow as pa

    state = _json(os.path.join(folder, "state.json"))
    if state.get("_indices_data_files"):
        raise DataError(f"{folder} has an index over its rows; save it anew with flatten_indices()")
    try:
        files = [below(folder, str(entry["filename"])) for entry in state.get("_data_files") or []]
    except (RunError, KeyError, TypeError) as error:
        raise DataError(f"{folder}/state.json is damaged: {first_line(error)}") from None
    if not files:
        raise DataError(f"{folder}/state.json names no arrow files")
    info = os.path.join(folder, "dataset_info.json")
    stored = _json(info).get("features") if os.path.isfile(info) else None
    try:
        with pa.memory_map(files[0]) as file, pa.ipc.open_stream(file) as reader:
            schema = reader.schema
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {files[0]} as arrow: {str(error).splitlines()[0]}") from None
    columns = features.find(schema, stored if isinstance(stored, dict) else None, part, folder)
    if columns is None:
        raise DataError(features.unfit(schema, folder))
    return columns, files


def _json(file: str) -> Mapping[str, Any]:
    try:
        with open(file, encoding="utf-8") as stream:
            found = parse_json(stream.read())
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {file}: {error}") from None
    if not isinstance(found, dict):
        raise DataError(f"{file} must hold a JSON object")
    return found
