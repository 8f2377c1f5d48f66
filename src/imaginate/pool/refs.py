"""Where the bytes of a pool image are when the pool keeps references: one line of text.

file:/photos/a.jpg     https://host/a.jpg     {"kind": "hf-parquet", "path": ..., "row": 7, ...}

The kind is the registered name of an image source (`data/sources/`); the rest are its fields. An image whose numbers
are rendered has the reference of its source inside.
"""

from __future__ import annotations

import dataclasses
import io
import json
from functools import cache

from imaginate import registry
from imaginate.data import urls
from imaginate.data.addresses import PRIVATE, is_refused, opener
from imaginate.data.downloads import Resized
from imaginate.data.listing import printable
from imaginate.data.sources.downloaded import DownloadedSource
from imaginate.data.sources.file import FileSource
from imaginate.data.sources.rendered import RenderedSource
from imaginate.errors import ConfigError, ImageError
from imaginate.limits import parse_json
from imaginate.records import ImageSource

MAX_BYTES = 64 * 2**20
# What version 0.1.0 wrote in place of the registered names.
_EARLIER = {
    "hfparquet.ParquetSource": "hf-parquet",
    "hfdisk.ArrowSource": "hf-arrow",
    "npz.NpzSource": "npz",
    "sources.ZipSource": "zip",
    "sources.SpanSource": "span",
    "unpacked.PackedSource": "packed",
}


def encoded(source: ImageSource) -> str | None:
    """The reference of a registered image source of plain fields; None for one that holds the bytes itself."""
    if isinstance(source, FileSource) and printable(source.path) == source.path:
        return f"file:{source.path}"
    if isinstance(source, RenderedSource):
        inner = encoded(source.inner)
        return (
            None if inner is None else json.dumps({"inner": inner, "rendering": dataclasses.asdict(source.rendering)})
        )
    if isinstance(source, DownloadedSource):
        inner = encoded(source.inner)
        return None if inner is None else json.dumps({"inner": inner, "resized": dataclasses.asdict(source.resized)})
    kind = _kinds().get(type(source))
    if kind is None or not dataclasses.is_dataclass(source):
        return None
    values = dataclasses.asdict(source)
    plain = all(isinstance(value, (str, int, float, bool, type(None))) for value in values.values())
    return json.dumps({"kind": kind, **values}) if plain else None


@cache
def _kinds() -> dict[type[ImageSource], str]:
    return {registry.find("sources", name): name for name in registry.names("sources")}


def read(ref: str, timeout: float = 20.0, named: str = "") -> bytes:
    """The bytes behind a reference. Raises ImageError; a place that is gone is `source disappeared`. `named`: the
    address that the user gave, whose own images may be in a private network."""
    if ref.startswith(("http://", "https://")):
        return download(ref, timeout, named)
    try:
        return bytes(_source(ref).read())
    except ImageError as error:
        gone = str(error) in ("missing file", "damaged archive", "damaged parquet")
        raise ImageError("source disappeared" if gone else str(error)) from None


def _source(ref: str) -> ImageSource:
    if ref.startswith("file:"):
        return FileSource(_allowed(ref.removeprefix("file:")))
    try:
        values = parse_json(ref)
        if "resized" in values:
            return DownloadedSource(_source(values["inner"]), Resized(**values["resized"]))
        if "inner" in values:
            from imaginate.data.rendering import Rendering  # numpy comes with it

            return RenderedSource(_source(values["inner"]), Rendering.from_dict(values["rendering"]))
        kind = values.pop("kind")
        for value in values.values():
            _allowed(str(value))
        return registry.find("sources", _EARLIER.get(kind, kind))(**values)
    except (ValueError, KeyError, TypeError, AttributeError, ConfigError):
        raise ImageError("unknown reference") from None


def _allowed(path: str) -> str:
    """The path, unless it is a URL that no row may name."""
    if urls.is_url(path):
        if "::" in path or path.split("://", 1)[0].lower() not in urls.OF_DATASETS:
            raise ImageError(urls.NOT_ALLOWED)
        if is_refused(path):
            raise ImageError(PRIVATE)
    return path


def download(url: str, timeout: float, named: str = "") -> bytes:
    """The bytes behind a URL, at most 64 MiB of them, within `timeout` seconds of silence."""
    import urllib.request

    if is_refused(url, named):
        raise ImageError(PRIVATE)
    request = urllib.request.Request(url, headers={"User-Agent": "imaginate"})
    out = io.BytesIO()
    try:
        with opener(named).open(request, timeout=timeout) as answer:
            while chunk := answer.read(1 << 16):
                out.write(chunk)
                if out.tell() > MAX_BYTES:
                    raise ImageError("file too large")
    except TimeoutError:
        raise ImageError("download timed out") from None
    except urllib.error.HTTPError as error:
        error.close()
        raise ImageError("source disappeared" if error.code in (403, 404, 410) else "download failed") from None
    except urllib.error.URLError as error:
        slow = isinstance(error.reason, TimeoutError)
        raise ImageError("download timed out" if slow else "download failed") from None
    except (OSError, ValueError):
        raise ImageError("download failed") from None
    return out.getvalue()
