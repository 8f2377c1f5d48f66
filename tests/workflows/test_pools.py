"""A pool searched by many queries at once: what one by one gives, in a table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

import imaginate
from colour_guide import COLOURS, ColourGuide, coloured
from imaginate.cli import main
from imaginate.errors import ConfigError, DataError, RunError
from imaginate.workflows import pools
from worlds import folder


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("lancedb")
    guide = ColourGuide()
    monkeypatch.setattr(pools, "_guide", lambda *_: guide)
    for name in COLOURS:
        for number in range(3):
            place = tmp_path / "images" / f"{name}-{number}.png"
            place.parent.mkdir(exist_ok=True)
            Image.fromarray(coloured(name, number)).save(place)
    imaginate.build_pool(tmp_path / "pool", str(tmp_path / "images"), guide="colour", progress=False)
    return tmp_path / "pool"


def test_many_queries_give_what_each_alone_gives(pool: Path, tmp_path: Path) -> None:
    picture = str(tmp_path / "images" / "green-1.png")
    queries = ["a red one", f"image:{picture}", "something blue"]
    together = imaginate.search_pool_batch(pool, queries, limit=3)
    alone = [
        imaginate.search_pool(pool, "a red one", limit=3),
        imaginate.search_pool(pool, image=picture, limit=3),
        imaginate.search_pool(pool, "something blue", limit=3),
    ]
    assert [found.rows for found in together] == [found.rows for found in alone]
    assert [Path(str(found.rows[0]["source"])).name.split("-")[0] for found in together] == ["red", "green", "blue"]


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_file_of_queries_becomes_a_table(
    pool: Path, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ask.txt").write_text("# what is missing\na red one\n\n  something blue\n", encoding="utf-8")
    out = tmp_path / f"found{ending}"
    command = ["pool", "search", str(pool), "--queries", str(tmp_path / "ask.txt"), "--limit", "2", "--out", str(out)]
    assert main(command) == 0
    assert "4 images for 2 queries" in capsys.readouterr().out
    if ending == ".jsonl":
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    elif ending == ".parquet":
        rows = pq.read_table(out).to_pylist()
    else:
        import csv

        with out.open(newline="") as file:
            rows = list(csv.DictReader(file))
    asked = [(row["query"], int(row["rank"])) for row in rows]
    assert asked == [("a red one", 0), ("a red one", 1), ("something blue", 0), ("something blue", 1)]


def test_what_does_not_go_together_is_one_line(pool: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no query"):
        imaginate.search_pool_batch(pool, [])
    ask = tmp_path / "ask.txt"
    ask.write_text("red", encoding="utf-8")
    wrong = [
        ["red", "--queries", str(ask), "--out", "f.csv"],
        ["--queries", str(ask)],
        ["--queries", str(ask), "--out", "f.png"],
        ["--queries", str(tmp_path / "none.txt"), "--out", "f.csv"],
    ]
    for flags in wrong:
        assert main(["pool", "search", str(pool), *flags]) == 2


def test_a_pool_and_its_source_the_wrong_way_round(tmp_path: Path) -> None:
    images = folder(tmp_path / "images", each=1)
    with pytest.raises(DataError) as said:
        imaginate.build_pool(images, str(tmp_path / "mypool"), guide="nano")
    at = f"{tmp_path}/mypool"
    assert str(said.value) == f"no such source: {at}; the pool comes first: imaginate pool build {at} {images}"
    with pytest.raises(DataError) as said:
        imaginate.build_pool(tmp_path / "mypool", str(tmp_path / "none"), guide="nano")
    assert str(said.value) == f"no such source: {tmp_path}/none"


@pytest.mark.parametrize("guide", ["prototypes:efficientnet-lite0", "finetuned:efficientnet-lite0"])
def test_a_guide_that_learns_says_how_it_is_given_a_dataset(
    tmp_path: Path, guide: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lancedb")
    Image.fromarray(coloured("red", 0)).save(tmp_path / "red.png")
    assert main(["pool", "build", str(tmp_path / "pool"), str(tmp_path), "--guide", guide]) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert guide in said
    assert "--data" in said
    assert not (tmp_path / "pool").exists()


def test_a_pool_of_a_guide_that_learned_is_searched_with_its_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lancedb")
    data = folder(tmp_path / "data")
    command = ["--guide", "prototypes:nano", "--data", str(data)]
    assert main(["pool", "build", str(tmp_path / "pool"), str(data), *command]) == 0
    picture = next(data.rglob("*.png"))
    assert main(["pool", "search", str(tmp_path / "pool"), "--image", str(picture)]) == 2
    assert "--data" in capsys.readouterr().err
    search = ["pool", "search", str(tmp_path / "pool"), "--image", str(picture), "--limit", "1", "--data", str(data)]
    assert main(search) == 0
    assert picture.name in capsys.readouterr().out


def _place(root: Path, name: str, numbers: range) -> None:
    for colour in COLOURS:
        for number in numbers:
            place = root / name / colour / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(coloured(colour, number)).save(place)


def _taken(root: Path, **more: Any) -> imaginate.Run:
    """A run of pictures from a pool."""
    return imaginate.expand(
        str(root / "seeds"), root / "run", "retrieval", pool=str(root / "pool"), guide="nano", query="seeds",
        duplicate_bits=0, duplicate_cosine=1.01, aesthetic=0, judge="none", progress=False, **more,
    )  # fmt: skip


def test_a_run_over_a_pool_grows_where_it_is_the_run_made_at_once(tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    _place(tmp_path, "seeds", range(2))
    _place(tmp_path, "web", range(10, 16))
    imaginate.build_pool(tmp_path / "pool", str(tmp_path / "web"), guide="nano", progress=False)
    _taken(tmp_path, per_class=1)
    with pytest.raises(RunError, match="cannot grow: which images of the pool a class gets depends on how many"):
        _taken(tmp_path, per_class=2)
    shutil.rmtree(tmp_path / "run")
    _taken(tmp_path, per_class=1, share=True)
    grown = _taken(tmp_path, per_class=3, share=True).table().to_pylist()
    _place(tmp_path, "more", range(20, 21))
    (tmp_path / "run").rename(tmp_path / "grown")
    assert _taken(tmp_path, per_class=3, share=True).table().to_pylist() == grown
    imaginate.build_pool(tmp_path / "pool", str(tmp_path / "more"), guide="nano", progress=False)
    _taken(tmp_path, per_class=3, share=True)  # nothing is left to do
    with pytest.raises(RunError, match=r"the pool .*pool changed since then"):
        _taken(tmp_path, per_class=4, share=True)


def test_a_mixture_does_not_grow_over_a_run_that_changed(tmp_path: Path) -> None:
    _place(tmp_path, "seeds", range(4))
    knobs: dict[str, Any] = {"progress": False}
    imaginate.expand(str(tmp_path / "seeds"), tmp_path / "first", "cutout", copies=2, **knobs)
    mixed = {"method": "mix", "runs": (str(tmp_path / "first"),), "guide": "nano", "force": True, **knobs}
    imaginate.expand(str(tmp_path / "seeds"), tmp_path / "mix", copies=1, **mixed)
    imaginate.expand(str(tmp_path / "seeds"), tmp_path / "first", "cutout", copies=3, **knobs)
    imaginate.expand(str(tmp_path / "seeds"), tmp_path / "mix", copies=1, **mixed)
    with pytest.raises(RunError, match=r"the run .*first changed since then"):
        imaginate.expand(str(tmp_path / "seeds"), tmp_path / "mix", copies=2, **mixed)
