"""Building: every kind of source, nothing twice, nothing lost, killed at any moment."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from colour_guide import ColourGuide, SentenceGuide
from imaginate.errors import DataError, ModelError, RunError
from imaginate.pool import Building, build_pool, open_pool
from imaginate.pool import build as build_module
from imaginate.pool.indexes import BuiltIndex
from imaginate.pool.info import describe
from imaginate.pool.table import PoolTable, Recall
from worlds import clip_retrieval, folder, picture, png


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def guide() -> ColourGuide:
    return ColourGuide()


def ids(pool: str) -> list[str]:
    return sorted(PoolTable.open(pool).rows.to_arrow()["id"].to_pylist())


def rows(pool: str) -> list[dict[str, Any]]:
    return sorted(PoolTable.open(pool).rows.to_arrow().to_pylist(), key=lambda row: row["source"])


def make_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_vectors_are_the_guides_own_and_broken_images_are_named(tmp_path: Path, guide: ColourGuide) -> None:
    images = folder(tmp_path / "photos")
    (images / "ant" / "bad.png").write_bytes(b"\x89PNG broken")
    (images / "notes.doc").write_bytes(b"hello")
    (images / "ant" / "000.txt").write_text("an ant, seen from above\n")
    pool = str(tmp_path / "pool")
    tally = build_pool(pool, [str(images)], guide)
    assert (tally.added, tally.known) == (12, 0)
    assert dict(tally.skipped) == {"damaged": 1, "not an image": 1}
    found = rows(pool)
    assert found[0]["source"] == "photos/ant/000.png"
    assert found[0]["caption"] == "an ant, seen from above"
    for row in found:
        from imaginate.data import decode

        image = torch.from_numpy(decode(row["image"])).permute(2, 0, 1).float()[None] / 255
        assert np.allclose(row["vector"], guide.embed(image)[0].numpy(), atol=1e-5)
    assert describe(pool)["skipped"] == {"damaged": 1, "not an image": 1}


def test_the_same_picture_is_never_embedded_twice(tmp_path: Path, guide: ColourGuide) -> None:
    images = folder(tmp_path / "photos")
    pool = str(tmp_path / "pool")
    build_pool(pool, [str(images)], guide)
    before = guide.embedded
    (images / "ant" / "new.png").write_bytes(png(picture(999)))
    (images / "ant" / "copy.png").write_bytes((images / "bee" / "000.png").read_bytes())
    tally = build_pool(pool, [str(images)], guide)
    assert (tally.added, tally.known) == (1, 5)  # the four ants again, and the copied bee; other folders are not read
    assert tally.finished_units == 2
    assert guide.embedded - before == 1 + 8  # one image, and the probe
    assert len(set(ids(pool))) == 13


def test_facts_that_arrive_later_reach_images_that_are_there(tmp_path: Path, guide: ColourGuide) -> None:
    """Scores, licences and captions of a later source fill in what is missing; nothing that is known is replaced."""
    pool, images = str(tmp_path / "pool"), folder(tmp_path / "photos", each=2)
    build_pool(pool, [str(images)], guide)
    before = {row["id"]: row for row in rows(pool)}
    first, second = ((images / "ant" / f"00{i}.png").read_bytes() for i in range(2))
    told = {"jpg": pa.array([first, second], pa.binary()), "TEXT": ["an ant", "two ants"], "punsafe": [0.9, None]}
    pq.write_table(pa.table({**told, "license": ["CC0", None]}), tmp_path / "facts.parquet")
    tally = build_pool(pool, [str(tmp_path / "facts.parquet")], guide)
    assert (tally.added, tally.known, tally.filled_in) == (0, 2, 2)
    after = {row["id"]: row for row in rows(pool)}
    changed = {key: {n: v for n, v in after[key].items() if v != before[key][n]} for key in after}
    assert sorted(map(len, changed.values())) == [0, 0, 0, 0, 1, 3]
    assert {"caption": "two ants"} in changed.values()
    assert {"caption": "an ant", "unsafe": pytest.approx(0.9), "licence": "CC0"} in changed.values()
    pq.write_table(pa.table({**told, "license": ["CC-BY", None]}), tmp_path / "other.parquet")
    assert build_pool(pool, [str(tmp_path / "other.parquet")], guide).filled_in == 0
    assert {row["licence"] for row in rows(pool)} == {None, "CC0"}


def test_img2dataset_tar_and_parquet(tmp_path: Path, guide: ColourGuide) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    told = {"url": "https://x.org/1.jpg", "license": "CC-BY", "aesthetic_score": 6.5, "punsafe": 0.01}
    shards = tmp_path / "laion"
    shards.mkdir()
    make_tar(
        shards / "00000.tar",
        {
            "000.png": png(picture(1)), "000.txt": b"a tiger shark", "000.json": json.dumps(told).encode(),
            "001.json": b'{"status": "failed_to_download"}', "001.txt": b"gone",
            "002.png": png(picture(2)), "002.txt": b"a hen",
        },
    )  # fmt: skip
    (shards / "00000.parquet").write_bytes(b"")
    table = pa.table(
        {
            "jpg": pa.array([png(picture(3)), None], pa.binary()),
            "TEXT": ["a barn", "nothing"],
            "status": ["success", "failed_to_resize"],
            "NSFW": ["UNLIKELY", "NSFW"],
        }
    )
    pq.write_table(table, tmp_path / "part-0.parquet")
    pool = str(tmp_path / "pool")
    tally = build_pool(pool, [str(shards), str(tmp_path / "part-*.parquet")], guide)
    assert tally.added == 3
    assert dict(tally.skipped) == {"no image": 1, "failed_to_resize": 1}
    first, second, third = rows(pool)
    assert (first["caption"], first["url"], first["licence"]) == ("a tiger shark", "https://x.org/1.jpg", "CC-BY")
    assert (first["aesthetic"], first["unsafe"]) == (6.5, pytest.approx(0.01))
    assert (second["caption"], second["aesthetic"]) == ("a hen", None)
    assert (third["caption"], third["unsafe"]) == ("a barn", 0.0)


def test_truncated_tar_gives_what_came_before(tmp_path: Path, guide: ColourGuide) -> None:
    path = make_tar(tmp_path / "a.tar", {f"{i}.png": png(picture(i)) for i in range(6)})  # 1024 bytes each
    path.write_bytes(path.read_bytes()[: 4 * 1024 + 612])
    tally = build_pool(str(tmp_path / "pool"), [str(path)], guide)
    assert 0 < tally.added < 6
    assert tally.skipped["damaged archive"] == 1


@pytest.mark.parametrize("kind", ["npy", "flat index", "inverted file"])
def test_clip_retrieval_folder_keeps_its_embeddings(tmp_path: Path, guide: ColourGuide, kind: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    faiss = pytest.importorskip("faiss")
    root = tmp_path / "index"
    (root / "metadata").mkdir(parents=True)
    vectors = torch.nn.functional.normalize(torch.randn(7, 12, generator=torch.Generator().manual_seed(0))).numpy()
    for number, part in enumerate((slice(0, 4), slice(4, 7))):
        urls = [f"https://x.org/{i}.jpg" for i in range(7)][part]
        pq.write_table(
            pa.table({"url": urls, "caption": [f"image {u}" for u in urls]}),
            root / f"metadata/metadata_{number}.parquet",
        )
        if kind == "npy":
            (root / "img_emb").mkdir(exist_ok=True)
            np.save(root / f"img_emb/img_emb_{number}.npy", 3 * vectors[part])  # lengths do not matter
    else:
        flat = faiss.IndexFlatIP(12)
        index = flat if kind == "flat index" else faiss.IndexIVFFlat(flat, 12, 2)
        index.train(vectors)
        index.add(vectors)
        faiss.write_index(index, str(root / "image.index"))
    pool = str(tmp_path / "pool")
    before = guide.embedded
    tally = build_pool(pool, [str(root)], guide, Building(store="reference"))
    assert tally.added == 7
    assert guide.embedded - before == 8  # the probe alone
    found = open_pool(pool).search(torch.from_numpy(vectors[5:6]), 1)[0][0]
    assert (found["url"], found["similarity"]) == ("https://x.org/5.jpg", pytest.approx(1, abs=1e-5))


def test_references_are_read_again_and_missed_when_gone(tmp_path: Path, guide: ColourGuide) -> None:
    from imaginate.errors import ImageError

    images = folder(tmp_path / "photos", each=1)
    pool = str(tmp_path / "pool")
    build_pool(pool, [str(images)], guide, Building(store="reference"))
    opened = open_pool(pool)
    row = opened.search(guide.embed_text(["red"]), 1)[0][0]
    assert opened.image(row).shape == (3, 24, 32)
    for file in images.rglob("*.png"):
        file.unlink()
    with pytest.raises(ImageError, match="source disappeared"):
        opened.image(row)


def test_other_guides_are_refused_and_both_are_named(tmp_path: Path, guide: ColourGuide) -> None:
    images = folder(tmp_path / "photos", each=1)
    pool = str(tmp_path / "pool")
    build_pool(pool, [str(images)], guide)
    open_pool(pool).check(ColourGuide(name="a local copy"))  # same weights, other name: welcome
    with pytest.raises(ModelError, match=r"built with guide colour.*in use is other"):
        build_pool(pool, [str(images)], ColourGuide(name="other", seed=1))
    with pytest.raises(ModelError, match="other weights of guide colour"):
        open_pool(pool).check(ColourGuide(seed=1))
    with pytest.raises(ModelError, match="12 numbers"):
        open_pool(pool).check(ColourGuide(name="small", dim=8))


def test_missing_damaged_and_foreign_pools_are_one_line(tmp_path: Path, guide: ColourGuide) -> None:
    with pytest.raises(RunError, match="no pool at"):
        open_pool(str(tmp_path / "nothing"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="not a pool and not empty"):
        build_pool(str(tmp_path / "full"), [str(tmp_path)], guide)
    with pytest.raises(DataError, match="no such source"):
        build_pool(str(tmp_path / "pool"), [str(tmp_path / "none")], guide)
    pool = str(tmp_path / "pool")
    build_pool(pool, [str(folder(tmp_path / "photos", each=1))], guide)
    for file in Path(pool, "rows.lance", "data").iterdir():
        file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(RunError, match="damaged"):
        open_pool(pool).search(guide.embed_text(["red"]), 3)


@pytest.mark.parametrize("batches", [1, 2, 3])
def test_a_killed_build_goes_on_to_the_same_pool(
    tmp_path: Path, guide: ColourGuide, batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = folder(tmp_path / "photos", each=6)
    whole = str(tmp_path / "whole")
    build_pool(whole, [str(images)], guide, Building(batch=4))
    monkeypatch.setattr(build_module, "COMMIT_ROWS", 4)
    pool = str(tmp_path / "pool")

    class Dying(ColourGuide):
        def embed(self, x: torch.Tensor) -> torch.Tensor:
            if self.embedded > 8 + 4 * batches:
                raise KeyboardInterrupt
            return super().embed(x)

    with pytest.raises(KeyboardInterrupt):
        build_pool(pool, [str(images)], Dying(), Building(batch=4))
    there = len(ids(pool))
    assert 0 < there < 18
    before = guide.embedded
    tally = build_pool(pool, [str(images)], guide, Building(batch=4))
    assert guide.embedded - before == 8 + 18 - there
    assert tally.added == 18 - there
    assert ids(pool) == ids(whole)
    assert describe(pool)["unfinished"] == "nothing"


def test_shares_of_several_builders_make_up_the_whole(tmp_path: Path, guide: ColourGuide) -> None:
    images = folder(tmp_path / "photos", classes=("a", "b", "c", "d", "e"))
    pool, whole = str(tmp_path / "pool"), str(tmp_path / "whole")
    build_pool(whole, [str(images)], guide)
    for share in ("1/3", "2/3", "3/3"):
        assert build_pool(pool, [str(images)], guide, Building(part=share)).added > 0
    assert ids(pool) == ids(whole)


def test_index_finds_what_a_full_scan_finds(tmp_path: Path) -> None:
    """IVF and exact search over a few thousand clustered vectors; rows added after indexing are found too."""
    guide = ColourGuide()
    draw = torch.Generator().manual_seed(0)
    centres = torch.randn(40, 12, generator=draw)
    points = centres[torch.randint(40, (3000,), generator=draw)] + 0.3 * torch.randn(3000, 12, generator=draw)
    points = torch.nn.functional.normalize(points).numpy()
    from imaginate.pool.probe import new_header

    table = PoolTable.create(str(tmp_path / "pool"), new_header(guide, "reference"))
    table.append_rows([{"id": f"{i:032x}", "vector": v} for i, v in enumerate(points[:2000])])
    table.index_vectors("ivf-flat")
    table.append_rows([{"id": f"{i + 2000:032x}", "vector": v} for i, v in enumerate(points[2000:])])
    queries = torch.from_numpy(points[::300])
    unmeasured = open_pool(str(tmp_path / "pool"))
    assert unmeasured.search(queries, 50) == unmeasured.search(queries, 50, exact=True)
    table.note_recall(Recall({"images": 0.99}))
    pool = open_pool(str(tmp_path / "pool"))
    near = pool.search(queries, 50)
    assert [[*row] for row in near[0]] == [[*row] for row in pool.search(queries, 50, exact=True)[0]]
    exact = pool.search(queries, 50, exact=True)
    recall = np.mean([len({r["id"] for r in a} & {r["id"] for r in b}) / 50 for a, b in zip(near, exact, strict=True)])
    assert recall >= 0.95
    by_hand = np.argsort(-(queries.numpy() @ points.T), axis=1)[:, :50]
    assert [{int(r["id"], 16) for r in rows} for rows in exact] == [set(row.tolist()) for row in by_hand]


def test_probes_go_by_the_lists_that_the_index_has(tmp_path: Path) -> None:
    """Rows that come later are put into the lists that are there; a pool that outgrew them is indexed again."""
    from imaginate.pool.probe import new_header

    vectors = np.random.default_rng(0).normal(size=(1300, 12)).astype(np.float32)
    table = PoolTable.create(str(tmp_path / "pool"), new_header(ColourGuide(), "reference"))

    def append(start: int, stop: int) -> None:
        table.append_rows([{"id": f"{i:032x}", "vector": vectors[i]} for i in range(start, stop)])
        table.tidy()

    append(0, 400)
    table.index_vectors("ivf-flat")
    append(400, 800)
    assert (table.built_index(), table.stale()) == (BuiltIndex(lists=20, rows=400), False)
    assert (table.built_index().probes(400, 800), table.built_index().probes(10, 800)) == (20, 8)
    append(800, 1300)
    assert table.stale()
    table.index_vectors("ivf-flat")
    assert (PoolTable.open(table.path).built_index(), table.stale()) == (BuiltIndex(lists=36, rows=1300), False)


def test_an_index_that_misses_sentences_is_not_used(tmp_path: Path) -> None:
    """Measured when the pool is built, with sentences and with pictures; shown by `pool info`."""
    guide = SentenceGuide()
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(60, guide.dim))
    vectors = (centres[draw.integers(60, size=4000)] + 2.0 * draw.normal(size=(4000, guide.dim))).astype(np.float32)
    source = clip_retrieval(tmp_path / "clip", vectors)
    build_pool(str(tmp_path / "pool"), [source], guide, Building(store="reference", index="ivf-flat"))
    table = PoolTable.open(str(tmp_path / "pool"))
    recall = table.recall()
    assert set(recall.by_queries) == {"images", "sentences"}
    assert recall.by_queries["sentences"] < 0.95, "the case that this is about"
    assert "not used, searched exactly" in describe(str(tmp_path / "pool"))["index"]
    pool, asked = open_pool(str(tmp_path / "pool")), guide.embed_text(["a", "b", "c"])
    assert pool.search(asked, 40) == pool.search(asked, 40, exact=True)


def test_the_same_sources_give_a_pool_that_answers_alike(tmp_path: Path) -> None:
    guide = SentenceGuide()
    vectors = np.random.default_rng(1).normal(size=(500, guide.dim)).astype(np.float32)
    vectors[100:140] = vectors[100]  # as near as one another: ordered by id
    source = clip_retrieval(tmp_path / "clip", vectors)
    answers = []
    for name, threads in (("one", 1), ("two", 3)):
        build_pool(
            str(tmp_path / name), [source], guide, Building(store="reference", threads=threads, batch=7 * threads)
        )
        asked = torch.cat(
            [guide.embed_text(["a", "b"]), torch.nn.functional.normalize(torch.from_numpy(vectors[100:101]))]
        )
        answers.append(open_pool(str(tmp_path / name)).search(asked, 60))
    assert answers[0] == answers[1]
    ties = [row["id"] for row in answers[0][2][:40]]
    assert ties == sorted(ties)


def test_rows_that_no_search_can_find_are_skipped_and_counted(tmp_path: Path) -> None:
    guide = ColourGuide()
    vectors = np.random.default_rng(0).normal(size=(20, guide.dim)).astype(np.float32)
    vectors[[3, 7]], vectors[11, 2] = 0, np.nan
    tally = build_pool(
        str(tmp_path / "pool"), [clip_retrieval(tmp_path / "clip", vectors)], guide, Building(store="reference")
    )
    assert (tally.added, dict(tally.skipped)) == (17, {"embedding is zero": 2, "embedding is not finite": 1})
    facts = describe(str(tmp_path / "pool"))
    assert (facts["images"], facts["skipped"]) == (17, {"embedding is zero": 2, "embedding is not finite": 1})
    assert len(open_pool(str(tmp_path / "pool")).search(torch.eye(guide.dim)[:1], 100)[0]) == 17


@pytest.mark.integration
def test_a_build_killed_by_the_system_loses_nothing(tmp_path: Path, shared_data: Path) -> None:
    """SIGKILL in the middle, from outside; then the same command."""
    script = tmp_path / "go.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys; sys.path[:0] = [{str(Path(__file__).parents[1])!r}]
        from colour_guide import ColourGuide, SentenceGuide
        from imaginate.pool import build, build_pool
        build.COMMIT_ROWS = 256
        build_pool(sys.argv[1], [{str(shared_data / "caltech101-96.zip")!r}], ColourGuide())
        """)
    )
    pool = str(tmp_path / "pool")
    process = subprocess.Popen([sys.executable, str(script), pool])
    while not (Path(pool) / "rows.lance").exists() or len(PoolTable.open(pool)) < 600:
        assert process.poll() is None
    process.kill()
    process.wait()
    there = len(PoolTable.open(pool))
    subprocess.run([sys.executable, str(script), pool], check=True)
    found = ids(pool)
    assert len(found) == len(set(found)) > there


