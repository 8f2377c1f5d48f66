"""Pools of what img2dataset and clip-retrieval write: local files before addresses, no borders, no empty success."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from colour_guide import ColourGuide
from data import zoo
from imaginate.data.decoding import decode, decode_tensor
from imaginate.errors import DataError
from imaginate.pool import Building, Tally, build_pool, open_pool
from imaginate.pool.table import PoolTable


def build(tmp_path: Path, source: Path, **settings: Any) -> tuple[Tally, list[dict[str, Any]]]:
    pool = str(tmp_path / "pool")
    tally = build_pool(pool, [str(source)], ColourGuide(), Building(**settings))
    return tally, PoolTable.open(pool).rows.to_arrow().to_pylist()


def clip_folder(root: Path, rows: list[dict[str, Any]]) -> Path:
    """What `clip-retrieval inference` writes: vectors, and a table of what belongs to them."""
    vectors = np.random.default_rng(0).normal(size=(len(rows), 12)).astype(np.float16)
    (root / "img_emb").mkdir(parents=True)
    (root / "metadata").mkdir()
    np.save(root / "img_emb" / "img_emb_0.npy", vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    pq.write_table(pa.Table.from_pylist(rows), root / "metadata" / "metadata_0.parquet")
    return root


def local_rows(root: Path) -> list[dict[str, Any]]:
    found = []
    for number in range(3):
        (root / f"{number}.jpg").write_bytes(zoo.jpeg(number))
        found.append({"image_path": str(root / f"{number}.jpg"), "url": f"http://127.0.0.1:9/{number}.jpg"})
    return found


def test_a_file_that_is_there_comes_before_a_dead_address(tmp_path: Path) -> None:
    source = clip_folder(tmp_path / "index", local_rows(tmp_path))
    _, rows = build(tmp_path, source, store="reference")
    assert {row["ref"] for row in rows} == {f"file:{tmp_path}/{n}.jpg" for n in range(3)}
    assert all(row["url"].startswith("http://127.0.0.1") for row in rows)
    assert open_pool(str(tmp_path / "pool")).image(rows[0]).shape == (3, 24, 40)


def test_a_pool_that_keeps_bytes_holds_them(tmp_path: Path) -> None:
    source = clip_folder(tmp_path / "index", local_rows(tmp_path))
    _, rows = build(tmp_path, source)
    assert {row["image"] for row in rows} == {zoo.jpeg(n) for n in range(3)}
    assert all(row["signature"] and row["width"] == 40 for row in rows)
    far = clip_folder(tmp_path / "far", [{"url": f"http://x.org/{n}.jpg"} for n in range(3)])
    with pytest.raises(DataError, match="only its address is known: use --store reference"):
        build_pool(str(tmp_path / "other"), [str(far)], ColourGuide(), Building())


def test_keys_of_tars_are_refused_with_the_way_on(tmp_path: Path) -> None:
    source = clip_folder(tmp_path / "index", [{"image_path": f"{n:09d}", "caption": "leaf"} for n in range(6)])
    with pytest.raises(DataError, match=r"6 image_path holds a key of a tar; name the tars themselves"):
        build(tmp_path, source, store="reference")


def bordered(seed: int, *, colour: int = 255) -> tuple[bytes, dict[str, Any]]:
    """A picture of 60 x 40 as img2dataset writes it by default: enlarged, on a white square, sizes in the JSON."""
    inside = Image.fromarray(zoo.picture(seed, 40, 60)).resize((192, 128), Image.Resampling.BICUBIC)
    square = Image.new("RGB", (192, 192), (colour,) * 3)
    square.paste(inside, (0, 32))
    row = {"width": 192, "height": 192, "original_width": 60, "original_height": 40, "exif": "{}"}
    return zoo.encoded(square, "JPEG", quality=95), row


@pytest.mark.parametrize("kind", ["files", "parquet", "reference"])
def test_a_white_border_is_cut_off_before_anything_else(kind: str, tmp_path: Path) -> None:
    data, row = bordered(3)
    source = tmp_path / "source"
    source.mkdir()
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist([{"jpg": data, **row}]), source / "00000.parquet")
    else:
        (source / "1.jpg").write_bytes(data)
        (source / "1.json").write_text(json.dumps(row))
    _, (kept,) = build(tmp_path, source, store="reference" if kind == "reference" else "bytes")
    assert (kept["width"], kept["height"]) == (192, 128)
    shown = open_pool(str(tmp_path / "pool")).image(kept)
    assert (shown == decode_tensor(data)[:, 32:160]).all()


def test_what_is_no_border_stays(tmp_path: Path) -> None:
    data, row = bordered(3, colour=120)  # center_crop of a picture with grey sides
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "1.jpg").write_bytes(data)
    (tmp_path / "source" / "1.json").write_text(json.dumps(row))
    _, (kept,) = build(tmp_path, tmp_path / "source")
    assert kept["image"] == data


def test_the_turn_that_the_table_tells_is_applied(tmp_path: Path) -> None:
    data = zoo.jpeg(1)
    row = {"width": 40, "height": 24, "original_width": 40, "original_height": 24}
    row["exif"] = json.dumps({"Image Orientation": "Rotated 90 CW"})
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "1.jpg").write_bytes(data)
    (tmp_path / "source" / "1.json").write_text(json.dumps(row))
    _, (kept,) = build(tmp_path, tmp_path / "source")
    assert np.array_equal(decode(kept["image"]), np.rot90(decode(data), -1))
