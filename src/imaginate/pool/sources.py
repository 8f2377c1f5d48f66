"""From what a person names on the command line to units: folders, tars, parquet, clip-retrieval folders, any dataset.

images/                      a folder of images at any depth; captions in 000.txt, metadata in 000.json beside them
shards/*.tar, laion/         WebDataset tars with captions, or the output folder of img2dataset
part-*.parquet               rows with image bytes, and captions, URLs, scores, licences where they have them
index/                       clip-retrieval: img_emb/*.npy or image.index, with metadata/*.parquet
anything else                whatever `imaginate` reads as a dataset (zip, npz, manifest, HF dataset, a run)
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator
from typing import Any

from imaginate.data import layout
from imaginate.data.decoding import has_image_suffix
from imaginate.data.sources.file import FileSource
from imaginate.errors import DataError, ImageError
from imaginate.pool import clip_index, parquet, refs, tars
from imaginate.pool.fields import facts
from imaginate.pool.units import Item, Unit, file_stamp, folder_stamp

_BESIDE = (".txt", ".json", ".parquet", ".csv", ".yaml", ".yml", ".md", ".npy", ".html")


def units_of(source: str, split: str | None = None) -> Iterator[Unit]:
    """The units of one source, in a fixed order. Raises DataError where nothing there can be read."""
    paths = _expand(source)
    if not paths:
        raise DataError(f"no such source: {source}")
    for path in paths:
        yield from _one(path, split)


def _expand(source: str) -> list[str]:
    if "://" in source:
        if not glob.has_magic(source):
            return [source]
        import fsspec

        system, pattern = fsspec.core.url_to_fs(source)
        return [system.unstrip_protocol(path) for path in sorted(system.glob(pattern))]
    if os.path.exists(source):
        return [source]
    return sorted(glob.glob(os.path.expanduser(source), recursive=True))


def _one(path: str, split: str | None) -> Iterator[Unit]:
    name = path.lower()
    if name.endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")):
        yield tars.unit(path)
    elif name.endswith(".parquet"):
        yield from parquet.units(path, os.path.basename(path))
    elif "://" in path:
        raise DataError(f"{path}: on an object store, name tars or parquet files (a pattern will do)")
    elif os.path.isdir(path):
        yield from _folder(path, split)
    else:
        yield _dataset(path, split)


def _folder(path: str, split: str | None) -> Iterator[Unit]:
    top = sorted(os.listdir(path))
    if clip_index.is_index(path):
        yield from clip_index.units(path)
    elif "recipe.yaml" in top or "dataset_info.json" in top or "dataset_dict.json" in top or "state.json" in top:
        yield _dataset(path, split)
    elif archives := [name for name in top if name.endswith(".tar")]:
        for name in archives:
            yield tars.unit(os.path.join(path, name))
    elif tables := [name for name in top if parquet.has_images(os.path.join(path, name))]:
        for name in tables:
            yield from parquet.units(os.path.join(path, name), f"{_base(path)}/{name}")
    else:
        yield from _images(path)


def _images(root: str) -> Iterator[Unit]:
    """One unit a folder that holds files, parents before children; nothing but one listing is in memory."""
    base = _base(root)
    for folder, below, names in os.walk(root, followlinks=False):
        below[:] = sorted(name for name in below if not layout.is_system_folder(name))
        if not names:
            continue
        inside = os.path.relpath(folder, root)
        prefix = base if inside == "." else f"{base}/{inside.replace(os.sep, '/')}"
        entries = [entry for entry in os.scandir(folder) if entry.is_file() and not layout.is_system_file(entry.name)]
        if entries:
            yield Unit(f"{prefix}/", folder_stamp(entries), lambda f=folder, p=prefix: _files(f, p))  # type: ignore[misc]


def _files(folder: str, prefix: str) -> Iterator[Item]:
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if not os.path.isfile(path) or layout.is_system_file(name) or layout.is_own_file(name):
            continue
        if has_image_suffix(name):
            source = FileSource(path)
            place = refs.encoded(FileSource(os.path.abspath(path)))
            yield Item(name=f"{prefix}/{name}", source=source, ref=place, facts=_beside(os.path.splitext(path)[0]))
        elif not name.lower().endswith(_BESIDE):
            yield Item(name=f"{prefix}/{name}", bad="not an image")


def _beside(stem: str) -> dict[str, Any]:
    """Metadata and caption from `stem.json` and `stem.txt`, as img2dataset writes them."""
    row: dict[str, Any] = {}
    if os.path.exists(stem + ".json"):
        try:
            with open(stem + ".json", encoding="utf-8") as file:
                found = json.load(file)
            row = found if isinstance(found, dict) else {}
        except (OSError, ValueError):
            row = {}
    if os.path.exists(stem + ".txt"):
        with open(stem + ".txt", encoding="utf-8", errors="replace") as file:
            row["caption"] = file.read(10_000)
    return facts(row)


def _dataset(path: str, split: str | None) -> Unit:
    """Any dataset that imaginate reads; the class's name is the caption."""
    stamp = file_stamp(path) if os.path.isfile(path) else folder_stamp(list(os.scandir(path)))

    def items() -> Iterator[Item]:
        from imaginate.data import open_dataset

        dataset = open_dataset(path, split=split)
        base = _base(path)
        for sample in dataset.samples:
            told = facts({**sample.meta, "caption": dataset.labels[sample.label].title})
            yield Item(name=f"{base}/{sample.id}", source=sample.source, ref=refs.encoded(sample.source), facts=told)
        for skipped in dataset.skipped:
            yield Item(name=f"{base}/{skipped.id}", bad=skipped.reason)

    return Unit(f"{_base(path)}" + (f" ({split})" if split else ""), stamp, items)


def _base(path: str) -> str:
    return os.path.basename(os.path.normpath(path))


def usable(item: Item) -> bytes:
    """The item's bytes. Raises ImageError, also for an item that came with a reason."""
    if item.bad or item.source is None:
        raise ImageError(item.bad or "no image")
    return item.source.read()
