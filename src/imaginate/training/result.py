"""What the training of a classifier comes to, as a person reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from imaginate import markdown


class TrainedClassifier(dict[str, Any]):
    """What `classifier.json` holds, by key; `print` it for a line. It stands for its folder wherever a path is wanted,
    as in `predict(trained, images)`."""

    def __init__(self, facts: Mapping[str, Any], folder: str | os.PathLike[str] = "") -> None:
        super().__init__(facts)
        self.folder = os.fspath(folder)

    def __fspath__(self) -> str:
        """The folder of the classifier."""
        return self.folder

    def __str__(self) -> str:
        """What it was trained on and what it reached, in one line."""
        parts = [f"{self['images']} images", f"{self['updates']} updates"]
        if self["validation"] is not None:
            reached = f"validation {100 * self['validation']:.1f} %"
            parts.append(" ".join([reached, self.get("validation_on", "")]).strip())
        held, leak = self["held_out"], self["leak"]
        if held:
            mean = f", mean per class {100 * held['mean_per_class']:.1f} %" if held.get("classes") != 1 else ""
            parts.append(" ".join([f"held-out top-1 {100 * held['top1']:.1f} %{mean}", held.get("on", "")]).strip())
        if leak and leak["removed"]:
            parts.append(f"without {leak['removed']} held-out images that are among the training images")
        elif leak and leak["same"] + leak["near"]:
            parts.append("though held-out images are among the training images (--allow-leak)")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"TrainedClassifier({self})" if self else "TrainedClassifier()"

    def _repr_html_(self) -> str:
        """For notebooks: the accuracy of each class, where it was measured on held-out images."""
        return markdown.table(self._rows(), str(self))

    def to_pandas(self) -> Any:
        """A row a class, as a pandas data frame (pandas is not installed with imaginate)."""
        import pyarrow as pa

        return pa.Table.from_pylist(self._rows()).to_pandas()

    def _rows(self) -> list[dict[str, Any]]:
        each = (self["held_out"] or {}).get("per_class") or [None] * len(self["classes"])
        return [{"class": name, "held_out": value} for name, value in zip(self["classes"], each, strict=True)]
