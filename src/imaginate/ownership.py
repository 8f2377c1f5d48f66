"""THE way in which a command owns its output folder: one writer at a time, and a mark of what is begun.

    with own("OUT", "train"):       # `.lock` is the first file that is written; it says which command began
        ...                         # unfinished files are in `.partial` folders, which the next start removes
                                    # `.lock` is removed last: a folder without it is complete

The system releases the lock when the process dies, however it dies; `.lock` then stays, and the same command goes on.
On an object store, and where a file system has no locks, a lease takes its place: it is created by a conditional write,
the writer renews it every few seconds, and of those who find one that is not renewed, one takes it over. A run keeps
its `.lock`, empty.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, Protocol

from imaginate.errors import RunError
from imaginate.files import HOST, LOCK, PARTIAL, Folder, check_links, clean, content_hash, explained, is_alive
from imaginate.limits import parse_json

BEAT, LEASE = 5.0, 30.0  # seconds between two renewals of a lease, and until one that is not renewed has ended
_FAILING_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE}
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}

log = logging.getLogger("imaginate")


@dataclass(frozen=True)
class Owned:
    """A folder that this process owns. `is_resumed`: the same command was here before and did not finish."""

    store: Folder
    is_resumed: bool


@contextmanager
def own(
    root: str | os.PathLike[str] | Folder,
    command: str,
    *,
    what: Mapping[str, object] | None = None,
    is_run: bool = False,
    share: str = "",
) -> Iterator[Owned]:
    """Own a folder while a command writes into it. `what`: settings with which the command must be given again to go
    on. `is_run`: a run, whose own files say whether it is finished. `share`: where several processes fill a folder,
    the part of this one.

    Raises RunError where another process writes there now, or where another command was stopped there.
    """
    store = root if isinstance(root, Folder) else Folder(root)
    mark = json.dumps({"command": command, **(what or {})}, sort_keys=True)
    is_new = not store.exists("")
    held = _hold(store, mark, is_run, share)
    had = contents(store)
    try:
        if not share:
            store.clean()
            clean(store.root, deep=not is_run)
        if store.local and not is_run:
            check_links(store.root)
        yield Owned(store, held.is_resumed)
    except BaseException as error:
        is_begun = not is_run and (held.is_resumed or not had) and bool(contents(store))
        held.end(is_done=not is_begun)
        if is_new and store.local:
            with suppress(OSError):
                os.rmdir(store.root)  # nothing was written
        if isinstance(error, KeyboardInterrupt) and not str(error):
            raise KeyboardInterrupt(
                f"stopped; {store.root} keeps what is finished, and the same command goes on"
            ) from None
        if isinstance(error, OSError) and error.errno in _FAILING_DISK:
            with explained(store.root):
                raise
        raise
    held.end(is_done=True)


def contents(store: Folder) -> list[str]:
    """What is in a folder, apart from what owning it leaves there."""
    return [name for name in store.names() if name not in (PARTIAL, LOCK) and not name.startswith(f"{LOCK}-")]


def unfinished(root: str | os.PathLike[str] | Folder) -> str | None:
    """The command that was begun in a folder and is not finished; None where there is none."""
    store = root if isinstance(root, Folder) else Folder(root)
    command = _first(_text(store)).get("command")
    return None if command is None else str(command)


def is_begun(root: str | os.PathLike[str] | Folder, command: str) -> bool:
    """Whether what is in a folder was left by this command, or there is nothing that it could spoil."""
    store = root if isinstance(root, Folder) else Folder(root)
    return unfinished(store) == command or not contents(store)


def check_free(store: Folder) -> None:
    """RunError where another process writes into a folder just now; nothing is written."""
    if store.local and store.exists(LOCK):
        with explained(store.root):
            try:
                _locked(store, LOCK, is_shared=False).close()
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise


def busy(store: Folder, owner: Mapping[str, object]) -> str:
    """What to say to a second writer: who writes, since when, and what to do."""
    who = f" (process {owner.get('pid')} on {owner.get('host')}, since {owner.get('since')})" if owner else ""
    return f"{store.root} is being written by another process{who}; wait for it, end it, or use a new folder"


class _Held(Protocol):
    """A lock or a lease."""

    is_resumed: bool

    def end(self, *, is_done: bool) -> None:
        """Give it back; the mark of what is begun goes too, where that is done."""
        ...


def _hold(store: Folder, mark: str, is_run: bool, share: str) -> _Held:
    name = f"{LOCK}-{share.replace('/', '-of-')}" if share else LOCK
    if not store.local:
        return _Lease(store, mark, is_run, name)
    with explained(store.root):
        os.makedirs(store.root, exist_ok=True)
        try:
            return _Lock(store, mark, is_run, name)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
    return _Lease(store, mark, is_run, name)


class _Lock:
    """`.lock`, locked by the system. Several processes with a share of the work each hold it together, and each a lock
    of its share."""

    def __init__(self, store: Folder, mark: str, is_run: bool, name: str) -> None:
        self._store, self._is_run, self._name = store, is_run, name
        self._file = _locked(store, LOCK, is_shared=name != LOCK)
        self._part: IO[bytes] | None = None
        self._before = os.fstat(self._file.fileno())
        try:
            self.is_resumed = _check_mark(store, self._file.read(), mark, is_run)
            if name != LOCK:
                self._part = _locked(store, name, is_shared=False)
            if name == LOCK or not self.is_resumed:
                _sign(self._file, mark)
        except BaseException:
            self._file.close()
            raise

    def end(self, *, is_done: bool) -> None:
        """Nothing unfinished is left, and `.lock` goes last."""
        import fcntl

        with self._file, suppress(OSError):
            if self._part is not None:
                os.unlink(self._store.path(self._name))
                self._part.close()
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError where others have their shares still
            if not is_done:
                return
            clean(self._store.root)
            if self._is_run:
                self._file.truncate(0)
                if not self._before.st_size:  # a run that was finished already is as it was, to the time of its files
                    os.utime(self._file.fileno(), ns=(self._before.st_atime_ns, self._before.st_mtime_ns))
            else:
                os.unlink(self._store.path(LOCK))


def _locked(store: Folder, name: str, *, is_shared: bool) -> IO[bytes]:
    """A file, open and locked. RunError where another process has it, OSError where there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), store.root) from None

    path = store.path(name)
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+b")
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            if os.path.exists(path) and os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
            file.close()  # its owner removed it between the two lines: a new one is needed
        except BlockingIOError:
            with file:
                raise RunError(busy(store, _owner(file.read()))) from None
        except OSError:
            file.close()
            raise


