"""What a run found of its images itself, kept in a column of its own (`info_own_scores`) while the scores of a
refiltering stand in its place: the next one begins with the run's, and one without filters ends with them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from imaginate.runs import Row

OWN = "info_own_scores"


def put(row: Row, found: Mapping[str, Any]) -> None:
    """Write findings into a row that the tables of the run gave; what stood there is kept, once."""
    kept = json.loads(row[OWN]) if row.get(OWN) else {"was": {}, "new": []}
    for name in found:
        if name not in kept["was"] and name not in kept["new"]:
            if row.get(name) is None:  # whether there is such a column: a killed process may have written it
                kept["new"].append(name)
            else:
                kept["was"][name] = row[name]
    row.update(found)
    row[OWN] = json.dumps(kept, ensure_ascii=False)


def take_back(rows: Sequence[Row]) -> set[str]:
    """Every row with the findings of the run; returns the columns that some row did not have."""
    new: set[str] = set()
    for row in rows:
        if row.get(OWN):
            kept = json.loads(row[OWN])
            row.update(kept["was"])
            row.update(dict.fromkeys(kept["new"]))
            new.update(kept["new"])
            row[OWN] = None
    return new
