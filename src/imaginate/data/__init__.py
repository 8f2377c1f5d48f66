"""Readers: any labelled image dataset -> Samples, listed at once and read one image at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imaginate.data.dataset import Dataset, Skipped
from imaginate.data.opening import open_dataset, verify
from imaginate.data.spec import DataSpec

if TYPE_CHECKING:
    from imaginate.data.decoding import decode, load
    from imaginate.data.duplicates import conflicts, sha256

__all__ = [
    "DataSpec",
    "Dataset",
    "Skipped",
    "conflicts",
    "decode",
    "load",
    "open_dataset",
    "sha256",
    "verify",
]  # fmt: skip


def __getattr__(name: str) -> Any:  # numpy and Pillow only when an image is wanted
    from importlib import import_module

    if name in ("decode", "load"):
        return getattr(import_module("imaginate.data.decoding"), name)
    if name in ("conflicts", "sha256"):
        return getattr(import_module("imaginate.data.duplicates"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
