"""The record that travels along the line and gains fields: Sample -> Request -> Candidate -> Verdict.

Reading starts before it: a Place on a disk or behind a URL, of which a reader makes a Listing.

All are frozen and import nothing but the standard library. Images inside them are torch tensors, which this
module does not need to know: `Image` stands for a tensor (3, h, w), RGB, either uint8 in [0, 255] or floating
point in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

from imaginate.errors import some
from imaginate.files import derive_seed, short_hash

Image: TypeAlias = Any
Scalar: TypeAlias = str | int | float | bool | None
LayoutWord: TypeAlias = Literal["auto", "folders", "classes", "splits"]
ClassNames: TypeAlias = Literal["given", "wordnet"]
LabelTag: TypeAlias = Literal[
    "Modality", "BodyPartExamined", "ViewPosition", "Laterality", "ImageLaterality", "PatientPosition", "PatientSex",
    "PresentationIntentType", "ScanningSequence", "Manufacturer", "ManufacturerModelName",
]  # of DICOM: the tags that name no person, place or time  # fmt: skip
DigitalSource: TypeAlias = Literal[
    "trainedAlgorithmicMedia",
    "compositeWithTrainedAlgorithmicMedia",
    "compositeSynthetic",
    "algorithmicallyEnhanced",
    "composite",
]  # IPTC's words: drawn by a model, edited by one, of several pictures with a drawn one, altered by rules, of several
GROUP = "group"  # the key of `Sample.meta` that images share which must stay on one side of a cut


_NOTHING: Mapping[str, Scalar] = {}


class ImageSource(Protocol):
    """Where the encoded bytes of one image are; cheap to keep, to hash and to send to a worker (picklable)."""

    def read(self) -> bytes:
        """The encoded bytes (PNG, JPEG, WebP, ...). Raises ImageError with a short reason."""
        ...


@runtime_checkable
class FileBacked(ImageSource, Protocol):
    """An image source whose bytes are in a file (local or a url): `path`, alone (`is_whole_file`) or among others."""

    is_whole_file: ClassVar[bool]

    @property
    def path(self) -> str:
        """The file."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassInfo:
    """What is known of one class: `name` as in the source, the rest for prompts (from `classes.yaml`)."""

    name: str
    display: str = ""
    synonyms: tuple[str, ...] = ()
    definition: str = ""
    hypernym: str = ""
    domain: str = ""
    wnid: str = ""

    @property
    def title(self) -> str:
        """The name that a person, or a text encoder, should read."""
        return self.display or self.name.replace("_", " ")


