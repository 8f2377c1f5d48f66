"""Any dataset that `imaginate` reads, as one unit of a build; a class's name is the caption, where a table has none."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from imaginate.pool import refs
from imaginate.pool.captions import captions_of
from imaginate.pool.fields import facts
from imaginate.pool.units import Item, Unit, base_name, file_stamp, folder_stamp
from imaginate.records import Sample, Skipped


def unit_of(path: str, split: str | None) -> Unit:
    """The images of a dataset (of one split, where it has some)."""
    stamp = file_stamp(path) if os.path.isfile(path) else folder_stamp(list(os.scandir(path)))

    def items() -> Iterator[Item]:
        from imaginate.data import open_dataset

        base, table = base_name(path), captions_of(path)
        samples: Sequence[Sample]
        skipped: Sequence[Skipped]
        titles: Sequence[str | None] = (None,)
        if table.has_classes:
            dataset = open_dataset(path, split=split)
            samples, skipped, titles = dataset.samples, dataset.skipped, dataset.labels.titles
        else:
            samples, skipped = table.images(split)
        said = table.by_id()
        for sample in samples:
            known = facts({"caption": titles[sample.label], **sample.meta, **said.get(sample.id, {})})
            yield Item(name=f"{base}/{sample.id}", source=sample.source, ref=refs.encoded(sample.source), facts=known)
        for one in skipped:
            yield Item(name=f"{base}/{one.id}", bad=one.reason)

    return Unit(f"{base_name(path)}" + (f" ({split})" if split else ""), stamp, items)
