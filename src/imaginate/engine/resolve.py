"""A recipe resolved once: its method and filters built, checked against the roles and against one another.

Plan, expand, refilter, fit and workers receive the resolved recipe; nothing later asks the registry again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from imaginate import registry
from imaginate.contract import Cautious, Filter, Guard, Method, Scored, Sourced, WithLibraries
from imaginate.data.spec import DataSpec
from imaginate.engine.recipe import AMOUNTS, Amount, Recipe, Roles, determining, read_recipe
from imaginate.errors import ConfigError
from imaginate.files import short_hash
from imaginate.models.extras import check_installed, packages_of
from imaginate.records import DigitalSource
from imaginate.select import Selection, required_filters
from imaginate.settings import nearest, roles_by_settings, settings_of, values_of
from imaginate.write.images import Writing

log = logging.getLogger("imaginate")

WEAK = ("nano",)  # priors that lose the class under the papers' settings (docs/nano.md)
LEVELS = frozenset(("strength", "strengths", "noise"))  # settings of which one says where a diffusion starts
ROLES = ("guide", "prior", "adaptation", "pool")
# Settings that say something of a role, or of the held-out dataset, and nothing without it.
QUALIFIES = {
    "guide_prompts": "guide",
    "precision": "prior",
    "compile": "prior",
    "vae": "prior",
    "held_out_split": "held_out",
}

# Settings that runs of earlier versions do not name, where these did otherwise than today's default.
BEFORE: Mapping[str, Mapping[str, Any]] = {"expand": {"fit_image": "stretch"}}

Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFilter:
    """A filter, built, under its registered name. `why`: what brought it in, where the user did not name it."""

    name: str
    filter: Filter
    why: str = ""

    @property
    def column(self) -> str:
        """The name of its score."""
        return self.name.replace("-", "_")

    @property
    def needs(self) -> tuple[str, ...]:
        """The roles that it needs, as it is set."""
        return needs_of(self.filter)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRecipe:
    """One run, completely: the sections of the recipe, and the method and the filters that they ask for, built.

    `filters`: those that the recipe names, those that the selection needs, and the guards of the roles that are named.
    """

    given: Recipe
    method_name: str
    method: Method
    filters: tuple[NamedFilter, ...]
    data: DataSpec
    expand: Amount
    roles: Roles
    select: Selection
    write: Writing

    @property
    def candidate_filters(self) -> tuple[NamedFilter, ...]:
        """The filters that judge each candidate as it is made."""
        return tuple(f for f in self.filters if f.filter.scope == "candidate")

    @property
    def run_filters(self) -> tuple[NamedFilter, ...]:
        """The filters that judge the run as a whole."""
        return tuple(f for f in self.filters if f.filter.scope == "run")

    @property
    def needs(self) -> tuple[str, ...]:
        """The roles that the method and the filters need, without the family of a prior."""
        every = (need for needs in (self.method.needs, *(f.needs for f in self.filters)) for need in needs)
        return tuple(dict.fromkeys(need.split(":", 1)[0] for need in every))

    @property
    def draws_squares(self) -> bool:
        """Whether the method shows its seed images to a prior, which draws squares."""
        return self.method.starts_from == "sample" and self._needs_prior

    @property
    def may_colour(self) -> bool:
        """Whether images come from elsewhere than the seeds, and may be in colour where all seeds are grey."""
        return self._needs_prior or "pool" in self.method.needs

    @property
    def _needs_prior(self) -> bool:
        return any(need.startswith("prior:") for need in self.method.needs)

    def to_dict(self) -> dict[str, Any]:
        """The recipe file: plain values, every default written out."""
        return {
            "data": values_of(self.data),
            "method": {"name": self.method_name, **values_of(self.method)},
            "expand": self._amount(),
            "roles": values_of(self.roles),
            "filters": [{"name": f.name, **values_of(f.filter)} for f in self.filters],
            "select": values_of(self.select),
            "write": values_of(self.write),
        }

    def _amount(self) -> dict[str, Any]:
        """The section `expand`; how a seed meets a prior is left out where no seed does."""
        return {k: v for k, v in values_of(self.expand).items() if k != "fit_image" or self.draws_squares}

    def completed(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe of an earlier run, with the settings that came later: as they were before, which is what `BEFORE`
        says or their default."""
        parts = {**self.given.sections(), "method": self.method}
        out = dict(stored)
        for key, now in self.to_dict().items():
            if key in parts and isinstance(stored.get(key), Mapping):
                defaults = {s.name: s.default for s in settings_of(type(parts[key])) if not s.required}
                before = {**defaults, **BEFORE.get(key, {})}
                late = {name: before[name] for name in now if name in before and name not in stored[key]}
                plain = {name: list(v) if isinstance(v, tuple) else v for name, v in late.items()}
                out[key] = {**plain, **stored[key]}
        return out

    def identity(self, data: str) -> str:
        """What the run is called in its files: as `fingerprint`, whatever the number of copies and the way in which the
        work is cut, which change no image."""
        recipe = determining(self.to_dict())
        recipe["expand"] = {key: value for key, value in recipe["expand"].items() if key not in AMOUNTS}
        return short_hash({"recipe": recipe, "data": data})

    def fingerprint(self, data: str) -> str:
        """A hash of all that determines the images: this recipe (the data's path left out) and the data's own hash."""
        return short_hash({"recipe": determining(self.to_dict()), "data": data})


