"""Flags from settings: the one declaration of a dataclass field becomes `--flag`, its help and its check."""

from __future__ import annotations

import argparse
from typing import Any

from imaginate.settings import Setting, settings_of, type_name


def add_settings(
    parser: argparse._ActionsContainer, cls: type, *, prefix: str = "", skip: tuple[str, ...] = ()
) -> None:
    """One flag per setting of `cls`. Values stay text: `settings.build` converts and checks them."""
    for s in settings_of(cls):
        if s.name not in skip:
            _add(parser, s, prefix)


def _add(parser: argparse._ActionsContainer, s: Setting, prefix: str) -> None:
    dest = prefix + s.name
    text = describe(s).replace("%", "%%")
    if s.type is bool:
        parser.add_argument(
            s.flag, dest=dest, default=argparse.SUPPRESS, action=argparse.BooleanOptionalAction, help=text
        )
        return
    metavar = "{" + ",".join(s.choices) + "}" if s.choices else s.name.upper()
    parser.add_argument(s.flag, dest=dest, default=argparse.SUPPRESS, metavar=metavar, help=text)


def describe(s: Setting) -> str:
    """Meaning, rule, default and source of a setting, in one line."""
    parts = [type_name(s.type)] if not s.choices and s.type is not bool else []
    parts += [str(s.rule)] if str(s.rule) else []
    parts += [] if s.required else [f"default {_shown(s.default)}"]
    parts += [s.rule.source] if s.rule.source else []
    return f"{s.rule.help} ({'; '.join(parts)})" if parts else s.rule.help


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def take(args: argparse.Namespace, cls: type, *, prefix: str = "") -> dict[str, Any]:
    """The settings of `cls` that were given on the command line, by name."""
    given = vars(args)
    return {s.name: given[prefix + s.name] for s in settings_of(cls) if prefix + s.name in given}


def add_log(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """The tool in which the curves are watched."""
    parser.add_argument("--log", metavar="TOOL", help="curves for tensorboard, wandb (extra log) or mlflow")


def add_map(parser: argparse.ArgumentParser) -> None:
    """Whether a map of the images is drawn, in whose space and how."""
    parser.add_argument(
        "--map", nargs="?", const=True, default=False, metavar="GUIDE",
        help="draw seeds, new and held-out images in the space of the run's guide, or of this one",
    )  # fmt: skip
    parser.add_argument(
        "--map-by",
        metavar="{pca,umap}",
        help="a map on a plane (pca, default) or by neighbours (umap, extra umap; slow)",
    )


def map_of(args: argparse.Namespace) -> dict[str, Any]:
    """What `add_map` was given, as `report` and `review` take it."""
    return {"map": args.map or bool(args.map_by), "map_by": args.map_by or "pca"}
