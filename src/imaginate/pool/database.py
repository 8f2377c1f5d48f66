"""Where the tables of a pool are: connecting, creating one whole or not at all, errors as one line."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imaginate.errors import RunError
from imaginate.files import partial_folder


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Errors of the storage as one line that names the pool."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())[:160]
        raise RunError(f"pool {path} cannot be read (damaged, or not reachable): {text}") from None


def new_table(path: str, name: str, **content: Any) -> bool:
    """Create a table, whole or not at all; False where there is one. LanceDB takes a folder without a version, which a
    process that was killed leaves, for a table that cannot be read."""
    if is_remote(path):
        if name in connect(path).list_tables().tables:
            return False
        connect(path).create_table(name, **content)
        return True
    target = Path(path) / f"{name}.lance"
    if any(target.glob("_versions/*.manifest")):
        return False
    if target.is_dir():
        shutil.rmtree(target)
    with partial_folder(Path(path)) as place:
        connect(str(place)).create_table(name, **content)
        try:
            os.rename(place / target.name, target)
        except OSError as error:
            if error.errno not in (
                errno.ENOTEMPTY,
                errno.EEXIST,
            ):  # where another process that shares the work was first
                raise
            return False
    return True


def connect(path: str) -> Any:
    """The LanceDB database in a folder or at an address."""
    import lancedb

    return lancedb.connect(path)


def is_remote(path: str) -> bool:
    """Whether a pool is on an object store."""
    return "://" in path


def quoted(ids: Sequence[str]) -> str:
    """As the members of an SQL list."""
    return ", ".join("'" + i.replace("'", "''") + "'" for i in ids)
