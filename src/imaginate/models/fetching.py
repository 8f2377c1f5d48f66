"""What a download shows: how much of a checkpoint has come, of how much, and how fast.

The libraries that load a checkpoint fetch its files themselves, one after the other, and each draws bars of its own or
none. All of them write into the hub's cache, so that is where it is seen.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from imaginate.models import hub
from imaginate.progress import Bar, bar

EVERY = 0.2  # seconds between two looks at the cache
LEAST = 1e6  # bytes of a download that is shown
MEGA = 1e6


@contextmanager
def fetching(spec: str) -> Iterator[None]:
    """While it lasts, what comes into the hub's cache for `spec` is shown in a bar, in megabytes."""
    if hub.is_local(spec) or "/" not in spec:
        yield
        return
    ended = threading.Event()
    name = "/".join(hub.split_revision(spec)[0].split("/")[:2])  # of a file too: ORG/NAME/FILE
    watcher = threading.Thread(target=_watch, args=(name, ended), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _watch(name: str, ended: threading.Event) -> None:
    """Show what comes until the end: a file counts in the total once it has begun."""
    before = hub.cached_bytes(name)
    sizes: dict[str, int] | None = None
    shown: Bar | None = None
    counted, is_last = 0.0, False
    with ExitStack() as stack:
        while not is_last:
            is_last = ended.wait(EVERY)
            fresh = {file: size for file, size in hub.cached_bytes(name).items() if size > before.get(file, 0)}
            if fresh and sizes is None:
                sizes = hub.blob_sizes(name)
            done = sum(size - before.get(file, 0) for file, size in fresh.items())
            whole = sum(max(size, (sizes or {}).get(file, 0)) - before.get(file, 0) for file, size in fresh.items())
            if shown is None and whole >= LEAST and not is_last:
                shown = stack.enter_context(bar(f"fetching {name}", whole / MEGA, unit="MB"))
            if shown is not None:
                shown.expect(whole / MEGA)
                shown.advance(max(0.0, done / MEGA - counted))
                counted = max(counted, done / MEGA)
