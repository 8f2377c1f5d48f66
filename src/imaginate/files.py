"""Files: THE atomic replace, THE content hash, THE seed derivation, and where a run keeps what.

Everything that writes a file goes through `Folder` (a run, a pool, an export: local or any fsspec url) or through
`replace_file` (one local file). A reader, and a process that was killed, never sees half a file.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import itertools
import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from imaginate.errors import ConfigError, RunError

# The files of a run.
RECIPE, RUN, LOCK = "recipe.yaml", "run.json", ".lock"
KEPT, REJECTED, SKIPPED = "metadata.parquet", "rejected.parquet", "skipped.csv"
METRICS = "metrics.json"
OLD_METRICS = "evaluation.json"  # of earlier versions; `datasets` reads such a name as a split
CARD, SHEET, SEEDS = "README.md", "contact-sheet.png", "shards/seeds.sha256"
EARLIER = "shards/earlier.parquet"  # while a run grows: the rows that it had

PARTIAL = ".partial"  # the folder of files that are being written, inside the folder that they are for
_EARLIER = re.compile(r".+\.\d+\.part|\.tmp\w{6}")  # what killed processes of earlier versions left
_COUNT = itertools.count()  # of temporary files, of the whole process: threads write at the same time
HOST = platform.node().replace("/", "_") or "localhost"
_MASK = os.umask(0)  # can only be read by setting it
os.umask(_MASK)


def content_hash(*chunks: bytes, size: int = 16) -> str:
    """`2 * size` hex digits of bytes: two equal files, arrays or texts have the same."""
    digest = hashlib.blake2b(digest_size=size)
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def file_hash(path: str | os.PathLike[str]) -> str:
    """The same of the bytes of a file, which are read in pieces. OSError where it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def short_hash(value: object) -> str:
    """Sixteen hex digits of any JSON-able value or dataclass, independent of key order."""
    plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    return content_hash(_bytes(plain), size=8)


def short_hash_of_rows(head: object, rows: Iterable[object]) -> str:
    """`short_hash([head, list(rows)])` of plain values, piece by piece: no list of all rows is ever there."""
    digest, rest, between = hashlib.blake2b(digest_size=8), iter(rows), b""
    digest.update(b"[" + _bytes(head) + b", [")
    while piece := list(itertools.islice(rest, 1024)):
        digest.update(between + _bytes(piece)[1:-1])
        between = b", "
    digest.update(b"]]")
    return digest.hexdigest()


_json = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=str).encode


def _bytes(value: object) -> bytes:
    """A value as JSON in UTF-8; names of files that are no UTF-8 are the bytes that they are on the disk."""
    return _json(value).encode(errors="surrogateescape")


def derive_seed(*parts: object) -> int:
    """A random seed in [0, 2**63) from what it is for: a single text as it stands, or any JSON-able parts."""
    single = len(parts) == 1 and isinstance(parts[0], str)
    text = str(parts[0]) if single else json.dumps(parts, ensure_ascii=False)
    return int(content_hash(text.encode(errors="surrogatepass"), size=8), 16) >> 1


