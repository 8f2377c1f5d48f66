"""Settings: bounds and finiteness, for every dataclass alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest

from imaginate.errors import ConfigError
from imaginate.settings import build, check, setting


@dataclass(frozen=True, kw_only=True)
class Knobs:
    rate: float | None = setting(None, "bounded below", gt=0)
    shift: float = setting(0.0, "without bounds")
    count: int = setting(1, "a whole number", ge=1)
    marks: tuple[float, ...] = setting((), "several", ge=0)

    def __post_init__(self) -> None:
        check(self)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", math.inf, -math.inf, math.nan])
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("rate", r"rate must be in \(0, inf\), got "),
        ("shift", "shift must be finite, got "),
        ("count", "count must be int, got "),
        ("marks", r"marks must be in \[0, inf\), got "),
    ],
)
def test_what_is_no_finite_number_is_refused(name: str, rule: str, value: Any) -> None:
    given = [value] if name == "marks" else value
    with pytest.raises(ConfigError, match=rule) as caught:
        build(Knobs, {name: given})
    assert "\n" not in str(caught.value)


def test_a_float_in_code_is_held_to_the_same_rule() -> None:
    with pytest.raises(ConfigError, match=r"count must be in \[1, inf\), got inf"):
        Knobs(count=math.inf)  # type: ignore[arg-type]
    assert build(Knobs, {"rate": "1e300", "shift": -1e300, "count": 10**400}).count == 10**400
