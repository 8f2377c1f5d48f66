"""Our own index: every list visited is an exact search, rows may come and go, and what it finds is measured."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from colour_guide import ColourGuide, SentenceGuide
from imaginate.pool import Building, build_pool, open_pool
from imaginate.pool.indexes import config
from imaginate.pool.info import describe
from imaginate.pool.list_index import bring_up_to_date, open_index
from imaginate.pool.probe import new_header
from imaginate.pool.recall import measure
from imaginate.pool.scan import rank
from imaginate.pool.table import PoolTable, Recall
from worlds import clip_retrieval

DIM = 12


def drawn(count: int, seed: int = 0) -> np.ndarray:
    """Unit vectors around a few centres, some of them equal."""
    rng = np.random.default_rng(seed)
    x = np.random.default_rng(9).normal(size=(20, DIM))[rng.integers(20, size=count)] + rng.normal(size=(count, DIM))
    x[:: max(1, count // 7)] = x[0]
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def pool_of(path: Path, vectors: np.ndarray) -> PoolTable:
    table = PoolTable.create(str(path), new_header(ColourGuide(), "reference"))
    append(table, vectors, 0)
    table.index_vectors("ivf-flat")
    table.note_recall(Recall({"images": 0.99}))
    return table


def append(table: PoolTable, vectors: np.ndarray, start: int) -> None:
    rows = [{"id": f"{i + start:05d}", "caption": f"c{i + start}", "vector": v} for i, v in enumerate(vectors)]
    table.append_rows(rows)


@pytest.mark.parametrize("limit", [1, 40, 3000])
def test_all_lists_are_an_exact_search_whatever_else_is_asked(tmp_path: Path, limit: int) -> None:
    vectors, queries = drawn(1500), drawn(9, seed=1)
    index = open_index(pool_of(tmp_path / "pool", vectors))
    assert index is not None
    lists = len(index.lists.centres)
    exact = rank(queries, limit, [([f"{i:05d}" for i in range(len(vectors))], vectors)])
    found = index.search(queries, limit, lists)
    assert [(one.ids, one.similarities) for one in found] == [(one.ids, one.similarities) for one in exact]
    assert [index.search(query[None], limit, 3)[0] for query in queries] == index.search(queries, limit, 3)


def test_rows_that_came_and_went_count_before_and_after_they_are_folded_in(tmp_path: Path) -> None:
    vectors, queries = drawn(1200), drawn(6, seed=1)
    table = pool_of(tmp_path / "pool", vectors)
    append(table, drawn(60, seed=2), 1200)
    nearest = open_pool(table.path).search(torch.from_numpy(queries), 1, exact=True)
    gone = sorted({str(rows[0]["id"]) for rows in nearest})
    table.rows.delete(f"id IN ({', '.join(repr(key) for key in gone)})")
    left = len(table)
    folders = []
    for _ in range(2):
        index = open_index(table)
        assert index is not None
        folders.append(index.built.folder)
        everything = len(index.lists.centres)
        found = index.search(queries, 50, everything)
        exact = rank(queries, 50, table.vectors(500))
        assert [(one.ids, one.similarities) for one in found] == [(one.ids, one.similarities) for one in exact]
        assert not any(set(gone) & set(one.ids) for one in found)
        table.tidy()
        bring_up_to_date(table, "auto")
    index = open_index(table)
    assert index is not None
    assert index.since is None
    assert len(index.lists) == left
    assert folders[0] != folders[1] == index.built.folder  # the second time nothing had changed but the version
    assert [one.name for one in (tmp_path / "pool" / "lists").iterdir()] == [index.built.folder]
    assert table.recall().by_queries == {"images": 0.99}


def test_what_is_known_of_rows_is_read_by_place_as_by_id(tmp_path: Path) -> None:
    table = pool_of(tmp_path / "pool", drawn(900))
    pool, queries = open_pool(table.path), torch.from_numpy(drawn(4, seed=1))
    found = pool.search(queries, 30)
    assert found == [[{**rows, "caption": f"c{int(str(rows['id']))}"} for rows in some] for some in found]
    exact = {row["id"]: row for some in pool.search(queries, 900, exact=True) for row in some}
    assert all(row | {"similarity": 0} == exact[row["id"]] | {"similarity": 0} for some in found for row in some)


def test_the_fewest_lists_that_find_enough_are_measured_and_shown(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(80, DIM))[rng.integers(80, size=6000)] + 0.15 * rng.normal(size=(6000, DIM))).astype(
        "f4"
    )
    source = clip_retrieval(tmp_path / "clip", vectors)

    class Pictures(ColourGuide):
        """Sentences are like pictures."""

        def embed_text(self, texts: list[str]) -> torch.Tensor:
            some = torch.from_numpy(vectors[: 37 * len(texts) : 37])
            return torch.nn.functional.normalize(some + 0.01)

    build_pool(str(tmp_path / "pool"), [source], Pictures(), Building(store="reference", index="ivf-flat"))
    table = PoolTable.open(str(tmp_path / "pool"))
    built, recall = table.built_index(), table.recall()
    assert 0 < built.measured <= built.most_probes() < built.lists
    assert min(recall.by_queries.values()) >= 0.95
    shown = describe(table.path)["index"]
    assert f"visits {built.measured} of {built.lists} lists" in shown
    assert "ivf-flat, used" in shown


def test_an_index_that_finds_too_little_says_so_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = pool_of(tmp_path / "pool", np.random.default_rng(0).normal(size=(3000, DIM)).astype("f4"))
    measure(table, SentenceGuide())
    (said,) = caplog.messages
    assert "finds too little of the true nearest" in said
    assert "compares with every row" in said
    assert not table.recall().is_enough


def test_files_that_are_gone_mean_an_exact_search(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = pool_of(tmp_path / "pool", drawn(900))
    shutil.rmtree(tmp_path / "pool" / "lists")
    pool, queries = open_pool(table.path), torch.from_numpy(drawn(4, seed=1))
    assert pool.search(queries, 30) == pool.search(queries, 30, exact=True)
    assert "searched exactly; run `imaginate pool build` again" in caplog.text
    bring_up_to_date(table, "auto")
    assert open_index(table) is not None


def test_far_more_rows_than_the_index_knows_mean_an_exact_search_until_the_next_build(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imaginate.pool.list_index.FEW", 10)
    table = pool_of(tmp_path / "pool", drawn(600))
    append(table, drawn(200, seed=2), 600)
    pool, queries = open_pool(table.path), torch.from_numpy(drawn(4, seed=1))
    assert pool.search(queries, 30) == pool.search(queries, 30, exact=True)
    assert "200 images that its index lacks" in caplog.text
    bring_up_to_date(table, "ivf-flat")
    assert (table.built_index().rows, table.recall().by_queries) == (800, {})  # to be measured anew


def test_a_pool_of_an_earlier_version_keeps_its_index(tmp_path: Path) -> None:
    """LanceDB's own index, and facts about it without the later columns."""
    table = PoolTable.create(str(tmp_path / "pool"), new_header(ColourGuide(), "reference"))
    append(table, drawn(600), 0)
    table.rows.create_index("vector", config=config("ivf-flat", 24))
    database = table._database
    database.create_table("built", pa.table({"lists": [24], "rows": [600]}))
    database.create_table("recall", pa.table({"queries": ["images"], "recall": [0.97], "rows": [600]}))
    opened = PoolTable.open(table.path)
    assert (opened.indexed(), opened.recall().is_enough) == ("IvfFlat", True)
    assert "IvfFlat, used (finds 97% for images" in describe(table.path)["index"]
    found = open_pool(table.path).search(torch.from_numpy(drawn(4, seed=1)), 10)
    assert [len(rows) for rows in found] == [10] * 4


def test_a_recall_of_exactly_enough_is_enough() -> None:
    """A hundred shares whose sum is 95 in decimals, and a little less in binary numbers."""
    shares = [0.94, 0.96] * 50
    mean = sum(shares) / len(shares)
    assert mean < 0.95
    assert Recall({"images": mean}).is_enough
    assert not Recall({"images": 0.9499}).is_enough
    assert not Recall({}).is_enough
