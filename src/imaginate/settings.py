"""One declaration per setting: a dataclass field made by `setting` is a hyper-parameter, a flag, a recipe key, a check
and a line of documentation.

    @dataclass(frozen=True, kw_only=True)
    class Cutout:
        size: float = setting(0.5, "side of the square, a share of the short side", gt=0, le=1, source="sec. 3")

        def __post_init__(self) -> None:
            check(self)

Supported types: int, float, bool, str, Literal[...], `T | None`, and tuple[T, ...] of those.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import math
import os
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from imaginate.errors import ConfigError

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")
_KEY = "imaginate"
# Rows of data may name addresses of a private network: the flag, and the variable that worker processes see.
PRIVATE_FLAG, PRIVATE_SWITCH = "--private-addresses", "IMAGINATE_PRIVATE_ADDRESSES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Meaning, bounds and origin of one setting."""

    help: str
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    source: str = ""
    flag: str = ""
    needs: str = ""  # a role that is needed where this setting is given

    def __str__(self) -> str:
        low = f"({self.gt:g}" if self.gt is not None else f"[{self.ge:g}" if self.ge is not None else "(-inf"
        high = f"{self.lt:g})" if self.lt is not None else f"{self.le:g}]" if self.le is not None else "inf)"
        return "" if (low, high) == ("(-inf", "inf)") else f"in {low}, {high}"

    def allows(self, value: float) -> bool:
        """Whether a number is finite and inside the bounds."""
        bounds = (
            self.gt is None or value > self.gt,
            self.ge is None or value >= self.ge,
            self.lt is None or value < self.lt,
            self.le is None or value <= self.le,
        )
        return value == value and abs(value) != math.inf and all(bounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A field as seen from outside: what the flags, the docs and the recipe are derived from."""

    name: str
    type: Any
    default: Any
    rule: Rule
    required: bool

    @property
    def flag(self) -> str:
        """The command line flag, `--num-ops`."""
        return "--" + (self.rule.flag or self.name).replace("_", "-")

    @property
    def label(self) -> str:
        """How a message calls it: as the command line does, where that has another name for it."""
        return self.rule.flag or self.name

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words of a Literal; empty for other types."""
        kind = _without_none(self.type)
        return tuple(get_args(kind)) if get_origin(kind) is Literal else ()


def setting(
    default: Any = dataclasses.MISSING,
    help: str = "",
    *,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    source: str = "",
    flag: str = "",
    needs: str = "",
) -> Any:
    """A dataclass field with its meaning, its bounds, where it comes from (paper and equation), and the role that is
    needed where it is given."""
    rule = Rule(help=help, gt=gt, ge=ge, lt=lt, le=le, source=source, flag=flag, needs=needs)
    return dataclasses.field(default=default, metadata={_KEY: rule})


def reworded(cls: type, name: str, help: str) -> Any:
    """A setting of another class, with another meaning written down: its default and its bounds stay declared once."""
    field = next(f for f in dataclasses.fields(cls) if f.name == name)
    rule = dataclasses.replace(field.metadata[_KEY], help=help)
    return dataclasses.field(default=field.default, metadata={_KEY: rule})


def settings_of(cls: type) -> list[Setting]:
    """The settings of a dataclass, in order; fields not made by `setting` are left out."""
    hints = typing.get_type_hints(cls)
    return [
        Setting(
            name=f.name,
            type=hints[f.name],
            default=None if f.default is dataclasses.MISSING else f.default,
            rule=f.metadata[_KEY],
            required=f.default is dataclasses.MISSING,
        )
        for f in dataclasses.fields(cls)
        if _KEY in f.metadata
    ]


def values_of(instance: Any) -> dict[str, Any]:
    """The settings of an instance as YAML can hold them: lists in place of tuples."""
    values = {s.name: getattr(instance, s.name) for s in settings_of(type(instance))}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def roles_by_settings(instance: Any) -> tuple[str, ...]:
    """The roles that an instance needs because of settings that were given."""
    given = (s for s in settings_of(type(instance)) if s.rule.needs and getattr(instance, s.name) is not None)
    return tuple(dict.fromkeys(s.rule.needs for s in given))


def check_price(price: float | None) -> None:
    """Refuse an hourly price that is negative or not finite, before any work."""
    rule = Rule(help="price of the machine, an hour", ge=0)
    if price is not None and not rule.allows(price):
        raise ConfigError(f"hourly price must be {rule}, got {price:g}")


def check(instance: Any) -> None:
    """Refuse a value outside its rule, and a number that is not finite: `strength must be in (0, 1], got 3`. Call it in
    `__post_init__`."""
    for s in settings_of(type(instance)):
        _check_one(s, getattr(instance, s.name))


def _check_one(s: Setting, value: Any) -> None:
    if value is None and s.type is not _without_none(s.type):
        return
    values: Iterable[Any] = value if isinstance(value, tuple) else (value,)
    for v in values:
        if s.choices and v not in s.choices:
            raise ConfigError(f"{s.label} must be one of {', '.join(s.choices)}, got {v!r}")
        if not (s.rule.allows(v) if isinstance(v, (int, float)) else str(s.rule) == ""):
            raise ConfigError(f"{s.label} must be {str(s.rule) or 'finite'}, got {v!r}")


def build(cls: type[T], values: Mapping[str, Any], *, where: str = "") -> T:
    """An instance from plain values (YAML, flags): types are converted, unknown keys refused with the nearest name."""
    known = {s.name: s for s in settings_of(cls)}
    place = f" of {where}" if where else ""
    for key in values:
        if key not in known:
            raise ConfigError(f"unknown setting{place}: {key!r}{nearest(key, known)}")
    missing = [s.name for s in known.values() if s.required and s.name not in values]
    if missing:
        raise ConfigError(f"missing setting{place}: {', '.join(missing)}")
    return cls(**{key: convert(known[key], value) for key, value in values.items()})


def with_keywords(*classes: type, open_ended: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A function whose `**settings` are the settings of these classes: its signature shows each, with type and default.

    Required settings, and those that are parameters of their own, are left out. `open_ended`: `**settings` takes others
    too (those of a method that is named in the call).
    """

    def shown(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        own = {name: p for name, p in signature.parameters.items() if p.kind is not inspect.Parameter.VAR_KEYWORD}
        added = [
            inspect.Parameter(s.name, inspect.Parameter.KEYWORD_ONLY, default=s.default, annotation=s.type)
            for cls in classes
            for s in settings_of(cls)
            if not s.required and s.name not in own
        ]
        more = [p for p in signature.parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD and open_ended]
        parameters = [*own.values(), *added, *more]
        function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return function

    return shown


LONGEST_LIST = 40  # names in an error; there are 36 methods, and more than 1,000 networks of timm


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'randaugment'?`, or the list of what there is; of a long one the nearest names."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    if len(names) > LONGEST_LIST:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.0)
        return f"; the nearest of {len(names):,} names: {', '.join(near)}"
    return f"; there is {', '.join(names)}" if names else ""


def convert(s: Setting, value: Any) -> Any:
    """A plain value (string of a flag, YAML scalar or list) as the setting's type."""
    kind = _without_none(s.type)
    if value is None or (value == "none" and kind is not s.type):
        if kind is s.type:
            raise ConfigError(f"{s.label} must not be empty")
        return None
    try:
        return _convert(kind, value)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{s.label} must be {type_name(s.type)}, got {value!r}") from None


def _convert(kind: Any, value: Any) -> Any:
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        value = [value] if isinstance(value, (int, float)) else value  # a single number is a list of one
        parts = [p for p in value.split(",") if p] if isinstance(value, str) else list(value)
        return tuple(_convert(item, part) for part in parts)
    if get_origin(kind) is Literal:
        return str(value)
    if kind is bool:
        return _bool(value)
    if kind is int and (isinstance(value, bool) or (isinstance(value, float) and value != int(value))):
        raise ValueError(value)
    if kind is str and isinstance(value, os.PathLike):
        return os.fspath(value)  # what a fit returns is a path, and prints as more than one
    if kind in (int, float, str):
        return kind(value)
    return value


def _bool(value: Any) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    text = str(value).lower()
    if text not in words:
        raise ValueError(value)
    return words[text]


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        rest = [a for a in get_args(kind) if a is not type(None)]
        return rest[0] if len(rest) == 1 else kind
    return kind


def type_name(kind: Any) -> str:
    """A type as a person reads it: `int`, `float or none`, `list of str`, `one of a, b`."""
    plain = _without_none(kind)
    end = "" if plain is kind else " or none"
    if get_origin(plain) is Literal:
        return "one of " + ", ".join(get_args(plain)) + end
    if get_origin(plain) is tuple:
        return f"list of {type_name(get_args(plain)[0])}{end}"
    return f"{getattr(plain, '__name__', plain)}{end}"
