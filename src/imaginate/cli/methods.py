"""List every method, or one with its knobs: meaning, range, default, paper and equation."""

from __future__ import annotations

import argparse
import inspect

from imaginate import registry
from imaginate.cli._common import say
from imaginate.errors import ConfigError
from imaginate.settings import settings_of, type_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """An optional name; `--filters` for filters instead."""
    parser.add_argument("name", nargs="?", help="a method (or, with --filters, a filter)")
    parser.add_argument("--filters", action="store_true", help="filters instead of methods")


def run(args: argparse.Namespace) -> int:
    """Print the table, or one entry."""
    kind: registry.Kind = "filters" if args.filters else "methods"
    if args.name:
        _refuse_the_other(kind, args.name)
    if args.json:
        say(args, facts(kind, args.name) if args.name else [facts(kind, name) for name in registry.names(kind)])
    else:
        print(one(kind, args.name) if args.name else listing(kind))
    return 0


def facts(kind: registry.Kind, name: str) -> dict[str, object]:
    """All that is declared of one method or filter, as plain values."""
    cls = registry.find(kind, name)
    settings = [
        {"name": s.name, "flag": s.flag, "type": type_name(s.type), "rule": str(s.rule), "help": s.rule.help,
         "default": None if s.required else s.default, "required": s.required, "source": s.rule.source}
        for s in settings_of(cls)
    ]  # fmt: skip
    about: dict[str, object] = {"name": name, "idea": registry.summary(cls), "needs": list(cls.needs)}
    about["settings"] = settings
    return {**about, "paper": cls.paper, "starts_from": cls.starts_from} if kind == "methods" else about


def _refuse_the_other(kind: registry.Kind, name: str) -> None:
    """A filter is not asked for as a method, nor a method as a filter."""
    other: registry.Kind = "methods" if kind == "filters" else "filters"
    if name not in registry.names(kind) and name in registry.names(other):
        flag = "--filters " if other == "filters" else ""
        raise ConfigError(f"{name} is a {other[:-1]}: imaginate methods {flag}{name}")


def listing(kind: registry.Kind) -> str:
    """One line each: name, idea, what it needs, where it comes from."""
    rows = []
    for name in registry.names(kind):
        cls = registry.find(kind, name)
        needs = ", ".join(cls.needs) or "-"
        rows.append((name, registry.summary(cls), needs, cls.paper if kind == "methods" else ""))
    width = max(len(row[0]) for row in rows) + 2
    lines = []
    for name, idea, needs, paper in rows:
        lines.append(f"{name:<{width}}{idea}")
        source = f"; {paper}" if paper else ""
        lines.append(f"{'':<{width}}needs {needs}{source}" if needs != "-" or paper else "")
    return "\n".join(line for line in lines if line)


def one(kind: registry.Kind, name: str) -> str:
    """All that is declared of one method or filter."""
    cls = registry.find(kind, name)
    start = f"starts from: {cls.starts_from}; " if kind == "methods" else f"scope: {cls.scope}; "
    lines = [name, "", inspect.getdoc(cls) or "", "", f"{start}needs: {', '.join(cls.needs) or 'nothing'}"]
    if kind == "methods" and cls.paper:
        lines.append(f"paper: {cls.paper}")
    for s in settings_of(cls):
        rule = f" {s.rule}" if str(s.rule) else ""
        source = f" [{s.rule.source}]" if s.rule.source else ""
        default = "required" if s.required else f"default {s.default}"
        lines += ["", f"  {s.flag}  {type_name(s.type)}{rule}, {default}", f"      {s.rule.help}{source}"]
    return "\n".join(lines)
