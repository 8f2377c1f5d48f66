"""Classes of two sources, matched by name: what becomes of soft labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from imaginate.data.matching import matched
from imaginate.data.opening import open_dataset
from imaginate.records import LabelSpace
from worlds import folder


def test_soft_labels_are_brought_into_our_classes(tmp_path: Path) -> None:
    """An image that is partly of a class that we do not have is left out, with its reason."""
    from dataclasses import replace

    data = open_dataset(str(folder(tmp_path / "data", each=2)))
    assert len(data.labels) == 3
    shares = [(0.7, 0.3, 0.0), None, (0.0, 0.5, 0.5), (0.0, 1.0, 0.0), None, (0.6, 0.0, 0.4)]
    theirs = replace(data, samples=[replace(s, soft_label=one) for s, one in zip(data.samples, shares, strict=True)])
    one, two, _ = data.labels.names
    ours, found = matched(theirs, LabelSpace.of(("other", two, one)), "theirs")
    assert found.labels == {0: 2, 1: 1}
    assert [(s.label, s.soft_label) for s in ours.samples] == [
        (2, pytest.approx((0.0, 0.3, 0.7))),
        (2, None),
        (1, pytest.approx((0.0, 1.0, 0.0))),
    ]
    assert [(s.id, s.reason) for s in ours.skipped] == [
        (data.samples[2].id, "partly of no class of that name"),
        (data.samples[4].id, "no class of that name"),
        (data.samples[5].id, "no class of that name"),
    ]