def _check_mark(store: Folder, text: bytes, mark: str, is_run: bool) -> bool:
    """Whether the same command was stopped here. RunError where it was another one."""
    first, own_mark = _first(text), parse_json(mark)
    if not first or is_run or first == own_mark:
        return bool(first) and first == own_mark
    command = first.get("command")
    how = "with other settings " if command == own_mark["command"] else ""
    raise RunError(
        f"{store.root} holds an unfinished `imaginate {command}` {how}that was stopped; give that command again, or "
        "delete the folder"
    )


def _sign(file: IO[bytes], mark: str) -> None:
    """Write which command it is, and who runs it. The first line never changes while the folder is unfinished, so that
    a kill in the middle leaves it whole."""
    text = f"{mark}\n{json.dumps(_me())}\n".encode()
    os.pwrite(file.fileno(), text, 0)
    os.ftruncate(file.fileno(), len(text))


def _me() -> dict[str, object]:
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    return {"host": HOST, "pid": os.getpid(), "since": since}


def _text(store: Folder, name: str = LOCK) -> bytes:
    try:
        return store.get(name) if store.exists(name) else b""
    except (RunError, OSError):  # removed between the two, or not readable
        return b""


def _first(text: bytes) -> dict[str, Any]:
    """What was begun."""
    return _parsed(text.split(b"\n", 1)[0])