def recipe_from(values: Mapping[str, Any]) -> ResolvedRecipe:
    """A recipe from plain nested values (a YAML file, or flags gathered by section), checked as a whole.

    Raises ConfigError for an unknown key (with the nearest name), a missing one, a value outside its rule, a role that
    is needed and not named, or named and not needed.
    """
    return resolve(read_recipe(values))


def digital_source(method: Method) -> DigitalSource | None:
    """How a method's copies come to be, in IPTC's words: as it says; else drawn by its prior, or edited by it."""
    if isinstance(method, Sourced):
        return method.digital_source
    if not any(need.startswith("prior:") for need in method.needs):
        return None
    is_drawn = method.starts_from == "class" and "pool" not in method.needs
    if is_drawn or "prior:unclip" in method.needs:
        return "trainedAlgorithmicMedia"
    return "compositeWithTrainedAlgorithmicMedia"


def resolve(recipe: Recipe) -> ResolvedRecipe:
    """Build the method and the filters of a recipe. Raises ConfigError where two parts of it contradict each other."""
    method = _method_of(recipe)
    filters = resolve_filters(recipe)
    _check_needed_roles(recipe, method, filters)
    _refuse_unused_roles(recipe, method, filters)
    _refuse_two_guarded_datasets(recipe.roles, filters)
    _refuse_unknown_score(recipe, method, filters)
    if recipe.expand.per_class is not None and method.starts_from != "class":
        name = recipe.method
        raise ConfigError(f"per_class is for class-started methods, {name} starts from seed images: use copies")
    if recipe.expand.per_class is not None and recipe.select.balance:
        raise ConfigError(
            "per_class makes as many of every class, balance more of rare ones: use balance-to, or copies"
        )
    return _resolved(recipe, method, filters)


def resolve_to_refilter(recipe: Recipe) -> ResolvedRecipe:
    """A finished run's recipe with other filters. Nothing is generated, so only what the filters need is checked."""
    recipe = replace(recipe, select=Selection())
    filters = resolve_filters(recipe)
    for f in filters:
        _need(recipe.roles, f"filter {f.name}", f.needs)
    return _resolved(recipe, _method_of(recipe), filters)


def _method_of(recipe: Recipe) -> Method:
    """The method, built; with the defaults that fit the prior, and those that keep the class where it is known to be
    weak."""
    method = registry.make("methods", recipe.method, recipe.settings)
    if fitting := _fitting(recipe, method):
        method = registry.make("methods", recipe.method, {**fitting, **recipe.settings})
    if recipe.roles.prior not in WEAK or not isinstance(method, Cautious):
        return method
    is_level_given = not LEVELS.isdisjoint(recipe.settings)
    cautious = {name: v for name, v in method.cautious.items() if not (is_level_given and name in LEVELS)}
    return registry.make("methods", recipe.method, {**cautious, **recipe.settings})


def _fitting(recipe: Recipe, method: Method) -> Settings:
    """The settings of a method of diffusion that fit a checkpoint; those of few steps are said."""
    prior, adaptation = recipe.roles.prior, recipe.roles.adaptation
    if prior is None or prior in WEAK or "prior:stable-diffusion" not in method.needs:
        return {}
    from imaginate.models.priors.core.fitting import few_steps_of, fitting_settings

    known = {s.name for s in settings_of(type(method))}
    found = fitting_settings(prior, adaptation)
    few = few_steps_of(prior, adaptation)
    if few is not None and (taken := few.only(known - set(recipe.settings))).settings:
        _say(str(taken))
    return {name: value for name, value in found.items() if name in known}


@cache
def _say(line: str) -> None:
    """Said once: a recipe is resolved by every command and worker."""
    log.warning(line)


def _resolved(recipe: Recipe, method: Method, filters: tuple[NamedFilter, ...]) -> ResolvedRecipe:
    return ResolvedRecipe(
        given=recipe,
        method_name=recipe.method,
        method=method,
        filters=filters,
        data=recipe.data,
        expand=recipe.expand,
        roles=recipe.roles,
        select=recipe.select,
        write=recipe.write,
    )


