"""Judge a finished run again with other filters, without generating: images move to rejected/ and back."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imaginate.engine.recipe import Recipe
    from imaginate.engine.refilter import Outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, the filters, and what they may use."""
    parser.add_argument("run", metavar="RUN", help="a finished run folder")
    parser.add_argument(
        "--filter",
        metavar="NAME[:key=value,...]",
        action="append",
        default=[],
        help="judge of the new images, repeatable; without any, all that was refiltered before comes back",
    )
    parser.add_argument("--guide", metavar="GUIDE", help="guide of the filters that need one; default the run's own")
    parser.add_argument("--data", metavar="PATH", help="where the source dataset lies now, if it was moved")
    parser.add_argument("--held-out", metavar="PATH", help="leak control: reject near-duplicates of these images")
    parser.add_argument("--held-out-split", metavar="SPLIT", help="its split")
    parser.add_argument("--reconsider", action="store_true", help="judge the images too that the run itself rejected")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, change nothing")


def run(args: argparse.Namespace) -> int:
    """Judge, move, rewrite the tables, print the counts."""
    from imaginate.engine.folder import lock
    from imaginate.errors import RunError
    from imaginate.files import Folder
    from imaginate.write import tables

    store = Folder(args.run)
    if not store.exists(tables.KEPT) or not store.exists("recipe.yaml"):
        state = "has not finished; give its command again" if store.exists("recipe.yaml") else "is not a run folder"
        raise RunError(f"{args.run} {state}")
    with lock(store):
        outcome = _rejudge(args, store)
    print(told(outcome, args.run, args.dry_run))
    return 0


def _rejudge(args: argparse.Namespace, store: Any) -> Outcome:
    import dataclasses
    import json

    from imaginate.cli._progress import bar
    from imaginate.engine import refilter
    from imaginate.engine.context import RunContext
    from imaginate.records import ClassInfo, LabelSpace
    from imaginate.write import tables

    recipe = _recipe(args, store)
    kept = tables.read(store)
    spec = dataclasses.replace(recipe.data, path=args.data) if args.data else recipe.data
    samples = refilter.open_samples(spec, kept.to_pylist(), store)
    known = {f.name for f in dataclasses.fields(ClassInfo)}
    infos = json.loads(store.get("run.json"))["classes"]
    labels = LabelSpace(tuple(ClassInfo(**{k: _tuple(v) for k, v in c.items() if k in known}) for c in infos))
    context = RunContext(recipe, labels, list(samples.values()))
    judges = refilter.make_judges([*recipe.filters, *_held_out(args)])
    context.prepare(*(j.judge for j in judges))
    with bar("judging", None) as shown:
        options: dict[str, Any] = {"reconsider": args.reconsider, "dry_run": args.dry_run}
        return refilter.refilter(store, judges, context, samples, seen=lambda n: shown.advance(n), **options)


def _recipe(args: argparse.Namespace, store: Any) -> Recipe:
    """The run's recipe, with the filters, the guide and the device that are asked for now."""
    import dataclasses

    import yaml

    from imaginate.cli._recipe import parse_filter
    from imaginate.engine.recipe import read_recipe

    values = yaml.safe_load(store.get("recipe.yaml"))
    values["filters"] = [parse_filter(text) for text in args.filter]
    recipe = read_recipe(values)
    roles = dataclasses.replace(recipe.roles, guide=args.guide or recipe.roles.guide, device=args.device)
    return dataclasses.replace(recipe, roles=roles)


def _held_out(args: argparse.Namespace) -> list[tuple[str, dict[str, Any]]]:
    from imaginate.errors import ConfigError

    if args.held_out_split and not args.held_out:
        raise ConfigError("--held-out-split needs --held-out PATH")
    return [("held-out", {"path": args.held_out, "split": args.held_out_split})] if args.held_out else []


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def told(outcome: Outcome, name: str, dry_run: bool) -> str:
    """The outcome as lines of text."""
    would = "would be " if dry_run else ""
    out = sum(outcome.rejected.values())
    lines = [f"{name}: {outcome.judged} images judged, {out} {would}rejected, {outcome.restored} {would}restored"]
    lines += [f"  {n:>8}  {reason}" for reason, n in outcome.rejected.most_common()]
    if outcome.missing:
        lines.append(f"{outcome.missing} rejected images were not stored and cannot be judged")
    return "\n".join(lines)
