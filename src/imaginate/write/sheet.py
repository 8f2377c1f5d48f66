"""The contact sheet: each seed image with its copies, with labels, scores and, for rejected ones, the reason."""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

from imaginate import files, lettering
from imaginate.errors import ConfigError, RunError
from imaginate.files import Folder
from imaginate.runs import RunFolder

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

CELL, GAP, TEXT = 128, 8, 30
INK, PAPER, KEPT, REFUSED, SOFT = "#1b1b1b", "#ffffff", "#2e7d32", "#c62828", "#666666"
_COLUMNS = ("file_name", "label", "class_name", "origin", "seed_image", "method", "copy", "prompt", "reason", "kept")

_ROW_BITS = 40  # of a number that holds a label and, below it, a row
_NUMBER_BITS = 32  # of one that holds a hash and, below it, a number
_PIECE = 2**16  # hashes that are looked at together

Row = Mapping[str, Any]
Key = tuple[int, str]  # the label of a seed and its id; "" for a class as a whole


def contact_sheet(store: Folder, *, rows: int = 12, copies: int = 7, rejected: bool = True) -> bytes:
    """PNG bytes: up to `rows` seeds (or classes), spread evenly over the run, each with up to `copies` images."""
    if rows < 1:
        raise ConfigError(f"rows must be in [1, inf), got {rows}")
    return draw(groups_of(store, rows, copies, rejected=rejected), store)


def groups_of(store: Folder, limit: int, copies: int, *, rejected: bool = True) -> list[tuple[Row | None, list[Row]]]:
    """(the original or None, its first images) for evenly spread seeds; class-started images group by class.

    Two passes, so that only the rows of the chosen seeds are ever in memory.
    """
    names: Sequence[str] = (files.KEPT, files.REJECTED)[: 2 if rejected else 1]
    if not store.exists(files.KEPT):  # not finished: the shards that are
        names = RunFolder(store).finished_shards()
    chosen = _spread(store, names, limit)
    by_class = {label for label, seed in chosen if not seed}
    heads: dict[Key, Row] = {}
    found: dict[Key, list[Row]] = {key: [] for key in sorted(chosen)}
    for row in _rows_of(store, names, chosen):
        key = row["label"], row["seed_image"] or ""
        if not row["file_name"]:
            continue
        if row["method"] and key in chosen:
            found[key] += [row] if len(found[key]) < copies else []
        elif not row["method"] and row["label"] in by_class:
            heads.setdefault((row["label"], ""), row)
        elif not row["method"] and key in chosen:
            heads[key] = row
    return [(heads.get(key), members) for key, members in found.items() if members]


def _spread(store: Folder, names: Sequence[str], limit: int) -> set[Key]:
    """(label, seed) of up to `limit` seeds with new images, evenly spread over the classes and, in each, its rows.

    Two passes: of a seed, the first remembers a hash of 32 bits with a number, and its label with its first row: 16
    bytes, sorted where they are. Two seeds of one hash count as one, which a sheet of so many does not show.
    """
    import numpy as np

    marks, places = array("Q"), array("Q")
    for count, label, seed in _new_rows(store, names):
        keys = (b"%d " % c + s.encode(errors="surrogatepass") for c, s in zip(label, seed, strict=True))
        hashes, first = np.unique(np.fromiter(map(crc32, keys), np.uint64, len(seed)), return_index=True)
        numbers = np.arange(len(places), len(places) + len(first), dtype=np.uint64)
        marks.frombytes((hashes << np.uint64(_NUMBER_BITS) | numbers).tobytes())
        of_label = np.array(label, np.uint64)[first] << np.uint64(_ROW_BITS)
        places.frombytes((of_label | (first + count).astype(np.uint64)).tobytes())
    if not places:
        return set()
    order = np.frombuffer(places, np.uint64)[_first_of_each(np.frombuffer(marks, np.uint64))]
    order.sort()  # by label, then by row
    step = max(1.0, len(order) / limit)
    wanted = {int(order[int(i * step)]) % 2**_ROW_BITS for i in range(min(limit, len(order)))}
    return {
        (label[row - start], seed[row - start])
        for start, label, seed in _new_rows(store, names)
        for row in wanted.intersection(range(start, start + len(seed)))
    }


