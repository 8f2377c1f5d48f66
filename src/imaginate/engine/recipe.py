"""The whole configuration of a run: what a recipe file says, what the flags say, and what is written beside the result.

data:    {path: flowers/, split: train}
method:  {name: randaugment, num_ops: 2}
expand:  {copies: 5, seed: 0}
roles:   {guide: nano}
filters: [{name: consistency}]
select:  {policy: first}
write:   {format: png}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from imaginate import registry
from imaginate.data.spec import DataSpec
from imaginate.devices import check_device
from imaginate.engine.checks import check_recipe
from imaginate.errors import ConfigError
from imaginate.files import short_hash
from imaginate.select import Selection, required_filters
from imaginate.settings import build, check, nearest, setting, settings_of
from imaginate.write.images import Writing


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much is made, and from which run seed."""

    copies: int = setting(5, "new images of each seed image; of a class-started method, times the class's size", ge=1)
    per_class: int | None = setting(None, "a fixed number of new images per class (class-started methods)", ge=1)
    seed: int = setting(0, "run seed, from which every image's own seed is hashed", ge=0)
    batch: int = setting(16, "seed images given to the method at a time", ge=1)
    shard: int = setting(256, "new images committed at a time; at most this many are lost by a crash", ge=1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Roles:
    """The networks and data that a method or filter may need."""

    guide: str | None = setting(None, "guide: nano, clip:ID-or-folder, prototypes:BACKBONE, probe:..., finetuned:...")
    guide_prompts: str | None = setting(None, "single, clip-80, a sentence with {}, or a file of them (text guides)")
    prior: str | None = setting(None, "prior: nano, or a checkpoint's id or folder")
    adaptation: str | None = setting(None, "adaptation folder written by `imaginate fit`")
    pool: str | None = setting(None, "retrieval pool written by `imaginate pool build`")
    held_out: str | None = setting(None, "dataset that must not leak in: its near-duplicates are rejected")
    held_out_split: str | None = setting(None, "split of the held-out dataset")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = setting(
        "auto", "number format of the prior; auto is float32 on a CPU, bfloat16 on a GPU that has it"
    )
    compile: bool = setting(False, "compile the prior's networks: slower to start, then faster on a GPU")
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps")

    def __post_init__(self) -> None:
        check(self)
        check_device(self.device)


SECTIONS: dict[str, type] = {"data": DataSpec, "expand": Amount, "roles": Roles, "select": Selection, "write": Writing}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One run, completely. Build it with `recipe_from`; `to_dict` is the recipe file."""

    data: DataSpec
    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    expand: Amount = Amount()
    roles: Roles = Roles()
    filters: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    select: Selection = field(default_factory=Selection)
    write: Writing = field(default_factory=Writing)

    def make_method(self) -> Any:
        """The method with its settings."""
        return registry.make("methods", self.method, self.settings)

    def all_filters(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The filters asked for, those that the selection rests on, and leak control where a held-out set is named."""
        place = {"path": self.roles.held_out, "split": self.roles.held_out_split} if self.roles.held_out else {}
        wanted: list[tuple[str, Mapping[str, Any]]] = [
            (name, {**place, **values} if name == "held-out" else dict(values)) for name, values in self.filters
        ]
        named = {name for name, _ in wanted}
        for name, values in required_filters(self.select):
            if name not in named:
                wanted.append((name, dict(values)))
                named.add(name)
        if self.roles.held_out and "held-out" not in named:
            wanted.append(("held-out", place))
        return wanted

    def as_given(self) -> dict[str, Any]:
        """Plain values that make this recipe again, without what follows from them: each can be changed alone."""
        return {
            **{key: plain(getattr(self, key)) for key in SECTIONS},
            "method": {"name": self.method, **self.settings},
            "filters": [{"name": name, **values} for name, values in self.filters],
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values, every default written out."""
        method = self.make_method()
        return {
            "data": plain(self.data),
            "method": {"name": self.method, **plain(method)},
            "expand": plain(self.expand),
            "roles": plain(self.roles),
            "filters": [{"name": n, **plain(registry.make("filters", n, v))} for n, v in self.all_filters()],
            "select": plain(self.select),
            "write": plain(self.write),
        }

    def fingerprint(self, data: str) -> str:
        """A hash of all that determines the images: this recipe (the data's path left out) and the data's own hash."""
        return short_hash({"recipe": determining(self.to_dict()), "data": data})


def plain(instance: Any) -> dict[str, Any]:
    """The settings of an instance as YAML can hold them."""
    values = {s.name: getattr(instance, s.name) for s in settings_of(type(instance))}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def determining(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a recipe that the result depends on: where the data lie, and on what device, do not count."""
    out = {k: dict(v) if isinstance(v, Mapping) else v for k, v in recipe.items()}
    out["data"].pop("path", None)
    out["roles"].pop("device", None)
    return out


def recipe_from(values: Mapping[str, Any]) -> Recipe:
    """A recipe from plain nested values (a YAML file, or flags gathered by section), checked as a whole.

    Raises ConfigError for an unknown key (with the nearest name), a missing one, a value outside its rule, a role that
    is needed and not named, or named and not needed.
    """
    recipe = read_recipe(values)
    check_recipe(recipe)
    return recipe


def read_recipe(values: Mapping[str, Any]) -> Recipe:
    """The recipe as it is written: every key and value checked, each alone."""
    known = [*SECTIONS, "method", "filters"]
    for key in values:
        if key not in known:
            raise ConfigError(f"unknown recipe key {key!r}{nearest(key, known)}")
    name, settings = _named(values.get("method"), "method")
    sections: dict[str, Any] = {
        key: build(cls, _mapping(values.get(key) or {}, key), where=f"recipe section {key!r}")
        for key, cls in SECTIONS.items()
    }
    filters = tuple(_named(item, "filters") for item in _listed(values.get("filters")))
    return Recipe(method=name, settings=settings, filters=filters, **sections)


def gather(
    recipe: Recipe | Mapping[str, Any] | None, data: str | None, method: str | None, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Loose keywords, or flags, sorted into the sections of a recipe: they override what the recipe itself says."""
    given = recipe.as_given() if isinstance(recipe, Recipe) else recipe or {}
    named = _chosen(given.get("method"), method)
    values = {**given, "method": named}
    own = {s.name for s in settings_of(registry.find("methods", named["name"]))}
    homes = {s.name: key for key, cls in SECTIONS.items() for s in settings_of(cls)}
    for key, value in settings.items():
        if key in own:
            named[key] = value
        elif key == "filters":
            values["filters"] = value
        elif key in homes:
            _put(values, homes[key], key, value)
        else:
            raise ConfigError(f"unknown setting {key!r} of {named['name']}{nearest(key, own | set(homes))}")
    if data is not None:
        _put(values, "data", "path", data)
    if "filters" not in settings and {"held_out", "held_out_split"} & settings.keys():
        values["filters"] = [_anywhere(item) for item in _listed(values.get("filters"))]
    return values


def _chosen(current: Any, method: str | None) -> dict[str, Any]:
    """The recipe's method with its settings, unless another is asked for."""
    name, settings = (None, {}) if current is None else _named(current, "method")
    if method is not None and method != name:
        return {"name": method}
    if name is None:
        raise ConfigError("no method: give --method NAME (`imaginate methods` lists them) or a recipe")
    return {"name": name, **settings}


def _put(values: dict[str, Any], section: str, key: str, value: Any) -> None:
    values[section] = {**_mapping(values.get(section) or {}, section), key: value}


def _anywhere(item: Any) -> Any:
    """A recipe's filter; leak control without the dataset that it named, in favour of one that is named now."""
    name, values = _named(item, "filters")
    return {"name": name, **{k: v for k, v in values.items() if name != "held-out" or k not in ("path", "split")}}


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"recipe section {key!r} must be a mapping of settings, got {value!r}")
    return value


def _listed(value: Any) -> list[Any]:
    if value is not None and not isinstance(value, (list, tuple)):
        raise ConfigError(f"recipe key 'filters' must be a list of filters, got {value!r}")
    return list(value or [])


def _named(value: Any, key: str) -> tuple[str, dict[str, Any]]:
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise ConfigError(f"recipe key {key!r} must be a name, or a mapping with a name, got {value!r}")
    return value["name"], {k: v for k, v in value.items() if k != "name"}


def changes(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What differs between two plain recipes: `method.num_ops was 2, is 3`."""
    out = []
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            out += changes(old, new, f"{prefix}{key}.")
        elif old != new:
            out.append(f"{prefix}{key} was {old!r}, is {new!r}")
    return out
