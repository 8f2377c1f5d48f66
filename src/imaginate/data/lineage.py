"""Who descends from whom: the images that went into the new images of a run, over mixing partners and runs of runs.

Without this a validation image's own variations are trained on, validation accuracy rises, and the choice of the
checkpoint (and of the method, where a person chooses by it) is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from imaginate.data import Dataset
from imaginate.errors import DataError
from imaginate.runs import Row, RunFolder

_COLUMNS = ("file_name", "origin", "seed_image", "method", "copy")

Names = frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """The images of a run by file name; empty for a dataset that is no run.

    `copied_from`: the names of the same picture in the runs, and in the dataset, that it was copied from.
    `ancestors`: of each new image, the names of all images that went into it: its seed, a mixing partner, and theirs.
    `seeds`: every seed image that the run names, with the image of the dataset that it comes from; None where an
    earlier run retrieved it, or made it from a prompt.
    `files`: the new images of the runs that the run was made from, with where each of them is.
    """

    copied_from: Mapping[str, Names] = field(default_factory=dict)
    ancestors: Mapping[str, Names] = field(default_factory=dict)
    seeds: Mapping[str, str | None] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def names_of(self, image: str) -> Names:
        """All names of one picture."""
        return self.copied_from.get(image, frozenset()) | {image}

    def ancestors_of(self, image: str) -> Names:
        """The names of all images that went into one."""
        return self.ancestors.get(image, frozenset())


def lineage_of(dataset: Dataset) -> Lineage:
    """The lineage of a dataset's images, where it is a run."""
    return read_lineage(RunFolder(dataset.spec.path)) if dataset.format == "run" else Lineage()


def read_lineage(run: RunFolder) -> Lineage:
    """The lineage of a run's images. DataError where a run that it was made from is gone: only that one knows what came
    from what."""
    chain = run.chain()
    rows, *earlier = [_rows(one) for one in chain]
    _check_chain(chain[-1], [rows, *earlier][-1])
    made_from = _made_from(earlier)
    copies = {row["file_name"]: row["seed_image"] for part in earlier for row in part if _is_copy(row)}
    seeds = {row["file_name"]: row.get("seed_image") for part in earlier for row in part}
    return Lineage(
        copied_from={row["file_name"]: _same_picture(row["seed_image"], copies) for row in rows if _is_copy(row)},
        ancestors={row["file_name"]: _line(_named(row), made_from) for row in rows if row.get("origin") != "original"},
        files={
            row["file_name"]: one.store.path(row["file_name"])
            for one, part in zip(chain[1:], earlier, strict=True)
            for row in part
            if row.get("origin") != "original"
        },
        seeds={row["seed_image"]: _first(row["seed_image"], seeds) for row in rows if row.get("seed_image")},
    )


def parents_among(originals: Iterable[str], theirs: Lineage, lineage: Lineage) -> dict[str, Names]:
    """New image -> the ids of those originals that went into it; none for one that was retrieved or prompted."""
    owners: dict[str, set[str]] = {}
    for original in originals:
        for name in theirs.names_of(original):
            owners.setdefault(name, set()).add(original)
    return {
        image: frozenset(owner for name in names if name in owners for owner in owners[name])
        for image, names in lineage.ancestors.items()
    }


def check_made_from(path: str, lineage: Lineage, originals: Iterable[str], theirs: Lineage) -> None:
    """DataError for a run whose seeds are not among the originals: then nobody knows what its images were made from."""
    known = {name for original in originals for name in theirs.names_of(original)}
    strange = sorted(seed for seed, first in lineage.seeds.items() if first is not None and first not in known)
    if strange:
        raise DataError(
            f"run {path} was made from another dataset or split: {len(strange)} of its {len(lineage.seeds)} seed "
            f"images are not among the original training images, such as {strange[0]}"
        )


def _check_chain(first: RunFolder, rows: Collection[Row]) -> None:
    """The first run of a chain copied new images: so the run that it was made from should be in the chain."""
    if any(row.get("origin") != "original" and _is_copy(row) for row in rows):
        raise DataError(
            f"run {first.root} was made from the run {first.source}, which is not there: only that one knows what came "
            "from what"
        )


def _rows(run: RunFolder) -> list[Row]:
    return run.rows(columns=lambda name: name in _COLUMNS or name.startswith("info_"))


def _is_copy(row: Row) -> bool:
    """Whether an image was copied from the source and not made."""
    return row.get("method", "") is None and bool(row.get("seed_image"))


def _named(row: Row) -> set[str]:
    """Every text of a row that may be the id of an image: the seed, and what a method says of it (a mixing partner)."""
    return {v for k, v in row.items() if isinstance(v, str) and (k == "seed_image" or k.startswith("info_"))}


def _made_from(earlier: Iterable[Iterable[Row]]) -> dict[str, set[str]]:
    """Image id -> the ids that it was made from, over the rows of the runs that a run was made from."""
    found: dict[str, set[str]] = {}
    for rows in earlier:
        for row in rows:
            found.setdefault(row["file_name"], set()).update(_named(row))
    return found


def _same_picture(name: str, copies: Mapping[str, str]) -> Names:
    """A name, the name that it was copied from, and so on."""
    names = {name}
    while (name := copies.get(name, "")) and name not in names:
        names.add(name)
    return frozenset(names)


def _first(name: str, seeds: Mapping[str, str | None]) -> str | None:
    """The image of the dataset at the beginning of a chain of seeds; None where the chain begins without one."""
    seen: set[str] = set()
    while name in seeds and name not in seen:
        seen.add(name)
        seed = seeds[name]
        if seed is None:
            return None
        name = seed
    return name


def _line(names: Iterable[str], made_from: Mapping[str, set[str]]) -> Names:
    """These names and the names of all their ancestors."""
    seen: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += made_from.get(name, ())
    return frozenset(seen)
