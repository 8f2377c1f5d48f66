"""Which images of which dataset: settings alone, so that the command line can make its flags from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from imaginate.data.slices import Slices
from imaginate.errors import ConfigError
from imaginate.records import ClassNames, LabelTag, LayoutWord
from imaginate.settings import check, setting

# Settings that came after the first runs: they do not count in a run's fingerprint while they have these values.
UNSAID = {
    "imbalance": None,
    "classes": None,
    "class_names": "given",
    "layout": "auto",
    "path_column": None,
    "label_column": None,
    "group_column": None,
    "encoding": None,
    "range": None,
    "channels": None,
    "page": None,
    "slices": None,
    "tiles": None,
    "label_tag": None,
}

# Settings that say how a source is read, not which part of it.
READING = (
    "layout", "path_column", "label_column", "group_column", "encoding", "range", "channels", "page", "slices", "tiles",
    "label_tag",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """A dataset and the part of it that is wanted. Subsets depend on sample ids alone, never on their order."""

    path: str = setting(help="image folder, zip, tar, csv, parquet, npz, HF dataset on disk, WebDataset, or a run")
    split: str | None = setting(None, "split to read; by default `train` where there is one, else everything")
    shots: int | None = setting(None, "images a class; the smaller choice is always part of the larger", ge=1)
    fraction: float | None = setting(None, "share of each class, so that the class imbalance stays", gt=0, le=1)
    imbalance: float | None = setting(
        None,
        "a long tail: the first class has so many times the images of the last, exponential in between; after fraction "
        "and shots",
        ge=1,
        source="GIF F, Cao et al.",
    )
    origin: Literal["all", "original", "synthetic"] = setting("all", "of a run: which images to read")
    subset_seed: int = setting(0, "another seed picks other images for shots, fraction and imbalance", ge=0)
    classes_file: str | None = setting(
        None,
        "a classes.yaml from another place than next to the dataset, or the name of one that comes with imaginate "
        "(breastmnist)",
    )
    class_names: ClassNames = setting(
        "given",
        "what classes are called: as the source and classes.yaml say; wordnet: with the synonyms of WordNet too, and "
        "its definitions and hypernyms, where it knows one meaning (RET 3.2)",
    )
    classes: tuple[str, ...] | None = setting(None, "the classes to read, by the names in the source; by default all")
    layout: LayoutWord = setting(
        "auto", "what folders mean; folders: classes and splits by their names, whatever tables are next to them; "
        "classes: no folder is a split; splits: every folder on top is one"
    )  # fmt: skip
    path_column: str | None = setting(None, "the column of a table that names the images")
    label_column: str | None = setting(None, "the column of a table that names the classes")
    group_column: str | None = setting(
        None,
        "the column of a table whose value images share that belong together (a patient, a plant, a video), so that no "
        "cut parts them",
    )
    encoding: str | None = setting(None, "code page of a text table, or of the names in a zip: cp1252, gb18030, ...")
    range: str | None = setting(
        None,
        "the numbers that are black and white, LOW..HIGH: 0..4095, --range=-1000..400; by default found on a sample",
    )
    channels: tuple[int, ...] | None = setting(
        None, "bands or pages of an image, from 1, that become red, green and blue (3,2,1), or grey (4)", ge=1
    )
    page: int | None = setting(None, "which page, from 1, of images with several; by default the first", ge=1)
    slices: str | None = setting(
        None,
        "which slices of a volume (NIfTI, NRRD, MHA), or frames of a DICOM film, are images: middle, every:N, or mask, "
        "those in which a volume case_mask next to case is not 0; by default the middle slice, and every frame",
    )
    tiles: int | None = setting(
        None, "cut slides (large TIFF, SVS, NDPI, ...) into tiles of so many pixels, without those of background", ge=32
    )
    label_tag: LabelTag | None = setting(
        None, "the tag of DICOM files that is their class, whatever their folders are; tags that name a person are none"
    )

    def __post_init__(self) -> None:
        check(self)
        if self.channels is not None and len(self.channels) not in (1, 3):
            raise ConfigError(f"channels must be one number or three, got {','.join(map(str, self.channels))}")
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ConfigError(f"range must rise from black to white, got {self.range!r}")

        if self.slices is not None and self.page is not None:
            raise ConfigError("slices says which slices are images, and page which one: give one of both")
        Slices.of(self.slices)

    @property
    def window(self) -> tuple[float, float] | None:
        """Black and white, where they are given. ConfigError where the text is no range."""
        if self.range is None:
            return None
        try:
            low, high = (float(side) for side in self.range.split(".."))
        except ValueError:
            raise ConfigError(f"range must be LOW..HIGH, such as 0..4095, got {self.range!r}") from None
        return low, high


def reading_of(text: str | None) -> dict[str, str]:
    """Settings of reading in one text, `slices=every:5 range=0..4095`, by name. ConfigError for any other."""
    found: dict[str, str] = {}
    for word in (text or "").split():
        name, sign, value = word.partition("=")
        name = name.lstrip("-").replace("-", "_")
        if not sign or name not in READING:
            raise ConfigError(f"read-as takes NAME=VALUE with one of {', '.join(READING)}, got {word!r}")
        found[name] = value
    return found


def reading_elsewhere(reading: Mapping[str, Any]) -> dict[str, Any]:
    """How another source is read as this one: it need not have the column of what belongs together."""
    return {name: value for name, value in reading.items() if name != "group_column"}


def source_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Of the data section of a recipe: path, split, and how the source is read, for `open_dataset`. All images of the
    split, also those that a subset leaves out."""
    names = ("path", "split", *READING)
    return {name: data[name] for name in names if data.get(name) not in (None, UNSAID.get(name))}


def as_read(data: Mapping[str, Any]) -> str:
    """The same text for the data section of a recipe; "" where all is read as by default."""

    def shown(value: Any) -> str:
        return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)

    said = [(name, data.get(name)) for name in READING]
    return " ".join(f"{name}={shown(value)}" for name, value in said if value not in (None, UNSAID.get(name)))
