"""What the scores are called that several methods give: selection by a score is checked against these names."""

from __future__ import annotations

_PARTS = ("kept", "entropy_gain", "informativeness", "diversity", "total", "terms")
GUIDED = tuple(f"{part}_{when}" for when in ("before", "after") for part in _PARTS)
NEIGHBOUR = ("similarity", "consistency", "probability", "aesthetic", "unsafe")
INFLUENCE = ("influence",)
