"""What the rest of imaginate works with: the chosen samples of one source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

from imaginate.data.decoding import load
from imaginate.data.packed import labels_of
from imaginate.data.spec import DataSpec
from imaginate.markdown import table
from imaginate.records import Image, LabelSpace, Sample, Skipped

if TYPE_CHECKING:
    from imaginate.data.rendering import Rendering


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """The chosen samples of one source; images are read one at a time, when asked for.

    `split` is the one chosen (None: everything), `splits` those that the source has. `notes` are remarks that a
    person should see once (the split chosen by default, classes with too few images). `rendering`: how numbers of
    more than 8 bits become pictures, in all images alike; None where all are ordinary pictures.
    """

    name: str
    spec: DataSpec
    format: str
    labels: LabelSpace
    samples: Sequence[Sample]
    skipped: tuple[Skipped, ...] = ()
    split: str | None = None
    splits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rendering: Rendering | None = None

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> tuple[Image, int]: ...

    @overload
    def __getitem__(self, index: slice) -> Dataset: ...

    def __getitem__(self, index: int | slice) -> tuple[Image, int] | Dataset:
        """Image (3, h, w) uint8 and label, as torch's loaders want them; of a slice, the dataset of these images alone.
        Raises ImageError for an unusable file."""
        if isinstance(index, slice):
            return replace(self, samples=self.samples[index])
        return self.image(index), self.samples[index].label

    def __repr__(self) -> str:
        split = f", split {self.split!r}" if self.split else ""
        return f"Dataset({self.name!r}{split}: {len(self.samples)} images, {len(self.labels)} classes, {self.format})"

    def _repr_html_(self) -> str:
        """For notebooks: the images of each class."""
        return table([{"class": name, "images": count} for name, count in self.counts().items()], repr(self))

    def to_pandas(self) -> Any:
        """A row an image (id, class, label, split) as a pandas data frame (pandas is not installed with imaginate)."""
        import pyarrow as pa

        names = self.labels.names
        rows = [{"id": s.id, "class": names[s.label], "label": s.label, "split": s.split} for s in self.samples]
        return pa.Table.from_pylist(rows).to_pandas()

    def sample(self, index: int) -> Sample:
        """The record at this index."""
        return self.samples[index]

    def image(self, index: int) -> Image:
        """(3, h, w) uint8. Raises ImageError for an unusable file."""
        return load(self.samples[index])

    def counts(self) -> Mapping[str, int]:
        """Class name -> number of samples, in label order, empty classes included."""
        found = Counter(labels_of(self.samples))
        return {name: found[label] for label, name in enumerate(self.labels.names)}

    def reasons(self) -> Mapping[str, int]:
        """Reason -> number of skipped files, most frequent first."""
        return dict(Counter(item.reason for item in self.skipped).most_common())
