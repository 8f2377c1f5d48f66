"""Every registered class is declared word for word as its contract; mypy holds its body to that declaration."""

from __future__ import annotations

import inspect

import pytest

from imaginate import registry
from imaginate.contract import Filter, Method

CONTRACTS = {"methods": (Method, "expand"), "filters": (Filter, "judge")}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in CONTRACTS for name in registry.names(kind)])
def test_every_class_is_declared_as_its_contract(kind: registry.Kind, name: str) -> None:
    contract, verb = CONTRACTS[kind]
    cls = registry.find(kind, name)
    for attribute, told in contract.__annotations__.items():
        assert cls.__annotations__[attribute] == told, attribute
    assert inspect.signature(getattr(cls, verb)) == inspect.signature(getattr(contract, verb))