@dataclass(frozen=True, slots=True)
class LabelSpace:
    """The ordered classes of a dataset; a label is an index into it."""

    classes: tuple[ClassInfo, ...]

    @classmethod
    def of(cls, names: Sequence[str]) -> LabelSpace:
        """A label space of bare names."""
        return cls(tuple(ClassInfo(name=name) for name in names))

    @property
    def names(self) -> tuple[str, ...]:
        """Class names as in the source, in label order."""
        return tuple(info.name for info in self.classes)

    @property
    def titles(self) -> tuple[str, ...]:
        """Display names, in label order."""
        return tuple(info.title for info in self.classes)

    @property
    def fingerprint(self) -> str:
        """A short hash of the class names and their order."""
        return short_hash(list(self.names))

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, label: int) -> ClassInfo:
        return self.classes[label]

    def __iter__(self) -> Iterator[ClassInfo]:
        return iter(self.classes)

    def covered(self, counts: Sequence[int], what: str = "image") -> str:
        """What follows a figure that was measured on so many images of each class: nothing where every class has one.

        `on 4 of 6 classes (2 of 6 classes have no held-out image: e, f)`, with `what` for the image.
        """
        missing = [name for name, count in zip(self.names, counts, strict=True) if not count]
        if not missing:
            return ""
        measured = [name for name in self.names if name not in missing]
        where = f"class {measured[0]} alone" if len(measured) == 1 else f"{len(measured)} of {len(self)} classes"
        return f"on {where} ({len(missing)} of {len(self)} classes have no {what}: {some(missing)})"

    def index(self, name: str) -> int:
        """The label of a class name; ValueError where there is none."""
        return self.names.index(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One labelled real image, not yet read. `id` is stable: its path or key inside the source."""

    id: str
    label: int
    source: ImageSource
    split: str | None = None
    soft_label: tuple[float, ...] | None = None
    meta: Mapping[str, Scalar] = field(default_factory=lambda: _NOTHING)  # one for all: a dict each is 64 bytes a seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A path or URL that may hold a dataset, examined once: readers recognise their layout by it.

    `head`: the first 512 bytes of a file. `names`: what is directly in a local folder, or in a run behind a URL.
    """

    path: str
    kind: Literal["file", "folder", "missing"]
    is_remote: bool = False
    head: bytes = b""
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The part of a dataset that is wanted: a split as the user names it (None: the default one), and of a run the
    origin of its images. A reader may list less than everything by it.

    What the user says of the source: `layout` (what folders mean), the columns of a table that hold paths, labels and
    what belongs together, the `encoding` of its text, or of the names in a zip, and the tag of DICOM files that is
    their class.
    """

    split: str | None = None
    origin: Literal["all", "original", "synthetic"] = "all"
    layout: LayoutWord = "auto"
    label_tag: LabelTag | None = None
    path_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image (or folder) of the source that is not used, and why. The reason is short and counted."""

    id: str
    reason: str
    split: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Everything that a place holds, before a split or subset is chosen. No image has been read.

    `has_origins`: each sample's `meta` says whether it is an original, and the reader followed `Part.origin`.
    `follows`: which of `path_column` and `label_column` of `Part` were followed; asking for another one is an error.
    """

    format: str
    labels: LabelSpace
    samples: Sequence[Sample]
    skipped: Sequence[Skipped] = ()
    splits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    has_origins: bool = False
    follows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`len(copies)` images wanted of one seed sample, or of one class (then `sample` and `image` are None).

    `key` is the sample's id, or `class/<name>`; `copies` are copy indices, `seeds` one random seed for each.
    `image`: (3, h, w) uint8.
    """

    key: str
    label: int
    copies: tuple[int, ...]
    seeds: tuple[int, ...]
    sample: Sample | None = None
    image: Image = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One made (or retrieved) image. `image`: (3, h, w) uint8, or floating point in [0, 1]; None only when `failed`.

    `soft_label` is set where the label is not one-hot (mixup, CutMix). `scores` are numbers that the method computed
    (informativeness before and after guidance, ...), `info` everything else that `metadata.parquet` should carry
    (strength, guidance scale, steps, source url, licence, ...). `failed` says why no usable image came out
    (`nan latents`): the engine counts it as rejected with that reason. `digital_source`: what the file that it was
    taken from says of how it came to be. `mask`: (h, w) bool, the pixels of the image
    that the class is about (a pasted defect), written next to the images.
    """

    key: str
    label: int
    copy: int
    seed: int
    image: Image
    soft_label: tuple[float, ...] | None = None
    prompt: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    info: Mapping[str, Scalar] = field(default_factory=dict)
    failed: str | None = None
    digital_source: DigitalSource | None = None
    mask: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A filter's judgement of one candidate. `reason` is short and counted; empty when kept. `info`: what else to keep
    of it in the metadata, a column `info_<name>` each."""

    keep: bool
    reason: str = ""
    score: float | None = None
    info: Mapping[str, Scalar] = field(default_factory=dict)


def steady(score: float) -> float:
    """A score as it is written and weighed: four decimals, and at most six digits in all.

    Networks give slightly other numbers (the seventh digit) for another batch or number of threads. A score between two
    decimals may then have another last one.
    """
    return round(float(f"{score:.6g}"), 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relatives:
    """Of each image the names of all images that it shows or descends from; two that share a name are related. Images
    that are not listed are related to nobody. `new`: those that were made or retrieved."""

    names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    new: frozenset[str] = frozenset()

    def related_to(self, ids: Iterable[str]) -> set[str]:
        """These images, and every image that shares a name with one of them."""
        asked = set(ids)
        names = {name for key in asked for name in self.names.get(key, frozenset({key}))}
        return asked | {key for key, own in self.names.items() if not own.isdisjoint(names)}


def image_seed(run_seed: int, method: str, key: str, copy: int) -> int:
    """The random seed of one image, in [0, 2**63): a hash of what it is, never of when or where it is made."""
    return derive_seed(run_seed, method, key, copy)
