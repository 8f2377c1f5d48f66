"""What a pool holds: the columns of its rows, and the header that says which guide embedded them.

A pool is a LanceDB database of three tables, so that it works alike in a folder and on an object store:

    rows      one image a row: id, image bytes or reference, caption, vector, signature, scores, source, licence
    units     one finished piece of a source (a tar, a row group, a folder) a row: what a resumed build leaves out
    skipped   one image that could not be used a row, with its reason

`id` is a hash of the image's bytes (of its URL where only that is known): the same picture is never stored, or
embedded, twice, whatever it is called. `signature` is perceptual hash and coarse colours (ops/similarity.py).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

from imaginate.errors import RunError
from imaginate.limits import parse_json

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

FORMAT = 1
KEY = b"imaginate"
# What a search returns; `image`, `ref` and `vector` are fetched only for the rows that are used.
PLAIN = ("id", "caption", "signature", "aesthetic", "unsafe", "source", "url", "licence", "author", "width", "height")

# What may be known of an image later than its pixels: a source that has it fills it in.
LATER = ("caption", "aesthetic", "unsafe", "url", "licence", "author")

Store = Literal["bytes", "reference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Written once, when a pool is created: the guide, its embeddings of the probe images, how images are kept.

    `weights`: the hub commit and the hash of the guide's files, where they are known.
    """

    guide: str
    dim: int
    probe: str
    store: Store = "bytes"
    version: int = FORMAT
    weights: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> dict[bytes, bytes]:
        """As metadata of an arrow schema."""
        return {KEY: json.dumps(asdict(self), sort_keys=True).encode()}


def header_of(schema: pa.Schema, path: str) -> Header:
    """The header of an opened table. Raises RunError where it is no pool of this format."""
    raw = (schema.metadata or {}).get(KEY)
    if raw is None:
        raise RunError(f"{path} is a LanceDB database but not a pool written by `imaginate pool build`")
    values = parse_json(raw)
    if values.get("version") != FORMAT:
        raise RunError(f"pool {path} has format {values.get('version')}, this version reads {FORMAT}: build it again")
    return Header(**values)


def rows_schema(header: Header) -> pa.Schema:
    """The arrow schema of the table `rows`; vectors are unit-norm float32."""
    import pyarrow as pa

    fields = [
        pa.field("id", pa.string(), nullable=False),
        pa.field("image", pa.large_binary()),
        pa.field("ref", pa.string()),
        pa.field("caption", pa.string()),
        pa.field("vector", pa.list_(pa.float32(), header.dim), nullable=False),
        pa.field("signature", pa.string()),
        pa.field("aesthetic", pa.float32()),
        pa.field("unsafe", pa.float32()),
        pa.field("source", pa.string()),
        pa.field("url", pa.string()),
        pa.field("licence", pa.string()),
        pa.field("author", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
    ]
    return pa.schema(fields, metadata=header.encoded())


def units_schema() -> pa.Schema:
    """The arrow schema of the table `units`: a unit's name, the stamp of what it held, and its counts."""
    import pyarrow as pa

    return pa.schema(
        [
            ("unit", pa.string()),
            ("stamp", pa.string()),
            ("added", pa.int64()),
            ("known", pa.int64()),
            ("skipped", pa.int64()),
        ]
    )


def skipped_schema() -> pa.Schema:
    """The arrow schema of the table `skipped`."""
    import pyarrow as pa

    return pa.schema([("source", pa.string()), ("reason", pa.string())])


def packed(vectors: NDArray[np.float32]) -> str:
    """A float array as text, for the header."""
    import numpy as np

    return base64.b64encode(np.ascontiguousarray(vectors, dtype="<f4").tobytes()).decode()


def unpacked(text: str, dim: int) -> NDArray[np.float32]:
    """The (n, dim) float32 array of `packed`."""
    import numpy as np

    return np.frombuffer(base64.b64decode(text), dtype="<f4").reshape(-1, dim)
