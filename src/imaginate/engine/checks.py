"""Whether the parts of a recipe agree: roles that are needed are named, and no others; what is sorted by is scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from imaginate import registry
from imaginate.errors import ConfigError
from imaginate.settings import nearest, settings_of

if TYPE_CHECKING:
    from imaginate.engine.recipe import Recipe, Roles

ROLES = ("guide", "prior", "adaptation", "pool")
# Settings that say something of a role, or of the held-out dataset, and nothing without it.
OF = {"guide_prompts": "guide", "precision": "prior", "compile": "prior", "held_out_split": "held_out"}


def needs_of(part: Any) -> tuple[str, ...]:
    """The roles of a method or filter as it is set: a filter with a `cosine` compares the guide's embeddings."""
    return (*part.needs, "guide") if getattr(part, "cosine", None) is not None else tuple(part.needs)


def check_recipe(recipe: Recipe) -> None:
    """ConfigError, before anything is read or written, where two parts of the recipe contradict each other."""
    method = recipe.make_method()
    judges = [(name, registry.make("filters", name, values)) for name, values in recipe.all_filters()]
    _need(recipe.roles, recipe.method, method)
    asked = {name for name, _ in recipe.filters}
    for name, judge in judges:
        why = "" if name in asked or name == "held-out" else f", which --select {recipe.select.policy} rests on,"
        _need(recipe.roles, f"filter {name}{why}", judge)
    _refuse_unused(recipe.roles, recipe.method, [method, *(judge for _, judge in judges)])
    _one_held_out(recipe)
    _refuse_unscored(recipe, method, judges)
    if recipe.expand.per_class is not None and method.starts_from != "class":
        name = recipe.method
        raise ConfigError(f"per_class is for class-started methods, {name} starts from seed images: use copies")


def _need(roles: Roles, who: str, part: Any) -> None:
    for need in needs_of(part):
        role = need.split(":", 1)[0]
        if getattr(roles, role) is None:
            hint = next(s.rule.help for s in settings_of(type(roles)) if s.name == role)
            raise ConfigError(f"{who} needs a {role}: give --{role} ({hint})")


def _refuse_unused(roles: Roles, method: str, parts: Sequence[Any]) -> None:
    """A role that is for nothing would be believed to matter, and would tell two equal runs apart."""
    takes = {need.split(":", 1)[0] for part in parts for need in needs_of(part)}
    takes |= {"adaptation"} if "prior" in takes else set()
    for role in ROLES:
        if getattr(roles, role) is not None and role not in takes:
            there = " and ".join(r for r in ROLES if r in takes)
            told = f"only {there}" if there else "no role at all"
            raise ConfigError(f"{method} and its filters take no {role}, {told}: leave out --{role}")
    for s in settings_of(type(roles)):
        if s.name in OF and getattr(roles, s.name) != s.default and getattr(roles, OF[s.name]) is None:
            owner = "--" + OF[s.name].replace("_", "-")
            raise ConfigError(f"{s.flag} says something of {owner}, which is not given: leave it out")


def _one_held_out(recipe: Recipe) -> None:
    role = recipe.roles.held_out
    for name, values in recipe.all_filters():
        if name == "held-out" and role is not None and values["path"] != role:
            raise ConfigError(f"two held-out datasets: --held-out {role} and filter held-out:path={values['path']}")


def _refuse_unscored(recipe: Recipe, method: Any, judges: Sequence[tuple[str, Any]]) -> None:
    """A score that no candidate will carry is found out here, not after all of them were made."""
    if not recipe.select.ranked:
        return
    judged = {name.replace("-", "_") for name, judge in judges if judge.scope == "candidate"}
    known = judged | set(getattr(method, "scores", ()))
    if recipe.select.by not in known:
        there = nearest(recipe.select.by, known) or "; they give none"
        raise ConfigError(f"{recipe.method} and its filters give no score {recipe.select.by!r} to select by{there}")