def resolve_filters(recipe: Recipe) -> tuple[NamedFilter, ...]:
    """The filters asked for, those that the selection needs, and the guards of the roles that are named."""
    wanted: list[tuple[str, Settings, str]] = [(name, values, "") for name, values in recipe.filters]
    for name, values in required_filters(recipe.select):
        if all(name != other for other, *_ in wanted):
            wanted.append((name, values, f"which --select {recipe.select.policy} needs"))
    for name in _guards(recipe.roles):
        if all(name != other for other, *_ in wanted):
            wanted.append((name, {}, "which guards the held-out images"))
    return tuple(
        NamedFilter(name=name, filter=registry.make("filters", name, _filled(name, values, recipe.roles)), why=why)
        for name, values, why in wanted
    )


def _guards(roles: Roles) -> Iterator[str]:
    """The filters that the named roles bring in."""
    if roles.held_out is None:
        return
    for name in registry.names("filters"):
        if isinstance(cls := registry.find("filters", name), Guard) and next(iter(cls.guards.values())) == "held_out":
            yield name


def _filled(name: str, values: Settings, roles: Roles) -> Settings:
    """The settings of a filter; a guard's come from its roles where they are named and the recipe says nothing."""
    cls = registry.find("filters", name)
    if not isinstance(cls, Guard) or roles.held_out is None:
        return values
    from_roles = values_of(roles)
    return {**{setting: from_roles[role] for setting, role in cls.guards.items()}, **values}


def needs_of(part: Method | Filter) -> tuple[str, ...]:
    """The roles of a method or filter as it is set."""
    return (*part.needs, *roles_by_settings(part))


def needs_with(part: Method | Filter) -> tuple[str, ...]:
    """The roles of a method or filter as it is set, and the libraries that it names itself."""
    return (*needs_of(part), *(part.libraries if isinstance(part, WithLibraries) else ()))


def _check_needed_roles(recipe: Recipe, method: Method, filters: Sequence[NamedFilter]) -> None:
    _need(recipe.roles, recipe.method, needs_of(method))
    roles = recipe.roles
    along = [*(need for f in filters for need in needs_with(f.filter)), *packages_of(roles.guide)]
    check_installed(recipe.method, needs_with(method), along=along)
    for f in filters:
        check_installed(f"filter {f.name}", needs_with(f.filter), along=packages_of(roles.guide))
        _need(recipe.roles, f"filter {f.name}{f', {f.why},' if f.why else ''}", f.needs)


def _need(roles: Roles, who: str, needs: Sequence[str]) -> None:
    named = values_of(roles)
    for need in needs:
        role = need.split(":", 1)[0]
        if named[role] is None:
            hint = next(s.rule.help for s in settings_of(type(roles)) if s.name == role)
            raise ConfigError(f"{who} needs a {role}: give --{role} ({hint})")


def _refuse_unused_roles(recipe: Recipe, method: Method, filters: Sequence[NamedFilter]) -> None:
    """A role that is for nothing would be believed to matter, and would tell two equal runs apart."""
    every = (need for needs in (needs_of(method), *(f.needs for f in filters)) for need in needs)
    takes = {need.split(":", 1)[0] for need in every}
    takes |= {"adaptation"} if "prior" in takes else set()
    named = values_of(recipe.roles)
    for role in ROLES:
        if named[role] is not None and role not in takes:
            there = " and ".join(r for r in ROLES if r in takes)
            instead = f"only {there}" if there else "no role at all"
            raise ConfigError(f"{recipe.method} and its filters take no {role}, {instead}: leave out --{role}")
    for s in settings_of(type(recipe.roles)):
        if s.name in QUALIFIES and named[s.name] != s.default and named[QUALIFIES[s.name]] is None:
            owner = "--" + QUALIFIES[s.name].replace("_", "-")
            raise ConfigError(f"{s.flag} says something of {owner}, which is not given: leave it out")


def _refuse_two_guarded_datasets(roles: Roles, filters: Sequence[NamedFilter]) -> None:
    """A guard that the recipe sets to one dataset, and its role names another."""
    for f in filters:
        if not isinstance(f.filter, Guard) or roles.held_out is None:
            continue
        setting, role = next(iter(f.filter.guards.items()))
        given, named = values_of(f.filter)[setting], values_of(roles)[role]
        if given != named:
            flag = "--" + role.replace("_", "-")
            raise ConfigError(f"two held-out datasets: {flag} {named} and filter {f.name}:{setting}={given}")


def _refuse_unknown_score(recipe: Recipe, method: Method, filters: Sequence[NamedFilter]) -> None:
    """A score that no candidate will carry is found out here, not after all of them were made."""
    if not recipe.select.ranked:
        return
    known = {f.column for f in filters if f.filter.scope == "candidate"}
    known |= set(method.scores) if isinstance(method, Scored) else set()
    if recipe.select.by not in known:
        there = nearest(recipe.select.by, known) or "; they give none"
        raise ConfigError(f"{recipe.method} and its filters give no score {recipe.select.by!r} to select by{there}")
