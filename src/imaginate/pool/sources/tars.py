"""WebDataset tars, read as a stream: members that share a key are one item (`000.jpg`, `000.txt`, `000.json`)."""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from typing import IO, Any, ClassVar

from imaginate.data import layout
from imaginate.data.decoding import has_image_suffix
from imaginate.data.redirects import redirects
from imaginate.data.tar_headers import DAMAGE, Header
from imaginate.errors import DataError
from imaginate.limits import parse_json
from imaginate.pool.fields import as_taken, facts
from imaginate.pool.units import Held, Item, Unit, file_stamp
from imaginate.records import Place

MAX_MEMBER = 256 * 2**20
_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_DAMAGE = (*DAMAGE, zlib.error, LZMAError)


class Tars:
    """WebDataset tars, one unit each: a tar, or the tars of a folder (the output of img2dataset)."""

    priority: ClassVar[int] = 30
    has_splits: ClassVar[bool] = False

    def recognises(self, place: Place) -> bool:
        """By the ending of the file's name, or of one in the folder."""
        if place.kind == "folder":
            return any(name.endswith(".tar") for name in place.names)
        return place.path.lower().endswith(_ENDINGS)

    def units(self, place: Place, split: str | None) -> Iterator[Unit]:
        """In the order of their names; there are no splits."""
        if place.kind == "folder":
            for name in sorted(name for name in place.names if name.endswith(".tar")):
                yield _unit(os.path.join(place.path, name))
        else:
            yield _unit(place.path)


def _unit(path: str) -> Unit:
    return Unit(os.path.basename(path), file_stamp(path), lambda: _items(path))


def _items(path: str) -> Iterator[Item]:
    """The images of a tar with what belongs to them; after damage, one item that says so."""
    base = os.path.basename(path)
    group: dict[str, bytes] = {}
    key = ""
    try:
        for name, data in _members(path):
            stem, _, suffix = name.rpartition("/")[2].partition(".")
            full = name[: len(name) - len(suffix) - 1] if suffix else name
            if full != key:
                yield from _item(base, key, group)
                key, group = full, {}
            group[suffix.lower() or stem] = data
        yield from _item(base, key, group)
    except _DAMAGE:
        yield from _item(base, key, group)
        yield Item(name=base, bad="damaged archive")


def _members(path: str) -> Iterator[tuple[str, bytes]]:
    with _opened(path) as file, tarfile.open(fileobj=file, mode="r|*", tarinfo=Header) as archive:
        for info in archive:
            archive.members = []  # type: ignore[attr-defined]  # a stream never goes back; this keeps memory flat
            if info.isreg() and info.size <= MAX_MEMBER and not layout.is_system_file(info.name.rpartition("/")[2]):
                member = archive.extractfile(info)
                data = member.read() if member is not None else b""
                if len(data) < info.size:
                    raise EOFError(info.name)
                yield info.name.removeprefix("./"), data


def _opened(path: str) -> IO[bytes]:
    if "://" in path:
        import fsspec

        return fsspec.open(path, "rb", **redirects(path)).open()  # type: ignore[no-any-return]
    try:
        return open(path, "rb")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None


def _item(base: str, key: str, group: dict[str, bytes]) -> Iterator[Item]:
    image = next((ending for ending in group if has_image_suffix(f"x.{ending}")), None)
    if not group:
        return
    if image is None:
        if not base or not set(group) <= {"json", "txt", "cls"}:
            return
        yield Item(name=f"{base}/{key}", bad="no image")
        return
    row = _json(group.get("json"))
    if "txt" in group:
        row["caption"] = group["txt"].decode("utf-8", "replace")
    yield Item(name=f"{base}/{key}.{image}", source=as_taken(Held(group[image]), row), facts=facts(row))


def _json(data: bytes | None) -> dict[str, Any]:
    try:
        found = parse_json(data or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