def _first_of_each(marks: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Of hashes with their numbers, whether each number is the first of its hash. Sorts them in place."""
    import numpy as np

    marks.sort()
    is_first = np.zeros(len(marks), bool)
    for start in range(0, len(marks), _PIECE):
        piece = marks[max(0, start - 1) : start + _PIECE]  # with the one before, to compare with
        hashes = piece >> np.uint64(_NUMBER_BITS)
        new = np.append(start == 0, hashes[1:] != hashes[:-1])
        is_first[piece[new] % np.uint64(2**_NUMBER_BITS)] = True
    return is_first


def _new_rows(store: Folder, names: Sequence[str]) -> Iterator[tuple[int, list[int], list[str]]]:
    """Of the new images, piece by piece: how many came before, their labels, and their seeds ("" without one)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    count = 0
    for batch in _batches(store, names, ["label", "seed_image", "method"]):
        new = batch.filter(pc.is_valid(batch.column("method")))
        seeds = new.column("seed_image").cast(pa.string()).fill_null("")
        yield count, new.column("label").to_pylist(), seeds.to_pylist()
        count += new.num_rows


def _rows_of(store: Folder, names: Sequence[str], chosen: set[Key]) -> Iterator[Row]:
    """Rows of the classes of the chosen seeds that may be theirs, with every score."""
    import pyarrow as pa
    import pyarrow.compute as pc

    labels = pa.array(sorted({label for label, _ in chosen}), pa.int64())
    seeds = pa.array(sorted({seed for _, seed in chosen}), pa.string())
    by_class = pa.array(sorted({label for label, seed in chosen if not seed}), pa.int64())
    for batch in _batches(store, names, _COLUMNS):
        label, seed = batch.column("label"), batch.column("seed_image").cast(pa.string()).fill_null("")
        original = pc.and_(pc.is_null(batch.column("method")), pc.is_in(label, by_class))
        yield from batch.filter(pc.or_(original, pc.and_(pc.is_in(label, labels), pc.is_in(seed, seeds)))).to_pylist()


def _batches(store: Folder, names: Sequence[str], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The tables in small pieces; with every score where all columns are wanted."""
    import pyarrow.parquet as pq

    for name in names:
        with store.open(name) as file:
            source = pq.ParquetFile(file, pre_buffer=False)
            scores = [c for c in source.schema_arrow.names if c.startswith("score_")] if columns is _COLUMNS else []
            yield from source.iter_batches(4096, columns=[*columns, *scores], use_threads=False)


def draw(groups: Sequence[tuple[Row | None, Sequence[Row]]], store: Folder) -> bytes:
    """Draw a sheet from rows of a run's tables."""
    from PIL import Image, ImageDraw

    lettering.say_cannot_write(str(row["class_name"]) for _, members in groups for row in members)
    across = 1 + max([len(members) for _, members in groups], default=0)
    width = GAP + across * (CELL + GAP)
    height = GAP + max(1, len(groups)) * (CELL + TEXT + GAP)
    page = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(page)
    for line, (head, members) in enumerate(groups):
        top = GAP + line * (CELL + TEXT + GAP)
        for column, row in enumerate([head, *members]):
            left = GAP + column * (CELL + GAP)
            if row is not None:
                _cell(page, pen, left, top, row, store, seed=column == 0)
            else:
                _no_seed(pen, left, top, members[0])
    if not groups:
        lettering.write(pen, (GAP, GAP), "no new image", fill=SOFT)
    out = io.BytesIO()
    page.save(out, "PNG", compress_level=1)
    return out.getvalue()


def _cell(page: Any, pen: Any, left: int, top: int, row: Row, store: Folder, *, seed: bool) -> None:
    picture, size = _thumbnail(store, row["file_name"])
    page.paste(picture, (left + (CELL - picture.width) // 2, top + (CELL - picture.height) // 2))
    colour = INK if seed else KEPT if row["kept"] else REFUSED
    pen.rectangle((left - 1, top - 1, left + CELL, top + CELL), outline=colour, width=2 if not seed else 1)
    first, second = _words(row, seed, size)
    lettering.write(pen, (left, top + CELL + 3), first, fill=colour, width=CELL)
    lettering.write(pen, (left, top + CELL + 16), second, fill=SOFT, width=CELL)


def _no_seed(pen: Any, left: int, top: int, row: Row) -> None:
    """Where no original was kept: the class's name in its place, and the seed's where there is one."""
    lettering.write(pen, (left, top + CELL // 2 - 8), str(row["class_name"]), fill=INK, width=CELL)
    lettering.write(pen, (left, top + CELL // 2 + 5), row["seed_image"] or "", fill=SOFT, width=CELL)


def _thumbnail(store: Folder, name: str) -> tuple[Any, str]:
    """The picture, small, and its size in words; an empty one, and why, where somebody removed or broke the file."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(store.get(name))) as opened:
            picture = opened.convert("RGB")
    except RunError:
        return Image.new("RGB", (CELL, CELL), PAPER), "(removed)"
    except (OSError, SyntaxError, ValueError):
        return Image.new("RGB", (CELL, CELL), PAPER), "(damaged)"
    scale = CELL / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    small = picture.resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.BICUBIC)
    return small, f"{picture.width} x {picture.height}"


def _words(row: Row, seed: bool, size: str) -> tuple[str, str]:
    if seed:
        return str(row["class_name"]), f"{'seed image' if row['origin'] == 'original' else row['origin']} {size}"
    scores = _scores(row)
    if not row["kept"]:
        return f"rejected: {row['reason']}", scores
    return f"copy {row['copy']}, {size}", scores or str(row["prompt"] or row["method"])


def _scores(row: Row) -> str:
    """What guidance did to the score, or every score of the filters."""
    if row.get("score_total_after") is not None:
        return f"S {row['score_total_before']:.2f} > {row['score_total_after']:.2f}"
    found = {k[6:].replace("_", " "): v for k, v in row.items() if k.startswith("score_") and v is not None}
    return ", ".join(f"{name} {value:.2f}" for name, value in found.items())
