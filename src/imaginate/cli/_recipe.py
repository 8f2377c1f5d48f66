"""Recipe flags, shared by the commands that make or plan a run: every setting of every section, and of the method."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from imaginate import registry
from imaginate.cli._common import asked, read_mapping
from imaginate.cli._flags import add_settings
from imaginate.engine.gather import gather
from imaginate.engine.recipe import SECTIONS
from imaginate.errors import ConfigError
from imaginate.settings import nearest, settings_of

_TITLES = {
    "data": "data (what is read)",
    "expand": "amount",
    "roles": "roles (networks and data that methods and filters use)",
    "select": "selection",
    "write": "writing",
}


def add_recipe_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of every section; the method's own are added by `add_dynamic`."""
    parser.add_argument("--recipe", metavar="FILE", help="recipe file (YAML); flags override it")
    parser.add_argument("--method", metavar="NAME", help="expansion method; `imaginate methods` lists them")
    parser.add_argument(
        "--filter",
        metavar="NAME[:key=value,...]",
        action="append",
        default=[],
        help="judge of the new images, repeatable; `imaginate methods --filters` lists them",
    )
    for key, cls in SECTIONS.items():
        group = parser.add_argument_group(_TITLES[key])
        add_settings(group, cls, prefix=f"{key}.", skip=("path",))


def add_dynamic(parser: argparse.ArgumentParser, rest: Sequence[str]) -> None:
    """Add the flags of the method that the command line or the recipe names."""
    name = asked(rest, "--method") or _method_of(asked(rest, "--recipe"))
    if name is not None:
        cls = registry.find("methods", name)
        own = parser.add_argument_group(f"method {name}")
        add_settings(own, cls, prefix="method.")


def _method_of(recipe: str | None) -> str | None:
    named = load_recipe(recipe).get("method") if recipe else None
    return named if isinstance(named, str) else (named or {}).get("name")


def load_recipe(path: str) -> dict[str, Any]:
    """A recipe file as plain values. Raises ConfigError where it cannot be read."""
    return read_mapping(path, f"recipe {path}", "be a mapping of sections, see recipe.yaml of any run")


def recipe_values(args: argparse.Namespace, data: str | None) -> dict[str, Any]:
    """The recipe file, overridden by the dataset and the flags that were given."""
    recipe = load_recipe(args.recipe) if args.recipe else None
    given = {dest.split(".", 1)[1]: value for dest, value in vars(args).items() if "." in dest}
    if args.filter:
        given["filters"] = [parse_filter(text) for text in args.filter]
    return gather(recipe, data, args.method, given)


def need_data(values: Mapping[str, Any], how: str) -> None:
    """ConfigError that says how to name the dataset, where neither a flag nor the recipe does."""
    section = values.get("data") or {}
    if isinstance(section, Mapping) and not section.get("path"):
        raise ConfigError(f"no dataset: {how}")


def parse_filter(text: str) -> dict[str, Any]:
    """`quality:side=32,sharpness=0.01` -> {"name": "quality", "side": "32", "sharpness": "0.01"}."""
    name, _, rest = text.partition(":")
    known = [s.name for s in settings_of(registry.find("filters", name))]
    values: dict[str, Any] = {"name": name}
    for part in rest.split(",") if rest else []:
        key, sign, value = part.partition("=")
        key = key.replace("-", "_")
        if key not in known:
            raise ConfigError(f"filter {name}: {part!r} is not one of its settings{nearest(key, known)}")
        if not sign:
            raise ConfigError(f"filter {name}: {key} needs a value: {key}=...")
        values[key] = value
    return values


def owners(flag: str) -> list[str]:
    """The methods that have a flag of their own by this name."""
    wanted = flag.replace("--no-", "--", 1)
    every = {name: settings_of(registry.find("methods", name)) for name in registry.names("methods")}
    return [name for name, settings in every.items() if any(s.flag in (flag, wanted) for s in settings)]
