"""What the rest of imaginate works with: the chosen samples of one source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imaginate.data.decoding import load
from imaginate.data.spec import DataSpec
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

    def sample(self, index: int) -> Sample:
        """The record at this index."""
        return self.samples[index]

    def image(self, index: int) -> Image:
        """(3, h, w) uint8. Raises ImageError for an unusable file."""
        return load(self.samples[index])

    def counts(self) -> Mapping[str, int]:
        """Class name -> number of samples, in label order, empty classes included."""
        found = Counter(sample.label for sample in self.samples)
        return {name: found[label] for label, name in enumerate(self.labels.names)}

    def reasons(self) -> Mapping[str, int]:
        """Reason -> number of skipped files, most frequent first."""
        return dict(Counter(item.reason for item in self.skipped).most_common())
