"""Who was made from whom, over runs that were made from runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imaginate import expand
from imaginate.data.lineage import Lineage, check_made_from, parents_among, read_lineage
from imaginate.errors import DataError
from imaginate.runs import RunFolder
from worlds import folder


def rows_of(run: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(run / "metadata.parquet").to_pylist())


def family(run: Path) -> dict[str, frozenset[str]]:
    """New image -> the originals that the run itself holds among its ancestors."""
    lineage = read_lineage(RunFolder(run))
    return parents_among([row["file_name"] for row in rows_of(run) if row["origin"] == "original"], lineage, lineage)


@pytest.fixture
def chain(tmp_path: Path) -> tuple[Path, Path]:
    """A run of mixed images, and a second run of mixed images made from the first."""
    data, first, second = folder(tmp_path / "data", each=3), tmp_path / "first", tmp_path / "second"
    expand(str(data), str(first), method="mixup", copies=1, progress=False)
    expand(str(first), str(second), method="mixup", copies=1, progress=False)
    return first, second


def test_a_family_holds_mixing_partners_and_grandparents(chain: tuple[Path, Path]) -> None:
    first, second = chain
    own = {row["seed_image"]: row["file_name"] for row in rows_of(second) if row["origin"] == "original"}
    before = {row["file_name"]: row for row in rows_of(first)}
    copied = {row["seed_image"]: row["file_name"] for row in before.values() if row["origin"] == "original"}

    def ancestors(name: str) -> set[str]:
        row = before[name]
        if row["origin"] == "original":
            return {own[name]}
        return {own[copied[source]] for source in (row["seed_image"], row["info_partner"])}

    made = [row for row in rows_of(second) if row["origin"] != "original"]
    parents = {row["file_name"]: [n for n in (row["seed_image"], row["info_partner"]) if n] for row in made}
    expected = {name: frozenset().union(*map(ancestors, names)) for name, names in parents.items()}
    found = family(second)
    assert found == expected
    assert len(found) == 27  # 18 made, and the 9 of the first run that the second keeps
    assert max(map(len, found.values())) > 2


def test_a_run_whose_source_run_is_gone_is_refused(chain: tuple[Path, Path]) -> None:
    first, second = chain
    shutil.rmtree(first.parent / "data")
    assert family(second)
    shutil.rmtree(first)
    with pytest.raises(DataError, match=r"second was made from the run .*first, which is not there"):
        family(second)


def test_a_dataset_with_a_table_of_its_own_is_no_run(tmp_path: Path) -> None:
    data = folder(tmp_path / "data", each=2)
    names = sorted(str(p.relative_to(data)) for p in data.rglob("*.png"))
    pq.write_table(pa.table({"file_name": names, "label": [n[:3] for n in names]}), data / "metadata.parquet")
    expand(str(data), str(tmp_path / "run"), method="cutout", copies=1, progress=False)
    lineage = read_lineage(RunFolder(tmp_path / "run"))
    check_made_from("run", lineage, names, Lineage())
    assert set().union(*parents_among(names, Lineage(), lineage).values()) == set(names)
    assert {len(parents) for parents in family(tmp_path / "run").values()} == {1}
