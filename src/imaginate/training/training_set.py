"""What a classifier is trained on and chosen by: THE composition of original images, new images and a validation part.

`train`, `compare` and the choice of a checkpoint all go through `TrainingImages`: nothing of the validation part is
trained on, not a descendant of it, not a near-duplicate of it, and nothing that a person groups with it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imaginate.data import Dataset
from imaginate.data.lineage import Lineage, lineage_of, parents_among
from imaginate.data.relatives import NEAR, NONE, joined, named_pairs, near_duplicates
from imaginate.data.sources.file import FileSource
from imaginate.errors import some
from imaginate.records import LabelSpace, Sample
from imaginate.training.leaks import overlap
from imaginate.training.pixel_cache import Piece, PixelCache, build_pixel_cache
from imaginate.training.split import split

if TYPE_CHECKING:
    import torch

CHILD = "child of a validation image"
COPY = "same as a validation image"
OUTSIDE = " or of a held-out one"  # what is added where the fold that is held out is kept apart, too


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """The images of one arm as the trainer sees them: rows over memory maps, labels, and how new images are used. With
    `children`, `count` originals are drawn from, and a drawn original is replaced with probability `replace` by one of
    its children (a new image made from it, or else one of its class).

    `new`: which rows were made or retrieved (None: none of them); `kin`: the families that each row belongs to, by
    number: rows that share one are relatives (empty: nobody is related)."""

    stores: tuple[Path, ...]
    part: np.ndarray  # (n,) which store
    row: np.ndarray  # (n,) which row of it
    label: np.ndarray  # (n,) int64
    soft: np.ndarray | None = None  # (n, classes) float32
    new: np.ndarray | None = None  # (n,) bool
    weight: np.ndarray | None = None  # (n,) float32: of each image in the loss
    kin: tuple[np.ndarray, ...] = ()
    count: int = 0  # how many of the first rows are drawn from; the rest are children
    children: tuple[np.ndarray, ...] = ()  # for each of the `count` rows, rows that may stand in for it
    replace: float = 0.0
    _maps: list[np.ndarray] = field(default_factory=list, repr=False, compare=False)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_maps": []}

    def __len__(self) -> int:
        return self.count or len(self.row)

    @property
    def cache(self) -> Path:
        """The folder of the decoded images, in which what is computed of them may be kept."""
        return self.stores[0].parent

    @property
    def originals(self) -> np.ndarray:
        """The rows of images that were neither made nor retrieved."""
        return np.arange(len(self)) if self.new is None else np.flatnonzero(~self.new[: len(self)])

    @property
    def has_new(self) -> bool:
        """Whether there is an image that was made or retrieved."""
        return self.new is not None and bool(self.new.any())

    @property
    def identity(self) -> list[object]:
        """What two sets of the same images share, as JSON can hold it."""
        return [x.tolist() for x in (self.label, self.row, self.weight) if x is not None]

    def balanced(self) -> TrainingSet:
        """The same images, each class with the same sum of weights, their mean 1; by the label, where one is soft."""
        base = np.ones(len(self.label)) if self.weight is None else self.weight.astype(np.float64)
        own = self.label[: len(self)]
        total = np.bincount(own, weights=base[: len(self)], minlength=int(self.label.max()) + 1)
        each = len(self) / (np.count_nonzero(total) * np.maximum(total, 1e-12))
        return replace(self, weight=(base * each[self.label]).astype(np.float32))

    def weighted(self, weight_new: float) -> TrainingSet:
        """The same images, a new one counting `weight_new` times as much as an original."""
        if self.new is None or weight_new == 1:
            return self
        return replace(self, weight=np.where(self.new, weight_new, 1.0).astype(np.float32))

    def substitute(self, rows: np.ndarray, seed: int) -> np.ndarray:
        """Rows (b,) with some originals replaced by children; as they are in the `concat` mode."""
        if not self.children:
            return rows
        rng = np.random.default_rng(seed)
        chosen = rng.random(len(rows)) < self.replace
        which = rng.random(len(rows))
        out = rows.copy()
        for i in np.flatnonzero(chosen):
            children = self.children[rows[i]]
            if len(children):
                out[i] = children[int(which[i] * len(children))]
        return out

    def images(self, rows: np.ndarray) -> torch.Tensor:
        """(b,) rows -> (b, 3, s, s) uint8."""
        import torch

        maps = self._open()
        size = maps[0].shape[1]
        out = np.empty((len(rows), size, size, 3), np.uint8)
        for place, (part, row) in enumerate(zip(self.part[rows], self.row[rows], strict=True)):
            out[place] = maps[part][row]
        return torch.from_numpy(out).permute(0, 3, 1, 2)

    def targets(self, rows: np.ndarray) -> torch.Tensor:
        """(b,) rows -> labels (b,) int64, or soft labels (b, classes) where any row of the pool has one."""
        import torch

        return torch.from_numpy((self.label if self.soft is None else self.soft)[rows])

    def _open(self) -> list[np.ndarray]:
        if not self._maps:
            self._maps.extend(np.load(path, mmap_mode="r") for path in self.stores)
        return self._maps


def join(pieces: Sequence[Piece], classes: int) -> TrainingSet:
    """One set of several pieces; one-hot targets where only some of them are soft."""
    paths, rows, labels, softs = zip(*pieces, strict=True)
    stores = tuple(dict.fromkeys(paths))
    soft = None
    if any(x is not None for x in softs):
        eye = np.eye(classes, dtype=np.float32)
        soft = np.concatenate([eye[y] if x is None else x for y, x in zip(labels, softs, strict=True)])
        soft = soft.astype(np.float32)
    return TrainingSet(
        stores=stores,
        part=np.concatenate([np.full(len(x), stores.index(path)) for path, x in zip(paths, rows, strict=True)]),
        row=np.concatenate(rows).astype(np.int64),
        label=np.concatenate(labels).astype(np.int64),
        soft=soft,
    )


class Images:
    """Decoded images of a dataset or of a run: which of them are new (made or retrieved), which may be used (all that
    could be read, by default), what they descend from, and which belong together, both found when first asked for.

    `group_by`: `near` (near-duplicates), `none`, or near-duplicates and a column or pattern that groups the images.
    """

    def __init__(
        self,
        dataset: Dataset,
        cache: PixelCache,
        usable: np.ndarray | None = None,
        lineage: Lineage | None = None,
        *,
        group_by: str = NEAR,
    ) -> None:
        self.cache, self._dataset, self._lineage, self.group_by = cache, dataset, lineage, group_by
        self.usable = cache.usable if usable is None else usable
        self._cuts: dict[tuple[float, int, int], tuple[np.ndarray, np.ndarray]] = {}
        is_run = dataset.format == "run"
        self.new = np.array([is_run and s.meta.get("origin") != "original" for s in dataset.samples], bool)

    @property
    def lineage(self) -> Lineage:
        """Who descends from whom."""
        if self._lineage is None:
            self._lineage = lineage_of(self._dataset)
        return self._lineage

    @cached_property
    def group(self) -> np.ndarray:
        """(n,) int64: originals of one group stay on one side of a cut; each of the others is its own."""
        rows = np.arange(len(self.cache))
        if self.group_by == NONE:
            return rows
        own = self.cache.only(self.usable & ~self.new)
        pairs = near_duplicates(own.hashes, own.mirrored, own.content)
        return joined(len(rows), pairs + named_pairs(self._dataset.samples, self.group_by, self._dataset))

    def cut(self, share: float, seed: int, least: int) -> tuple[np.ndarray, np.ndarray]:
        """`split` of the originals that may be used; the arms of a study ask for the same one."""
        key = (share, seed, least)
        if key not in self._cuts:
            group = self.group if share else None
            self._cuts[key] = split(self.cache.label, self.usable & ~self.new, share, seed, group=group, least=least)
        return self._cuts[key]

    @property
    def grouped(self) -> tuple[int, int]:
        """How many originals are in groups of two and more, and how many groups these are."""
        sizes = np.unique(self.group[self.usable & ~self.new], return_counts=True)[1]
        return int(sizes[sizes > 1].sum()), int((sizes > 1).sum())

    @cached_property
    def kin(self) -> tuple[np.ndarray, ...]:
        """Of each image the families that it belongs to: an original's group; of a new image those of the originals
        that went into it, or a family of its own, below 0."""
        owners = parents_among([self.cache.ids[i] for i in np.flatnonzero(~self.new)], self.lineage, self.lineage)
        row_of = {name: row for row, name in enumerate(self.cache.ids)}
        found = []
        for row, name in enumerate(self.cache.ids):
            rows = sorted(row_of[owner] for owner in owners.get(name, ())) if self.new[row] else [row]
            found.append(np.unique(self.group[rows]) if rows else np.array([-1 - row]))
        return tuple(found)

    def names(self, rows: np.ndarray) -> set[str]:
        """All names of the pictures in these rows."""
        return {name for i in rows for name in self.lineage.names_of(self.cache.ids[i])}

    def descend_from(self, names: Collection[str]) -> np.ndarray:
        """(n,) bool: the new images into which a picture of one of these names went."""
        found = self.new.copy()
        for i in np.flatnonzero(self.new):
            found[i] = not self.lineage.ancestors_of(self.cache.ids[i]).isdisjoint(names)
        return found


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Rows of a dataset to train on, its rows to validate on, rows of a run to train on, and how many images that could
    be used are in none of them, by reason. `unchecked`: the classes that have no image in the validation part."""

    rows: np.ndarray
    validation: np.ndarray
    added: np.ndarray
    excluded: Mapping[str, int]
    unchecked: tuple[int, ...] = ()


