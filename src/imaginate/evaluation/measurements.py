"""What the metrics found on a run, as a person reads it."""

from __future__ import annotations

from typing import Any

from imaginate import markdown


class Measurements(dict[str, Any]):
    """What `metrics.json` holds, by key; in a notebook and in `to_pandas()` a row a metric."""

    def __repr__(self) -> str:
        return f"Measurements({self['run']!r}: {', '.join(self._words())})"

    def _words(self) -> list[str]:
        known = [m for m in self["metrics"] if m["value"] is not None]
        return [f"{m['name']} {m['value']:.4g}" for m in known]

    def _repr_html_(self) -> str:
        """For notebooks: the metrics."""
        return markdown.table(self._rows(), f"{self['run']}: {self['images']['new']} new images")

    def to_pandas(self) -> Any:
        """A row a metric, as a pandas data frame (pandas is not installed with imaginate)."""
        import pyarrow as pa

        return pa.Table.from_pylist(self._rows()).to_pandas()

    def _rows(self) -> list[dict[str, Any]]:
        names = ("name", "title", "value", "originals", "better", "note")
        return [{name: m.get(name) for name in names} for m in self["metrics"]]
