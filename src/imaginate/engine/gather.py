"""Loose keywords, as a call or the flags of a command give them, sorted into the sections of a recipe."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from imaginate import registry
from imaginate.contract import Guard
from imaginate.engine.recipe import SECTIONS, Recipe, as_list, as_mapping, name_and_settings
from imaginate.engine.resolve import ResolvedRecipe
from imaginate.errors import ConfigError
from imaginate.settings import nearest, settings_of


def gather(
    recipe: Recipe | ResolvedRecipe | Mapping[str, Any] | None,
    data: str | None,
    method: str | None,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Loose keywords, or flags, sorted into the sections of a recipe: they override what the recipe itself says."""
    if isinstance(recipe, ResolvedRecipe):
        recipe = recipe.given
    if recipe is not None and not isinstance(recipe, (Recipe, Mapping)):
        raise ConfigError(
            f"recipe must be a mapping of sections, got {recipe!r}; a file is read by yaml.safe_load, or by the "
            "command's --recipe"
        )
    if method is not None and not isinstance(method, str):
        raise ConfigError(f"method must be the name of one, got {method!r}; a whole recipe is given as recipe=...")
    given = recipe.as_given() if isinstance(recipe, Recipe) else recipe or {}
    named = _method_of(given.get("method"), method)
    values = {**given, "method": named}
    own = {s.name for s in settings_of(registry.find("methods", named["name"]))}
    homes = {s.name: key for key, cls in SECTIONS.items() for s in settings_of(cls)}
    for key, value in settings.items():
        if key in own:
            named[key] = value
        elif key == "filters":
            values["filters"] = value
        elif key in homes:
            _set(values, homes[key], key, value)
        else:
            raise ConfigError(f"unknown setting {key!r} of {named['name']}{nearest(key, own | set(homes))}")
    if data is not None:
        _set(values, "data", "path", data)
    if "filters" not in settings:
        values["filters"] = [_without_guarded(item, set(settings)) for item in as_list(values.get("filters"))]
    return values


def _method_of(current: Any, method: str | None) -> dict[str, Any]:
    """The recipe's method with its settings, unless another is asked for."""
    name, settings = (None, {}) if current is None else name_and_settings(current, "method")
    if method is not None and method != name:
        return {"name": method}
    if name is None:
        raise ConfigError("no method: give --method NAME (`imaginate methods` lists them) or a recipe")
    return {"name": name, **settings}


def _set(values: dict[str, Any], section: str, key: str, value: Any) -> None:
    values[section] = {**as_mapping(values.get(section) or {}, section), key: value}


def _without_guarded(item: Any, given: Collection[str]) -> Any:
    """A recipe's filter; a guard without the settings that a role fills which is given now."""
    name, values = name_and_settings(item, "filters")
    cls = registry.find("filters", name)
    if isinstance(cls, Guard) and not set(given).isdisjoint(cls.guards.values()):
        values = {key: value for key, value in values.items() if key not in cls.guards}
    return {"name": name, **values}
