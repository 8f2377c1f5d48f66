"""Images that another tool made, taken as they are: `imaginate adopt` makes a run of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.data import load, open_dataset
from imaginate.data.digital_source import source_of
from imaginate.data.matching import matched
from imaginate.errors import ConfigError, ImageError
from imaginate.records import Candidate, LabelSpace, Request, Sample
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Adopt:
    """Image i of a class of another dataset as copy i: what any other tool made (a generator with a web page, another
    project's output, a vendor's set) becomes a run, so that filters, selection, review, export and reports work on it.

    Its classes are matched by name. Nothing is known of its seeds: `compare` guards itself against copies of held-out
    and validation images.
    """

    starts_from: ClassVar[StartsFrom] = "class"
    needs: ClassVar[tuple[str, ...]] = ()
    paper: ClassVar[str] = "control"

    folder: str | None = setting(None, "the images, in any layout that is read (default: those of the dataset itself)")
    folder_split: str | None = setting(None, "split of these images")
    content: str | None = setting(None, "hash of their names and bytes, by which `adopt` sees that they are others now")

    def __post_init__(self) -> None:
        check(self)
        if self.folder is None and self.folder_split is not None:
            raise ConfigError("folder-split says something of --folder, which is not given: leave it out")

    def prepare(self, context: Context) -> None:
        """The classes are matched, so that a folder of other classes is refused before the first image."""
        self._members(context)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """Copy i is image i of the class, (3, h, w) uint8; fewer where a class has no more."""
        members = self._members(context)
        found = []
        for request in requests:
            own = members.get(request.label, ())
            for copy, seed in zip(request.copies, request.seeds, strict=True):
                if copy < len(own):
                    found.append(_candidate(request, copy, seed, own[copy]))
        return found

    def _members(self, context: Context) -> dict[int, tuple[Sample, ...]]:
        if self.folder is not None:
            return _of_folder(self.folder, self.folder_split, context.labels)
        samples = context.samples
        return _by_class([samples.sample(i) for i in range(len(samples))])


def _candidate(request: Request, copy: int, seed: int, sample: Sample) -> Candidate:
    image, failed = None, None
    try:
        image = load(sample)
    except ImageError as error:
        failed = str(error)
    return Candidate(
        key=request.key, label=request.label, copy=copy, seed=seed, image=image, failed=failed,
        soft_label=sample.soft_label, info={"adopted_from": f"as it was: {sample.id}"},
        digital_source=source_of(sample),
    )  # fmt: skip


@lru_cache(maxsize=4)
def _of_folder(path: str, split: str | None, labels: LabelSpace) -> dict[int, tuple[Sample, ...]]:
    data, _ = matched(open_dataset(path, split=split), labels, path)
    return _by_class(data.samples)


def _by_class(samples: Sequence[Sample]) -> dict[int, tuple[Sample, ...]]:
    found: dict[int, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.label, []).append(sample)
    return {label: tuple(own) for label, own in found.items()}
