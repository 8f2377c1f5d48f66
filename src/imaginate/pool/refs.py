"""Where the bytes of a pool image lie when the pool keeps references: one line of text.

file:/photos/a.jpg     https://host/a.jpg     {"kind": "hfparquet.ParquetSource", "path": ..., "row": 7, ...}
"""

from __future__ import annotations

import dataclasses
import importlib
import io
import json
import re
import urllib.error
import urllib.request
from typing import Any

from imaginate.data.sources.file import FileSource
from imaginate.errors import ImageError

MAX_BYTES = 64 * 2**20
_HOME = "imaginate.data."
_KIND = re.compile(r"[a-z_]+\.[A-Za-z]+Source")


def encoded(source: Any) -> str | None:
    """The reference of any image source of `imaginate.data`; None for one that holds the bytes itself."""
    if isinstance(source, FileSource):
        return f"file:{source.path}"
    kind = f"{type(source).__module__}.{type(source).__qualname__}"
    if not kind.startswith(_HOME) or not dataclasses.is_dataclass(source):
        return None
    values = dataclasses.asdict(source)  # type: ignore[arg-type]
    plain = all(isinstance(value, (str, int, float, bool, type(None))) for value in values.values())
    return json.dumps({"kind": kind.removeprefix(_HOME), **values}) if plain else None


def read(ref: str, timeout: float = 20.0) -> bytes:
    """The bytes behind a reference. Raises ImageError; a place that is gone is `source disappeared`."""
    if ref.startswith(("http://", "https://")):
        return download(ref, timeout)
    try:
        return bytes(_source(ref).read())
    except ImageError as error:
        gone = str(error) in ("missing file", "damaged archive", "damaged parquet")
        raise ImageError("source disappeared" if gone else str(error)) from None


def _source(ref: str) -> Any:
    if ref.startswith("file:"):
        return FileSource(ref.removeprefix("file:"))
    try:
        values = json.loads(ref)
        kind = values.pop("kind")
        if not _KIND.fullmatch(kind):
            raise ValueError(kind)
        module, _, name = kind.rpartition(".")
        return getattr(importlib.import_module(_HOME + module), name)(**values)
    except (ValueError, KeyError, TypeError, AttributeError, ImportError):
        raise ImageError("unknown reference") from None


def download(url: str, timeout: float) -> bytes:
    """The bytes behind a URL, at most 64 MiB of them, within `timeout` seconds of silence."""
    request = urllib.request.Request(url, headers={"User-Agent": "imaginate"})
    out = io.BytesIO()
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            while chunk := answer.read(1 << 16):
                out.write(chunk)
                if out.tell() > MAX_BYTES:
                    raise ImageError("file too large")
    except TimeoutError:
        raise ImageError("download timed out") from None
    except urllib.error.HTTPError as error:
        raise ImageError("source disappeared" if error.code in (403, 404, 410) else "download failed") from None
    except (OSError, ValueError) as error:
        slow = isinstance(getattr(error, "reason", None), TimeoutError)
        raise ImageError("download timed out" if slow else "download failed") from None
    return out.getvalue()
