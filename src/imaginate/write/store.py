"""An output folder: a local path or any fsspec url. Every put is atomic, nothing outside it is touched.

Local files are written beside the run (`.partial/`) and renamed into place, so that a reader, or a run that was
killed, never sees half a file. Object stores put whole objects by themselves.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imaginate.errors import RunError

_PARTIAL = ".partial"
_COUNT = itertools.count()  # of temporary files, of the whole process: threads have stores of their own


class Store:
    """Atomic reads and writes under one root. Picklable, so that workers can share it."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.fspath(root).rstrip("/") or "/"
        self.local = "://" not in self.root
        self._folders: set[str] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self.root,)

    def path(self, name: str) -> str:
        """The full path or url of a file of this folder. Raises RunError for a name that leaves it."""
        parts = name.split("/")
        if ".." in parts or name.startswith("/"):
            raise RunError(f"refusing to write {name!r}: it would leave {self.root}")
        return f"{self.root}/{name}"

    def put(self, name: str, data: bytes) -> None:
        """Write a whole file, atomically. Raises RunError when the disk is full or read-only."""
        with explained(self.root):
            if not self.local:
                self._fs().pipe_file(self.path(name), data)
                return
            target = self.path(name)
            self._folder(os.path.dirname(target))
            partial = self._partial()
            with open(partial, "wb") as file:
                file.write(data)
            os.replace(partial, target)

    def link(self, name: str, target: str) -> None:
        """A symbolic link to an absolute path (local folders only)."""
        with explained(self.root):
            place = self.path(name)
            self._folder(os.path.dirname(place))
            partial = self._partial()
            os.symlink(os.path.abspath(target), partial)
            os.replace(partial, place)

    def move(self, name: str, to: str) -> None:
        """Move a file inside the folder; the target must not exist."""
        if self.exists(to):
            raise RunError(f"refusing to move {name} onto {to}: it exists already in {self.root}")
        with explained(self.root):
            if self.local:
                self._folder(os.path.dirname(self.path(to)))
                os.rename(self.path(name), self.path(to))
            else:
                self._fs().mv(self.path(name), self.path(to))

    def get(self, name: str) -> bytes:
        """The bytes of a file. Raises RunError where there is none."""
        try:
            if self.local:
                return Path(self.path(name)).read_bytes()
            return self._fs().cat_file(self.path(name))  # type: ignore[no-any-return]
        except FileNotFoundError:
            raise RunError(f"{self.root} has no {name}: not a run folder, or a damaged one") from None

    def exists(self, name: str) -> bool:
        """Whether there is such a file or folder."""
        return os.path.lexists(self.path(name)) if self.local else bool(self._fs().exists(self.path(name)))

    def names(self, folder: str = "") -> list[str]:
        """Names directly inside a folder, sorted; empty where there is none. Own temporary files are not listed."""
        place = self.path(folder) if folder else self.root
        if self.local:
            return sorted(n for n in os.listdir(place) if n != _PARTIAL) if os.path.isdir(place) else []
        if not self._fs().exists(place):
            return []
        return sorted(str(p).rstrip("/").rsplit("/", 1)[-1] for p in self._fs().ls(place, detail=False, refresh=True))

    def open(self, name: str) -> Any:
        """A file opened for reading (binary)."""
        return open(self.path(name), "rb") if self.local else self._fs().open(self.path(name), "rb")

    @contextmanager
    def writing(self, name: str) -> Iterator[Any]:
        """A file opened for writing that appears under its name only when all of it has been written."""
        with explained(self.root):
            if not self.local:
                with self._fs().open(self.path(name), "wb") as file:
                    yield file
                return
            self._folder(os.path.dirname(self.path(name)))
            partial = self._partial()
            with open(partial, "wb") as file:
                yield file
            os.replace(partial, self.path(name))

    def clean(self) -> None:
        """Remove the temporary files of this and of killed processes; call only while holding the lock."""
        if self.local:
            shutil.rmtree(self.path(_PARTIAL), ignore_errors=True)
            self._folders.discard(self.path(_PARTIAL))

    def _partial(self) -> str:
        folder = self.path(_PARTIAL)
        self._folder(folder)
        return f"{folder}/{os.uname().nodename}-{os.getpid()}-{next(_COUNT)}"

    def _folder(self, path: str) -> None:
        if path not in self._folders:
            os.makedirs(path, exist_ok=True)
            self._folders.add(path)

    def _fs(self) -> Any:
        import fsspec

        try:
            return fsspec.core.url_to_fs(self.root)[0]
        except (ImportError, ValueError) as error:  # a package that is not installed, or a protocol that is none
            raise RunError(f"cannot open {self.root}: {_first_line(error)}") from None


_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space and give the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and give the same command again",
    errno.EFBIG: "a file grew over the allowed size; raise the limit and give the same command again",
    errno.EROFS: "it is on a read-only file system; choose another place",
    errno.EACCES: "no permission to write there; choose another place",
    errno.EPERM: "no permission to write there; choose another place",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another place",
    errno.EEXIST: "a part of the path is a file, not a folder; choose another place",
    errno.EISDIR: "it is a folder, not a file; choose another place",
}


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turns the operating system's errors into one line that says what to do."""
    try:
        yield
    except OSError as error:
        words = error.strerror or _first_line(error)
        advice = _ADVICE.get(error.errno or 0, f"{words}; choose another place")
        raise RunError(f"cannot write {place}: {advice}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
