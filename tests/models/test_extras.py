"""What is not installed is said before work begins, with the words that install it."""

from __future__ import annotations

from typing import Any

import pytest

from imaginate.engine.resolve import recipe_from
from imaginate.errors import ConfigError
from imaginate.models import extras
from imaginate.models.guides import build_guide
from imaginate.models.priors import build_prior
from imaginate.records import LabelSpace


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of libraries that are not there."""
    gone: set[str] = set()
    real = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in gone else real(name))
    return gone


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("diffusers", {"method": "sd", "prior": "nano"}, "sd needs diffusers, which is not installed: .*diffusion"),
    ("transformers", {"method": "gif-mae", "prior": "nano", "guide": "nano"}, "gif-mae needs transformers.*guides"),
    ("timm", {"method": "gif-sd", "prior": "nano", "guide": "nano"}, "gif-sd needs timm.*guides"),
    ("lancedb", {"method": "retrieval", "pool": "x", "guide": "nano"}, "retrieval needs lancedb.*pool"),
]


@pytest.mark.parametrize(("library", "asked", "words"), CASES)
def test_a_run_says_so_before_it_begins(library: str, asked: dict[str, Any], words: str, lacking: set[str]) -> None:
    method = asked.pop("method")
    values = {"data": {"path": "x"}, "method": {"name": method}, "roles": asked}
    recipe_from(values)
    lacking.add(library)
    with pytest.raises(ConfigError, match=words) as caught:
        recipe_from(values)
    assert "\n" not in str(caught.value)
    recipe_from({"data": {"path": "x"}, "method": {"name": "flip-crop"}})


def test_whoever_builds_one_says_so(lacking: set[str]) -> None:
    lacking |= {"transformers", "diffusers"}
    with pytest.raises(ConfigError, match=r"guide nano needs transformers, .* pip install 'imaginate\[guides\]'"):
        build_guide("nano", LabelSpace.of(["a", "b"]))
    with pytest.raises(ConfigError, match=r"prior nano needs diffusers, transformers, which are not installed"):
        build_prior("stable-diffusion", "nano")
