"""From which original images a run's new images come, so that children of validation images stay out of training.

Without this a validation image's own variations are trained on, validation accuracy rises, and the choice of the
checkpoint (and of the method, where a person looks at it) rests on a leak.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from imaginate.errors import DataError

_COLUMNS = ("file_name", "origin", "seed_image", "method", "copy")


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What a finished run says about itself and its images. `parents`: file name -> ids of all original images that
    went into it (its seed, a mixing partner, and their seeds where the run was made from a run)."""

    path: str
    method: str
    title: str
    parents: Mapping[str, frozenset[str]]
    copies: Mapping[str, int]
    starts_from: str = "sample"
    recipe: Mapping[str, Any] = field(default_factory=dict)


def read_run(path: str, originals: Collection[str]) -> RunFacts:
    """The facts of a run made from the dataset with these image ids; DataError if it was made from another."""
    recipe, (rows, *earlier) = _recipe(path), _chain(path)[0]
    known = frozenset(originals)
    up = _ancestors(earlier)
    new = [row for row in rows if row.get("origin") != "original"]
    parents = {row["file_name"]: _roots(_named(row), up, known) for row in new}
    _same_dataset(path, new, rows, known, up)
    method = str((recipe.get("method") or {}).get("name", "unknown"))
    return RunFacts(
        path=path,
        method=method,
        title=method,
        parents=parents,
        copies={row["file_name"]: int(row.get("copy") or 0) for row in new},
        starts_from="sample" if any(row.get("seed_image") for row in new) else "class",
        recipe=recipe,
    )


def family(path: str) -> dict[str, frozenset[str]]:
    """New image of a finished run -> the originals that the run itself holds (both as file names) among its ancestors;
    none for an image that has no seed, retrieved or prompted."""
    (rows, *earlier), first, source = _chain(path)
    if any(row.get("origin") != "original" and row.get("method", "") is None for row in [rows, *earlier][-1]):
        raise DataError(f"run {first} was made from the run {source}, which is not there: it says what came from what")
    up = _ancestors(earlier)
    own: dict[str, set[str]] = {}
    for row in rows:
        if row.get("origin") == "original":
            for name in _line(_named(row), up):
                own.setdefault(name, set()).add(row["file_name"])
    return {
        row["file_name"]: frozenset(held for name in _line(_named(row), up) for held in own.get(name, ()))
        for row in rows
        if row.get("origin") != "original"
    }


def _named(row: Mapping[str, Any]) -> set[str]:
    """Every text of a row that may be the id of an image: the seed, and what a method told of (a mixing partner)."""
    return {v for k, v in row.items() if isinstance(v, str) and (k == "seed_image" or k.startswith("info_"))}


def _roots(names: Iterable[str], up: Mapping[str, set[str]], known: frozenset[str]) -> frozenset[str]:
    """The original images among these names and their ancestors."""
    return _line(names, up) & known


def _line(names: Iterable[str], up: Mapping[str, set[str]]) -> frozenset[str]:
    """These names and the names of all their ancestors."""
    seen: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += up.get(name, ())
    return frozenset(seen)


def _ancestors(earlier: Iterable[list[dict[str, Any]]]) -> dict[str, set[str]]:
    """Image id -> the ids that it was made from, over the rows of the runs that a run was made from."""
    up: dict[str, set[str]] = {}
    for rows in earlier:
        for row in rows:
            up.setdefault(row["file_name"], set()).update(_named(row))
    return up


def _chain(path: str) -> tuple[list[list[dict[str, Any]]], str, str]:
    """The rows of a run and of the runs that it was made from, the latest first; the path of the earliest, and the
    dataset that the earliest was made from."""
    rows, seen = [_rows(path)], {os.path.abspath(path)}
    while True:
        source = str((_recipe(path).get("data") or {}).get("path", ""))
        if not _is_run(source) or os.path.abspath(source) in seen:
            return rows, path, source
        seen.add(os.path.abspath(source))
        rows.append(_rows(source))
        path = source


def _is_run(path: str) -> bool:
    return all(os.path.isfile(os.path.join(path, name)) for name in ("recipe.yaml", "metadata.parquet"))


def _same_dataset(
    path: str,
    new: list[dict[str, Any]],
    rows: list[dict[str, Any]],
    known: frozenset[str],
    up: Mapping[str, set[str]],
) -> None:
    """Refuse a run whose seeds are not among the originals: then nobody knows what its images were made from."""
    seeds = [str(row["seed_image"]) for row in new if row.get("seed_image")]
    seeds += [str(row["seed_image"]) for row in rows if row.get("origin") == "original" and row.get("seed_image")]
    strange = sorted({seed for seed in seeds if not _roots([seed], up, known)})
    if strange:
        raise DataError(
            f"run {path} was made from another dataset or split: {len(strange)} of its {len(set(seeds))} seed images "
            f"are not among the original training images, such as {strange[0]}"
        )


def _recipe(path: str) -> dict[str, Any]:
    import yaml

    try:
        with open(os.path.join(path, "recipe.yaml"), encoding="utf-8") as stream:
            return dict(yaml.safe_load(stream) or {})
    except FileNotFoundError:
        raise DataError(f"{path} is not a run: it has no recipe.yaml") from None
    except (OSError, yaml.YAMLError) as error:
        raise DataError(f"cannot read {path}/recipe.yaml: {str(error).splitlines()[0]}") from None


def _rows(path: str) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = os.path.join(path, "metadata.parquet")
    try:
        names = pq.read_schema(file).names
        wanted = [name for name in names if name in _COLUMNS or name.startswith("info_")]
        return list(pq.read_table(file, columns=wanted).to_pylist())
    except FileNotFoundError:
        raise DataError(f"{path} is a run that is not finished; run the same expand command again") from None
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {file}: {str(error).splitlines()[0]}") from None
