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
    recipe, rows = _recipe(path), _rows(path)
    known = frozenset(originals)
    up = _ancestors(path, recipe)
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


def _named(row: Mapping[str, Any]) -> set[str]:
    """Every text of a row that may be the id of an image: the seed, and what a method told of (a mixing partner)."""
    return {v for k, v in row.items() if isinstance(v, str) and (k == "seed_image" or k.startswith("info_"))}


def _roots(names: Iterable[str], up: Mapping[str, set[str]], known: frozenset[str]) -> frozenset[str]:
    """The original images among the ancestors of these names."""
    found: set[str] = set()
    todo, seen = list(names), set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in known:
            found.add(name)
        todo += up.get(name, ())
    return frozenset(found)


def _ancestors(path: str, recipe: Mapping[str, Any]) -> dict[str, set[str]]:
    """Image id -> the ids that it was made from, over the runs that this run was made from."""
    up: dict[str, set[str]] = {}
    seen = {os.path.abspath(path)}
    source = str((recipe.get("data") or {}).get("path", ""))
    while source and os.path.isfile(os.path.join(source, "metadata.parquet")) and os.path.abspath(source) not in seen:
        seen.add(os.path.abspath(source))
        for row in _rows(source):
            up.setdefault(row["file_name"], set()).update(_named(row))
        source = str((_recipe(source).get("data") or {}).get("path", ""))
    return up


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
        wanted = [n for n in names if n in ("file_name", "origin", "seed_image", "copy") or n.startswith("info_")]
        return list(pq.read_table(file, columns=wanted).to_pylist())
    except FileNotFoundError:
        raise DataError(f"{path} is a run that is not finished; run the same expand command again") from None
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {file}: {str(error).splitlines()[0]}") from None
