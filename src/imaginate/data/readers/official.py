"""Published data sets exactly as they are distributed: in the folder, or in the archives as downloaded."""

from __future__ import annotations

import pickle
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from typing import ClassVar

from imaginate import registry
from imaginate.data import splits
from imaginate.data.official.core.places import trees
from imaginate.data.official.core.published import NOT_LISTED, Layout, Published
from imaginate.data.official.core.tree import Tree, pictures
from imaginate.errors import DataError, MisreadError
from imaginate.records import LabelSpace, Listing, Part, Place, Sample, Skipped

_BROKEN = (
    ValueError, KeyError, IndexError, TypeError, AttributeError, OSError, EOFError, ImportError, struct.error,
    zlib.error, tarfile.TarError, zipfile.BadZipFile, pickle.UnpicklingError, ArithmeticError, NotImplementedError,
)  # what readers of foreign files raise on damaged ones  # fmt: skip


class Official:
    """Reads the labels and splits that a publisher gives in files of its own, by the layout that recognises them."""

    layout: ClassVar[str] = "a published data set as it is distributed"
    priority: ClassVar[int] = 15

    def recognises(self, place: Place) -> bool:
        """Whether a layout knows the files there."""
        return _found(place) is not None

    def read(self, place: Place, part: Part) -> Listing:
        """Every image that the publisher lists, and what is left out of it."""
        found = _found(place)
        if found is None:
            raise DataError(f"{place.path} is no published layout")
        layout, tree = found
        try:
            published = layout.read(tree, part)
        except MisreadError as problem:
            raise MisreadError(f"{place.path} is laid out as {layout.title}: {problem}") from None
        except DataError as problem:
            raise DataError(f"{place.path} is laid out as {layout.title}: {problem}") from None
        except _BROKEN as problem:
            line = str(problem).split("\n")[0] or type(problem).__name__
            raise MisreadError(f"{place.path} is laid out as {layout.title}, with a damaged file: {line}") from None
        return _listing(layout, tree, published)


def layouts() -> list[Layout]:
    """One of each registered layout."""
    return [registry.find("layouts", name)() for name in registry.names("layouts")]


def _found(place: Place) -> tuple[Layout, Tree] | None:
    if place.is_remote or place.kind == "missing":
        return None
    known = layouts()
    for tree in trees(place, frozenset(name for layout in known for name in layout.archives)):
        for layout in known:
            if layout.recognises(tree):
                return layout, tree
    return None


def _listing(layout: Layout, tree: Tree, published: Published) -> Listing:
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for row in published.rows:
        name = tree.id(row.name)
        if row.label is None:
            skipped.append(Skipped(name, "no label", row.split))
        elif row.source is None and not tree.has(row.name):
            skipped.append(Skipped(name, "missing file", row.split))
        else:
            source = row.source or tree.source(row.name)
            samples.append(Sample(id=name, label=row.label, source=source, split=row.split))
    known = {row.name for row in published.rows}
    others = [name for folder in published.listed for name in pictures(tree, folder) if name not in known]
    skipped += [Skipped(tree.id(name), NOT_LISTED) for name in others]
    if not samples:
        raise MisreadError(f"{tree.path} is laid out as {layout.title}, and none of its images is there")
    return Listing(
        format=f"{layout.title}, as published",
        labels=LabelSpace(tuple(published.classes)),
        samples=samples,
        skipped=skipped,
        splits=splits.ordered(published.splits or (row.split for row in published.rows if row.split)),
        notes=(_said(layout, published, skipped),),
        follows=("label_column",) if published.by_column else (),
    )


def _said(layout: Layout, published: Published, skipped: list[Skipped]) -> str:
    reasons = Counter(item.reason for item in skipped)
    counted = [
        f"{count} images {reason}" if reason == NOT_LISTED else f"{count} {reason}" for reason, count in reasons.items()
    ]
    left = ", ".join([*published.left_out, *counted])
    by = f", labels and splits by {published.by}" if published.by else ""
    return (
        f"read as {layout.title}, in the publisher's layout{by}"
        + (f"; left out: {left}" if left else "")
        + "; --layout folders reads the folders alone"
    )
