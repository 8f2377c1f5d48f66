"""Readers: any labelled image dataset -> Samples, listed at once and read one image at a time."""

from __future__ import annotations

from imaginate.data.dataset import Dataset
from imaginate.data.decoding import decode, load
from imaginate.data.duplicates import Digests, conflicts, sha256
from imaginate.data.opening import open_dataset, verify
from imaginate.data.spec import DataSpec
from imaginate.records import Skipped

__all__ = [
    "DataSpec",
    "Dataset",
    "Digests",
    "Skipped",
    "conflicts",
    "decode",
    "load",
    "open_dataset",
    "sha256",
    "verify",
]  # fmt: skip
