"""What is read from data stops at its limits with one line: a small file may stand for a large one."""

from __future__ import annotations

import pytest

from imaginate import limits


def test_aliases_count_with_all_that_they_stand_for(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: &a [1, 2, 3]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n"
    assert limits.parse_yaml(text)["c"][0][0] == [1, 2, 3]
    monkeypatch.setattr(limits, "YAML_VALUES", 50)
    with pytest.raises(ValueError, match="its aliases stand for more than 50 values"):
        limits.parse_yaml(text)


def test_what_is_too_long_or_too_deep_or_holds_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="an alias in it holds itself"):
        limits.parse_yaml("a: &a [*a]\n")
    with pytest.raises(ValueError, match="nested too deeply"):
        limits.parse_yaml("[" * 5000 + "]" * 5000)
    monkeypatch.setattr(limits, "YAML_BYTES", 10)
    with pytest.raises(ValueError, match="it is longer than 10 bytes"):
        limits.parse_yaml("a: 123456789\n")


def test_texts_stay_texts_where_that_is_asked_for() -> None:
    assert limits.parse_yaml("a: [0, no, 2001-01-01]\n", as_texts=True) == {"a": ["0", "no", "2001-01-01"]}
    with pytest.raises(ValueError, match="could not determine a constructor"):
        limits.parse_yaml("a: !unknown 1\n")
