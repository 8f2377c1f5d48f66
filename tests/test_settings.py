"""Settings: bounds and finiteness, for every dataclass alike."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Any

import pytest

from imaginate.errors import ConfigError
from imaginate.settings import build, check, nearest, setting, settings_of


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


def test_a_reworded_setting_keeps_default_and_bounds() -> None:
    from imaginate.evaluation.protocol import Protocol
    from imaginate.training.classifier import Training
    from imaginate.training.settings import ClassifierSettings

    shared = {s.name: s for s in settings_of(ClassifierSettings)}
    assert len(shared) > 10
    for cls in (Training, Protocol):
        own = {s.name: s for s in settings_of(cls)}
        for name, s in shared.items():
            assert (own[name].type, own[name].default, str(own[name].rule)) == (s.type, s.default, str(s.rule))


def test_a_function_shows_each_of_its_settings_with_type_and_default() -> None:
    from imaginate.evaluation.protocol import Protocol
    from imaginate.evaluation.study import compare
    from imaginate.training.classifier import Training, train

    for function, cls in ((train, Training), (compare, Protocol)):
        parameters = inspect.signature(function).parameters
        assert not [p for p in parameters.values() if p.kind is p.VAR_KEYWORD]
        for s in settings_of(cls):
            assert s.name in parameters
            if not s.required:
                assert (parameters[s.name].default, parameters[s.name].annotation) == (s.default, s.type)


def test_an_error_never_lists_a_thousand_names() -> None:
    names = [f"network{i:04d}" for i in range(1000)]
    said = nearest("qqq", names)
    assert said.startswith("; the nearest of 1,000 names: network")
    assert said.count(",") == 3
    assert nearest("network0007x", names) == "; did you mean 'network0007'?"
    assert nearest("qqq", names[:3]) == "; there is network0000, network0001, network0002"
