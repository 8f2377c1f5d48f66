"""What a person names as a source: a place, or a pattern of places."""

from __future__ import annotations

import fsspec

from imaginate.pool.listing import units_of


def test_a_source_behind_a_url_that_is_there_is_no_pattern() -> None:
    store = fsspec.filesystem("memory")
    for name in ("a[1].tar", "a1.tar", "ab1.tar"):
        store.pipe_file(f"/signs/{name}", b"")
    assert [unit.name for unit in units_of("memory://signs/a[1].tar")] == ["a[1].tar"]
    assert [unit.name for unit in units_of("memory://signs/a[b]1.tar")] == ["ab1.tar"]
