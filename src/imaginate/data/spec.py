"""Which images of which dataset: settings alone, so that the command line can make its flags from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from imaginate.records import LayoutWord
from imaginate.settings import check, setting

# Settings that came after the first runs: they do not count in a run's fingerprint while they have these values.
UNSAID = {"classes": None, "layout": "auto", "path_column": None, "label_column": None, "encoding": None}


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """A dataset and the part of it that is wanted. Subsets depend on sample ids alone, never on their order."""

    path: str = setting(help="image folder, zip, tar, csv, parquet, npz, HF dataset on disk, WebDataset, or a run")
    split: str | None = setting(None, "split to read; by default `train` where there is one, else everything")
    shots: int | None = setting(None, "images a class; the smaller choice is always part of the larger", ge=1)
    fraction: float | None = setting(None, "share of each class, so that the class imbalance stays", gt=0, le=1)
    origin: Literal["all", "original", "synthetic"] = setting("all", "of a run: which images to read")
    subset_seed: int = setting(0, "another seed picks other images for shots and fraction", ge=0)
    classes_file: str | None = setting(None, "a classes.yaml from another place than next to the dataset")
    classes: tuple[str, ...] | None = setting(None, "the classes to read, by the names in the source; by default all")
    layout: LayoutWord = setting(
        "auto", "what folders mean; folders: classes and splits by their names, whatever tables are next to them; "
        "classes: no folder is a split; splits: every folder on top is one"
    )  # fmt: skip
    path_column: str | None = setting(None, "the column of a table that names the images")
    label_column: str | None = setting(None, "the column of a table that names the classes")
    encoding: str | None = setting(None, "code page of a text table, or of the names in a zip: cp1252, gb18030, ...")

    def __post_init__(self) -> None:
        check(self)