class TrainingImages:
    """All images that a classifier may be trained on: those of a dataset, and the new images of a run made from it.

    The validation part is taken from the dataset's original images, unless a whole `validation` split is given. Left
    out of training is every new image that descends from a validation image, every one that names no original (it was
    retrieved, or made from a prompt) and shows a validation image, and what was made from the latter.
    """

    def __init__(
        self,
        dataset: Images,
        run: Images | None = None,
        *,
        validation: PixelCache | None = None,
        each_class: bool = True,
    ) -> None:
        self.dataset, self.run, self.validation, self.each_class = dataset, run, validation, each_class
        self._sources = [dataset] if run is None else [dataset, run]

    def choose(self, share: float, seed: int, fold: np.ndarray | None = None) -> Parts:
        """A share of the originals of each class, by seed, for validation; none where there is a validation split.

        `fold`: rows that are held out, and so in none of the parts, and nothing that descends from them. `each_class`:
        at least one image of every class that has two (version 0.1.0 rounded down to none).
        """
        data, least = self.dataset, 1 if self.each_class else 0
        asked = share if self.validation is None else 0.0
        if fold is None:
            return self._parts(*data.cut(asked, seed, least), fold)
        usable = data.usable & ~data.new
        usable[fold] = False
        group = data.group if asked else None
        return self._parts(*split(data.cache.label, usable, asked, seed, group=group, least=least), fold)

    def hold_back(self, ids: Collection[str]) -> Parts:
        """Those of the images with these ids that are originals for validation, and none of the others."""
        data = self.dataset
        named = np.array([name in ids for name in data.cache.ids], bool)
        return self._parts(*(np.flatnonzero(data.usable & ~data.new & which) for which in (~named, named)))

    def notes(self, parts: Parts, labels: LabelSpace) -> list[str]:
        """What a person should know of the cut: groups that were kept together, classes that it cannot check."""
        found = []
        if len(parts.validation) and self.dataset.grouped[1]:
            images, groups = self.dataset.grouped
            what = "near-duplicates" if self.dataset.group_by == NEAR else f"near-duplicates or {self.dataset.group_by}"
            found.append(
                f"{images} original images are in {groups} groups ({what}): a group is never on both sides of the "
                "validation cut"
            )
        if parts.unchecked:
            names = some([labels.names[i] for i in parts.unchecked])
            found.append(
                f"{len(parts.unchecked)} of {len(labels)} classes have no validation image (one image, or one group of "
                f"them): {names}"
            )
        return found

    def _parts(self, rows: np.ndarray, validation: np.ndarray, fold: np.ndarray | None = None) -> Parts:
        """New images join the originals, without those that show, or descend from, a validation image or one of the
        fold that is held out."""
        apart = validation if fold is None else np.union1d(validation, fold)
        fresh = [source.new & source.usable for source in self._sources]
        excluded: dict[str, int] = {}
        names = self.dataset.names(apart) if self.validation is None else set(self.validation.ids)
        if names and any(mask.any() for mask in fresh):
            names |= self._hidden_copies(apart)
            copies = [mask & self._copies(k, apart) for k, mask in enumerate(fresh)]
            for source, copy in zip(self._sources, copies, strict=True):
                names |= source.names(np.flatnonzero(copy))
            children = [source.descend_from(names) for source in self._sources]
            children = [mask & child & ~copy for mask, child, copy in zip(fresh, children, copies, strict=True)]
            fresh = [mask & ~child & ~copy for mask, child, copy in zip(fresh, children, copies, strict=True)]
            counts = {CHILD: sum(int(x.sum()) for x in children), COPY: sum(int(x.sum()) for x in copies)}
            more = OUTSIDE if fold is not None else ""
            excluded = {reason + more: count for reason, count in counts.items() if count}
        own, *added = [np.flatnonzero(mask) for mask in fresh]
        label = self.dataset.cache.label
        inside = label[validation] if self.validation is None else self.validation.label[self.validation.usable]
        unchecked = np.setdiff1d(label[rows], inside) if len(inside) else ()
        return Parts(
            rows=np.union1d(rows, own), validation=validation, added=added[0] if added else rows[:0],
            excluded=excluded, unchecked=tuple(int(i) for i in unchecked),
        )  # fmt: skip

    def _copies(self, source: int, validation: np.ndarray) -> np.ndarray:
        """(n,) bool: the images of a source that show an image of the validation part, though they name none."""
        found = np.zeros(len(self._sources[source].cache), bool)
        inside = set(validation.tolist())
        found[[i for i, j in self._shown[source] if self.validation is not None or j in inside]] = True
        return found

    def _hidden_copies(self, validation: np.ndarray) -> set[str]:
        """The names of ancestors that show an image of the validation part, and that no source holds any more."""
        inside = set(validation.tolist())
        return {name for name, j in self._shown_before if self.validation is not None or j in inside}

    @cached_property
    def _shown_before(self) -> list[tuple[str, int]]:
        """Pairs (name, row of the images that validation comes from) that look the same: images of earlier runs from
        which images with no original among their ancestors were made."""
        held = {name for source in self._sources for name in source.names(np.arange(len(source.cache)))}
        files = {
            name: source.lineage.files[name]
            for source, orphan in zip(self._sources, self._orphans, strict=True)
            for i in np.flatnonzero(orphan)
            for name in source.lineage.ancestors_of(source.cache.ids[i])
            if name in source.lineage.files and name not in held
        }
        samples = [Sample(id=name, label=0, source=FileSource(path)) for name, path in sorted(files.items())]
        if not samples:
            return []
        folder = self.dataset.cache.path.parent
        cache = build_pixel_cache(samples, folder, size=1, classes=1)  # for its hashes alone
        return [(cache.ids[i], j) for i, j in overlap(cache, self._candidates).pairs]

    @property
    def _candidates(self) -> PixelCache:
        """The images that validation comes from."""
        data = self.dataset
        return data.cache.only(data.usable & ~data.new) if self.validation is None else self.validation

    @cached_property
    def _orphans(self) -> list[np.ndarray]:
        """For each source, (n,) bool: the new images with no original among their ancestors."""
        known = self.dataset.names(np.flatnonzero(~self.dataset.new))
        return [source.new & source.usable & ~source.descend_from(known) for source in self._sources]

    @cached_property
    def _shown(self) -> list[list[tuple[int, int]]]:
        """For each source, pairs (its row, row of the images that validation comes from) that look the same, of new
        images with no original among their ancestors."""
        return [
            overlap(source.cache.only(orphan), self._candidates).pairs if orphan.any() else []
            for source, orphan in zip(self._sources, self._orphans, strict=True)
        ]