def replace_file(path: str | os.PathLike[str], write: Callable[[Path], Any]) -> None:
    """`write(partial)` makes a file or a folder inside a `.partial` folder next to `path`; it then takes the place of
    `path`, whole or not at all.

    A folder takes the place of a folder. Raises what `write` raises, after the partial file is removed.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(target)
    with partial_folder(target.parent) as place:  # where libraries leave their own temporary files, too
        partial = place / target.name
        write(partial)
        if partial.is_file():
            partial.chmod(0o666 & ~_MASK)  # some libraries write files that their owner alone may read
        if partial.is_dir() and target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        os.replace(partial, target)


@contextmanager
def partial_folder(folder: Path) -> Iterator[Path]:
    """A new folder for unfinished files, below `.partial`; it and what is left in it go at the end."""
    place = folder / PARTIAL / f"{_writer()}-{next(_COUNT)}"
    for tries_left in reversed(range(100)):
        try:
            (folder / PARTIAL).mkdir(parents=True, exist_ok=True)
            place.mkdir()
            break
        except FileNotFoundError:  # another thread may remove `.partial` as long as it is empty
            if not tries_left:
                raise
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):
            place.parent.rmdir()


def is_partial(name: str) -> bool:
    """Whether a file name is that of unfinished files, which a killed process may leave."""
    return name == PARTIAL or (name.startswith(".") and name.endswith(PARTIAL))


def remove_stale(path: str | os.PathLike[str]) -> None:
    """Remove the unfinished versions of a file that killed processes of this machine left."""
    target = Path(path)
    for place in (target.parent / PARTIAL).glob("*/"):
        if _is_dead(place.name) and (place / target.name).exists():
            shutil.rmtree(place, ignore_errors=True)
            with suppress(OSError):
                place.parent.rmdir()
    for partial in target.parent.glob(f".{glob.escape(target.name)}.*{PARTIAL}"):  # of earlier versions
        if _is_dead(partial.name.removesuffix(PARTIAL).removeprefix(f".{target.name}.")):
            _remove(partial)


def _is_dead(writer: str) -> bool:
    """Whether `HOST-PID-NUMBER` was a process of this machine that has ended."""
    host, pid, _ = writer.rsplit("-", 2) if writer.count("-") >= 2 else ("", "", "")
    return host == HOST and pid.isdigit() and not is_alive(int(pid))


def clean(root: str | os.PathLike[str], *, deep: bool = False) -> None:
    """Remove all unfinished files of a folder; `deep`: of the folders below it too. Only for who owns the folder."""
    if "://" in os.fspath(root):
        return
    shutil.rmtree(Path(root) / PARTIAL, ignore_errors=True)
    if not deep:
        return
    for folder, inside, names in os.walk(root):
        for name in [n for n in inside if is_partial(n)]:
            inside.remove(name)
            shutil.rmtree(Path(folder) / name, ignore_errors=True)
        for name in names:
            if is_partial(name) or _EARLIER.fullmatch(name):
                Path(folder, name).unlink(missing_ok=True)


def remove_file(path: str | os.PathLike[str]) -> None:
    """Remove a file, if it is there, and its unfinished versions."""
    remove_stale(path)
    Path(path).unlink(missing_ok=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _writer() -> str:
    """Who writes: this machine and process."""
    return f"{HOST}-{os.getpid()}"


def is_alive(pid: int) -> bool:
    """Whether a process of this machine runs."""
    if os.name != "posix":  # elsewhere the question could end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it runs, and belongs to somebody else
        return True
    return True


def inside(root: str | os.PathLike[str], name: str) -> str:
    """The full path of a file that data (a table, a manifest) names below a folder: THE check of such names. RunError
    where the name leads out of the folder, or a link on the way does."""
    full = below(root, name)
    if "://" not in full and not is_below(full, root):
        raise RunError(f"{os.fspath(root)} is damaged: {name} is a link to {os.path.realpath(full)}, outside of it")
    return full


def below(root: str | os.PathLike[str], name: str) -> str:
    """The same by the name alone: links are followed."""
    place = os.fspath(root).rstrip("/") or "/"
    if ".." in name.replace("\\", "/").split("/") or name.startswith("/") or "://" in name:
        raise RunError(f"{place} is damaged: it names {name!r}, which is outside of it")
    if "\0" in name:
        raise RunError(f"{place} is damaged: {name!r} is not a file name")
    return f"{place}/{name}"


def is_below(path: str | os.PathLike[str], root: str | os.PathLike[str]) -> bool:
    """Whether a path is in a folder, or the folder itself, once all links are followed."""
    top = os.path.realpath(root)
    return os.path.commonpath((top, os.path.realpath(path))) == top


def check_links(root: str | os.PathLike[str]) -> None:
    """RunError where a link below a folder leads out of it: what is written or read there would be elsewhere."""
    for folder, inner, names in os.walk(root):
        for name in (*inner, *names):
            path = os.path.join(folder, name)
            if os.path.islink(path) and not is_below(path, root):
                real = os.path.realpath(path)
                raise RunError(f"refusing to use {os.fspath(root)}: {path} is a link to {real}, outside of it")


def json_bytes(value: Any) -> bytes:
    """Readable JSON."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode(errors="surrogateescape")


