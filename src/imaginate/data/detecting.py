"""What lies at a path: told by content, by file names only where the content is plain text."""

from __future__ import annotations

import os
import tarfile
import zipfile

from imaginate.data import features, hfparquet, manifest, run, urls, webdataset
from imaginate.errors import DataError

SUPPORTED = (
    "an image folder (also inside a zip or tar), a csv, tsv, jsonl or parquet file with image and label columns, a "
    "folder of parquet files, a HF dataset saved on disk, a MedMNIST-style npz, WebDataset tars, or a finished run"
)
_TEXT_TABLES = (".csv", ".tsv", ".jsonl")


def detect(path: str) -> str:
    """The kind of dataset at a path, or words for what is there instead."""
    if urls.is_url(path):
        return _remote(path)
    if os.path.isdir(path):
        return _folder(path)
    if webdataset.has_braces(path):
        return "tars"
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise DataError(f"there is nothing at {path}") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    return _file(path, head)


def _remote(url: str) -> str:
    if urls.is_folder(url):
        return "folder"
    try:
        with urls.open_binary(url) as file:
            head = file.read(512)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {url}: {error}") from None
    if head[:4] == b"PAR1" or url.endswith(".npz"):
        raise DataError(f"{url}: parquet and npz are read from a local disk; copy it there")
    if head[:2] == b"PK":
        return "zip"
    if url.lower().endswith(_TEXT_TABLES):
        return "manifest"
    return "tar" if ".tar" in url.lower() else "a file of an unknown kind"


def _file(path: str, head: bytes) -> str:
    if not head:
        return "an empty file"
    if head[:4] == b"PAR1":
        return "parquet" if features.find(hfparquet.schema_of(path)) else "manifest"
    if head[:2] == b"PK" or zipfile.is_zipfile(path):
        return "npz" if _only_arrays(path) else "zip"
    if path.lower().endswith(_TEXT_TABLES):
        return "manifest"
    try:
        return "tar" if tarfile.is_tarfile(path) else "a file of an unknown kind"
    except (OSError, EOFError):
        return "a file of an unknown kind"


def _only_arrays(path: str) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return path.endswith(".npz")
    return bool(names) and all(name.endswith(".npy") for name in names)


def _folder(path: str) -> str:
    try:
        names = set(os.listdir(path))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    if run.is_run(names):
        return "run"
    if "dataset_dict.json" in names or {"state.json", "dataset_info.json"} <= names:
        return "hf dataset"
    if metadata_file(path) is not None:
        return "manifest in a folder"
    if any(features.find(hfparquet.schema_of(file)) for file in hfparquet.files(path)):
        return "parquet"
    if any(name.endswith(".tar") for name in names):
        return "tars"
    return "folder" if names else "an empty folder"


def metadata_file(path: str) -> str | None:
    """The `metadata.csv` (or tsv, jsonl, parquet) of a folder that names a label for each image."""
    files = [os.path.join(path, "metadata" + suffix) for suffix in manifest.SUFFIXES]
    return next((file for file in files if os.path.isfile(file) and manifest.fits(file)), None)