def _owner(text: bytes) -> dict[str, Any]:
    """Who writes."""
    return _parsed(text.split(b"\n", 1)[1]) if b"\n" in text else {}


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        found = parse_json(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class _Lease:
    """`.lock` with a number that grows while its owner lives."""

    def __init__(self, store: Folder, mark: str, is_run: bool, name: str) -> None:
        self._store, self._mark, self._name, self._count = store, mark, name, 0
        text = self._read()
        self.is_resumed = _check_mark(store, text, mark, is_run)
        self._wait_for_earlier(_owner(text))
        self._token, began = uuid.uuid4().hex, time.monotonic()
        self._claim(_owner(text))
        time.sleep(min(1.0, 5 * (time.monotonic() - began)))  # two that begin together: who wrote last has it
        owner = _owner(self._read())
        if owner.get("token") != self._token:
            raise RunError(busy(store, owner))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def end(self, *, is_done: bool) -> None:
        """Stop renewing; what is not done keeps its mark, without an owner."""
        self._ended.set()
        self._thread.join()
        with suppress(RunError, OSError):
            if is_done:
                clean(self._store.root)
                self._store.remove(self._name)
            else:
                self._store.put(self._name, f"{self._mark}\n".encode())

    def _claim(self, earlier: Mapping[str, Any]) -> None:
        """Take it. A store creates a name once, however many ask: the lock itself where there is none, and else a note
        that this very lock, of an `earlier` owner who is gone, is taken over. RunError where another process was
        quicker."""
        if self._store.create(self._name, self._signed()):
            return
        found = self._read()
        if _owner(found) not in ({}, earlier):
            raise RunError(busy(self._store, _owner(found)))
        note = f"{self._name}-after-{content_hash(found)}"
        if not self._store.create(note, self._signed()):
            self._wait_for_change(found, note)
        try:
            if (now := self._read()) != found:
                raise RunError(busy(self._store, _owner(now)))
            self._renew()
        finally:
            self._store.remove(note)

    def _wait_for_change(self, found: bytes, note: str) -> None:
        """Another process takes the same lock over: RunError as soon as it has it. Where it died in between, its note
        counts no more."""
        end = time.monotonic() + LEASE
        while time.monotonic() < end:
            time.sleep(min(1.0, LEASE / 10))
            if (now := self._read()) != found:
                raise RunError(busy(self._store, _owner(now)))
        self._store.remove(note)
        if not self._store.create(note, self._signed()):
            raise RunError(busy(self._store, _owner(_text(self._store, note))))

    def _signed(self) -> bytes:
        """The command, and who runs it."""
        self._count += 1
        return f"{self._mark}\n{json.dumps({**_me(), 'token': self._token, 'beat': self._count})}\n".encode()

    def _renew(self) -> None:
        Folder(self._store.root).put(self._name, self._signed())

    def _read(self) -> bytes:
        return _text(self._store, self._name)

    def _keep(self) -> None:
        while not self._ended.wait(BEAT):
            with suppress(RunError, OSError):
                if _owner(self._read()).get("token") not in (self._token, None):
                    log.warning(f"{self._store.root}: another process writes there too; end one of the two")
                    return
                self._renew()

    def _wait_for_earlier(self, owner: Mapping[str, Any]) -> None:
        """Return when no living process has the lease; RunError as soon as it is renewed."""
        if not owner:
            return
        pid = owner.get("pid")
        if owner.get("host") == HOST and isinstance(pid, int) and os.name == "posix":
            if not is_alive(pid):
                return
            raise RunError(busy(self._store, owner))
        end = time.monotonic() + LEASE
        while time.monotonic() < end:
            time.sleep(min(1.0, LEASE / 10))
            now = _owner(self._read())
            if not now:
                return
            if now != owner:
                raise RunError(busy(self._store, now))