class Folder:
    """Atomic reads and writes under one root: a local path or any fsspec url. Nothing outside it is touched. Picklable,
    so that workers can share it."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.fspath(root).rstrip("/") or "/"
        self.local = "://" not in self.root
        self._made: set[str] = set()
        self._inside: set[str] = set()
        self._seeds: set[str] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Folder, (self.root,)

    def path(self, name: str) -> str:
        """The full path or url of a file of this folder. Raises RunError for a name that leaves it."""
        return below(self.root, name)

    def readable(self, name: str) -> str:
        """The path or url of a file to read. Raises RunError where a link leads out of the folder, unless it is that of
        a run to one of its seed images, by the hash that the run keeps of it."""
        path = self.path(name)
        if not self.local or self._is_inside(path) or self._is_seed(path):
            return path
        raise RunError(f"{self.root} is damaged: {name} is a link to {os.path.realpath(path)}, outside of it")

    def _is_inside(self, path: str) -> bool:
        """Whether no link on the way leads out. A file that is no link is where its folder is, which is asked once."""
        if os.path.islink(path):
            return is_below(path, self.root)
        folder = os.path.dirname(path)
        if folder not in self._inside:
            if not is_below(folder, self.root):
                return False
            self._inside.add(folder)
        return True

    def _is_seed(self, path: str) -> bool:
        if not os.path.islink(path) or not is_below(os.path.dirname(path), self.root):
            return False
        if self._seeds is None:
            text = self.get(SEEDS) if self.exists(SEEDS) else b""
            self._seeds = {line.split(b"  ", 1)[0].decode(errors="replace") for line in text.splitlines()}
        try:
            return hashlib.sha256(Path(path).read_bytes()).hexdigest() in self._seeds
        except OSError:  # it is gone, which whoever reads it says
            return not os.path.exists(path)

    def put(self, name: str, data: bytes) -> None:
        """Write a whole file, atomically. Raises RunError when the disk is full or read-only."""
        with explained(self.root):
            if not self.local:
                self._remote().pipe_file(self.path(name), data)
                return
            target = self.path(name)
            self._make(os.path.dirname(target))
            partial = self._partial()
            with open(partial, "wb") as file:
                file.write(data)
            os.replace(partial, target)

    def create(self, name: str, data: bytes) -> bool:
        """Write a whole file unless there is one; False where there is. Of many that try at once, one succeeds (on an
        object store: where it has conditional writes)."""
        with explained(self.root):
            try:
                if not self.local:
                    self._remote().pipe_file(self.path(name), data, mode="create")
                else:
                    self._create_local(self.path(name), data)
            except FileExistsError:
                return False
        return True

    def _create_local(self, path: str, data: bytes) -> None:
        """FileExistsError where there is one."""
        self._make(os.path.dirname(path))
        partial = self._partial()
        Path(partial).write_bytes(data)
        try:
            os.link(partial, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            with open(path, "xb") as file:
                file.write(data)
        finally:
            Path(partial).unlink(missing_ok=True)

    def link(self, name: str, target: str) -> None:
        """A symbolic link to an absolute path (local folders only)."""
        with explained(self.root):
            place = self.path(name)
            self._make(os.path.dirname(place))
            partial = self._partial()
            os.symlink(os.path.abspath(target), partial)
            os.replace(partial, place)

    def move(self, name: str, to: str) -> None:
        """Move a file inside the folder; the target must not exist."""
        if self.exists(to):
            raise RunError(f"refusing to move {name} onto {to}: it exists already in {self.root}")
        with explained(self.root):
            if self.local:
                self._make(os.path.dirname(self.path(name)))
                self._make(os.path.dirname(self.path(to)))
                os.rename(self.path(name), self.path(to))
            else:
                self._remote().cp_file(self.path(name), self.path(to))  # mv takes a name with brackets for a pattern
                self._remote().rm_file(self.path(name))

    def remove(self, name: str) -> None:
        """Remove a file of this folder, if it is there."""
        with explained(self.root):
            if self.local:
                path = Path(self.path(name))
                inside(self.root, os.path.dirname(name))  # a link itself may go, what it leads to may not
                path.unlink(missing_ok=True)
            elif self.exists(name):
                self._remote().rm_file(self.path(name))

    def get(self, name: str) -> bytes:
        """The bytes of a file. Raises RunError where there is none."""
        try:
            if self.local:
                with open(self.readable(name), "rb") as file:
                    return file.read()
            return self._remote().cat_file(self.path(name))  # type: ignore[no-any-return]
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise RunError(f"{self.root} has no {name or 'file without a name'}: no run folder, or damaged") from None

    def exists(self, name: str) -> bool:
        """Whether there is such a file or folder."""
        return os.path.lexists(self.path(name)) if self.local else bool(self._remote().exists(self.path(name)))

    def names(self, folder: str = "") -> list[str]:
        """Names directly inside a folder, sorted; empty where there is none. Unfinished files are not listed."""
        return sorted(self.each_name(folder))

    def each_name(self, folder: str = "") -> Iterator[str]:
        """The same one at a time, in no order."""
        place = self.path(folder) if folder else self.root
        if self.local:
            if os.path.isdir(place) and is_below(place, self.root):
                with os.scandir(place) as entries:
                    yield from (entry.name for entry in entries if entry.name != PARTIAL)
        elif self._remote().exists(place):
            listed = self._remote().ls(place, detail=False, refresh=True)
            yield from (str(path).rstrip("/").rsplit("/", 1)[-1] for path in listed)

    def open(self, name: str) -> Any:
        """A file opened for reading (binary)."""
        return open(self.readable(name), "rb") if self.local else self._remote().open(self.path(name), "rb")

    @contextmanager
    def writing(self, name: str) -> Iterator[Any]:
        """A file opened for writing that appears under its name only when all of it has been written."""
        with explained(self.root):
            if not self.local:
                with self._remote().open(self.path(name), "wb") as file:
                    yield file
                return
            self._make(os.path.dirname(self.path(name)))
            partial = self._partial()
            with open(partial, "wb") as file:
                yield file
            os.replace(partial, self.path(name))

    def clean(self) -> None:
        """Remove the unfinished files of this and of killed processes. Call it only while holding the lock."""
        if self.local:
            shutil.rmtree(self.path(PARTIAL), ignore_errors=True)
            self._made.discard(self.path(PARTIAL))

    def _partial(self) -> str:
        folder = self.path(PARTIAL)
        self._make(folder)
        return f"{folder}/{_writer()}-{next(_COUNT)}"

    def _make(self, path: str) -> None:
        """Make a folder of this one; RunError where a link would lead the files out of it."""
        if path not in self._made:
            if not is_below(path, self.root):
                real = os.path.realpath(path)
                raise RunError(f"refusing to write {path}: it is a link to {real}, outside of {self.root}")
            os.makedirs(path, exist_ok=True)
            self._made.add(path)

    def _remote(self) -> Any:
        import fsspec

        try:
            return fsspec.core.url_to_fs(self.root)[0]
        except (ImportError, ValueError) as error:  # a package that is not installed, or a protocol that is none
            raise RunError(f"cannot open {self.root}: {first_line(error)}") from None


_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
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
def explained(place: str | os.PathLike[str]) -> Iterator[None]:
    """Turns the operating system's errors into one RunError line that says what to do."""
    try:
        yield
    except OSError as error:
        words = error.strerror or first_line(error)
        advice = _ADVICE.get(error.errno or 0, f"{words}; choose another place")
        raise RunError(f"cannot write {os.fspath(place)}: {advice}") from None


def lines_of(file: Path) -> tuple[str, ...]:
    """The lines of a text file, stripped, without blank ones and remarks, which begin with `#`. ConfigError for a file
    that is no UTF-8."""
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is no UTF-8 (byte {error.start}): save it as UTF-8") from None
    return tuple(line for line in lines if line and not line.startswith("#"))


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type's name where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
