"""Any dataset that `imaginate` reads, as one unit of a build; a class's name is the caption, where a table has none."""

from __future__ import annotations

import os
from collections.abc import Iterator

from imaginate.pool import captions, refs
from imaginate.pool.fields import facts
from imaginate.pool.units import Item, Unit, base_name, file_stamp, folder_stamp


def unit_of(path: str, split: str | None) -> Unit:
    """The images of a dataset (of one split, where it has some)."""
    stamp = file_stamp(path) if os.path.isfile(path) else folder_stamp(list(os.scandir(path)))

    def items() -> Iterator[Item]:
        from imaginate.data import open_dataset

        base, said = base_name(path), captions.said_by(path)
        titles: dict[int, str]
        if captions.is_unlabelled(path):
            samples, skipped = captions.unlabelled(path, split)
            titles = {}
        else:
            dataset = open_dataset(path, split=split)
            samples, skipped = list(dataset.samples), list(dataset.skipped)
            titles = dict(enumerate(dataset.labels.titles))
        for sample in samples:
            row = {name: value for name, value in said.get(sample.id, {}).items() if value not in (None, "")}
            known = facts({"caption": titles.get(sample.label), **sample.meta, **row})
            yield Item(name=f"{base}/{sample.id}", source=sample.source, ref=refs.encoded(sample.source), facts=known)
        for one in skipped:
            yield Item(name=f"{base}/{one.id}", bad=one.reason)

    return Unit(f"{base_name(path)}" + (f" ({split})" if split else ""), stamp, items)