def test_a_table_is_asked_only_for_images_that_it_seems_to_have(tmp_path: Path, guide: ColourGuide) -> None:
    """A question to the table reads all of its ids."""
    from imaginate.pool.known import KnownIds
    from imaginate.pool.probe import new_header

    table = PoolTable.create(str(tmp_path / "pool"), new_header(guide, "reference"))
    vectors = np.eye(guide.dim, dtype=np.float32)
    append = [{"id": f"{i:04d}", "vector": vectors[i % guide.dim]} for i in range(40)]
    table.append_rows(append[:30])
    asked: list[list[str]] = []
    table.known = lambda ids: asked.append(list(ids)) or PoolTable.known(table, ids)  # type: ignore[method-assign]
    known = KnownIds(table)
    assert known.of(["0003", "0033", "x", "0029"]) == {"0003", "0029"}
    table.append_rows(append[30:])
    known.add([str(row["id"]) for row in append[30:]])
    assert known.of(["0003", "0033", "0040"]) == {"0003", "0033"}
    assert (known.of([]), known.of(["y"]), asked[:2]) == (set(), set(), [["0003", "0029"], ["0003", "0033"]])


def test_one_picture_under_many_names_is_one_row_whenever_it_is_committed(
    tmp_path: Path, guide: ColourGuide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads prepare batches before the rows of earlier ones are committed."""
    monkeypatch.setattr(build_module, "COMMIT_ROWS", 1)
    images = tmp_path / "photos" / "ant"
    images.mkdir(parents=True)
    for i in range(24):
        (images / f"{i:03d}.png").write_bytes(png(picture(i % 2)))
    pool = str(tmp_path / "pool")
    tally = build_pool(pool, [str(tmp_path / "photos")], guide, Building(batch=2, threads=2))
    assert (tally.added, tally.known, len(ids(pool))) == (2, 22, 2)


@pytest.mark.parametrize("store", ["bytes", "reference"])
def test_names_that_are_no_text_are_images_like_others(tmp_path: Path, guide: ColourGuide, store: str) -> None:
    """A file name is bytes: from an old archive it is often no UTF-8."""
    images = folder(tmp_path / "photos", each=1)
    other = os.fsencode(images) + b"/cr\xe9me"
    os.mkdir(other)
    for name in (b"\xff.png", b"\xfe.txt"):
        with open(other + b"/" + name, "wb") as file:
            file.write(png(picture(7)) if name.endswith(b"png") else b"cream")
    with open(other + b"/\xfd.doc", "wb") as file:
        file.write(b"no image")
    pool = str(tmp_path / "pool")
    tally = build_pool(pool, [str(images)], guide, Building(store=store))
    assert (tally.added, dict(tally.skipped)) == (4, {"not an image": 1})
    assert "photos/cr\\xe9me/\\xff.png" in {row["source"] for row in rows(pool)}
    opened = open_pool(pool)
    found = [opened.image(row) for row in opened.search(guide.embed_text(["red"]), 4)[0]]
    assert len(found) == 4
    assert build_pool(pool, [str(images)], guide, Building(store=store)).added == 0
