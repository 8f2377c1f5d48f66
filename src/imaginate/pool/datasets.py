"""Any dataset that `imaginate` reads, as one unit of a build; the class's name is the caption."""

from __future__ import annotations

import os
from collections.abc import Iterator

from imaginate.pool import refs
from imaginate.pool.fields import facts
from imaginate.pool.units import Item, Unit, base_name, file_stamp, folder_stamp


def unit_of(path: str, split: str | None) -> Unit:
    """The images of a dataset (of one split, where it has some)."""
    stamp = file_stamp(path) if os.path.isfile(path) else folder_stamp(list(os.scandir(path)))

    def items() -> Iterator[Item]:
        from imaginate.data import open_dataset

        dataset = open_dataset(path, split=split)
        base = base_name(path)
        for sample in dataset.samples:
            known = facts({**sample.meta, "caption": dataset.labels[sample.label].title})
            yield Item(name=f"{base}/{sample.id}", source=sample.source, ref=refs.encoded(sample.source), facts=known)
        for skipped in dataset.skipped:
            yield Item(name=f"{base}/{skipped.id}", bad=skipped.reason)

    return Unit(f"{base_name(path)}" + (f" ({split})" if split else ""), stamp, items)
