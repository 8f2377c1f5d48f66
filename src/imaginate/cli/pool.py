"""Build, describe and search a retrieval pool of your own images.

    imaginate pool build POOL images/ more.tar 'shards/*.parquet' --guide clip:openai/clip-vit-base-patch32
    imaginate pool info POOL
    imaginate pool search POOL "a photo of a tiger shark" --out sheet.png
    imaginate expand flowers/ out/ --method retrieval --pool POOL --guide clip:... --per-class 130

The same build command goes on after an interruption, and adds what is new later; nothing is embedded twice.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imaginate.cli._common import add_private, say
from imaginate.cli._flags import add_settings, take
from imaginate.errors import ConfigError
from imaginate.files import first_line, lines_of, replace_file
from imaginate.records import Scalar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command each: build, info, search."""
    from imaginate.pool.settings import Building

    commands = parser.add_subparsers(dest="what", metavar="build|info|search", required=True)
    build = commands.add_parser("build", help="embed and index images; resumable; run again to add more")
    build.add_argument("pool", metavar="POOL", help="folder, or an object store URL such as s3://bucket/pool")
    build.add_argument("sources", nargs="+", metavar="SOURCE", help="folders, tars, parquet, clip-retrieval folders")
    build.add_argument("--guide", required=True, help="nano, clip:ID-or-folder, prototypes:BACKBONE, ...")
    build.add_argument("--data", help="dataset for guides that learn from one (prototypes, probe, finetuned)")
    add_private(build)
    build.add_argument("--quiet", action="store_true", help="no progress bar")
    _device(build)
    add_settings(build, Building)
    info = commands.add_parser("info", help="what is in a pool")
    info.add_argument("pool", metavar="POOL")
    info.add_argument("--json", action="store_true", help="as JSON")
    search = commands.add_parser("search", help="nearest images of a sentence or an image, as a contact sheet")
    search.add_argument("pool", metavar="POOL", help="folder, object store URL, or address of a clip-retrieval backend")
    search.add_argument("text", nargs="?", help="what to look for")
    search.add_argument("--image", help="look for what resembles this image file")
    search.add_argument(
        "--queries", metavar="FILE", help="look for many at once: a text file, a sentence or image:PATH a line"
    )
    search.add_argument("--guide", help="by default the one that built the pool")
    search.add_argument("--data", help="dataset of a guide that learns from one, the same as of pool build")
    search.add_argument("--limit", type=int, default=40, help="images wanted (default 40)")
    search.add_argument("--exact", action="store_true", help="compare with every row, without the index")
    search.add_argument("--out", help="PNG file for a contact sheet; of --queries, a .csv, .jsonl or .parquet")
    _device(search)


def run(args: argparse.Namespace) -> int:
    """Dispatch to the sub-command."""
    return {"build": _build, "info": _info, "search": _search}[args.what](args)


def _device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")


def _build(args: argparse.Namespace) -> int:
    from imaginate.pool import Building
    from imaginate.settings import build, values_of
    from imaginate.workflows.pools import build_pool

    settings = values_of(build(Building, take(args, Building), where="pool build"))
    where = {"guide": args.guide, "data": args.data, "device": args.device, "progress": not args.quiet}
    tally = build_pool(args.pool, args.sources, **where, **settings)
    first, _, rest = str(tally).partition("\n")
    say(args, tally, first.replace(" added", f" added to {args.pool}", 1), *rest.splitlines())
    return 0


def _info(args: argparse.Namespace) -> int:
    from imaginate.pool.info import describe

    facts = describe(args.pool)
    say(args, facts, *(f"{k:<14}{_shown(v)}" for k, v in facts.items()))
    return 0


def _search(args: argparse.Namespace) -> int:
    from imaginate.workflows.pools import search_pool

    if args.queries:
        return _search_many(args)
    if args.out and not args.out.lower().endswith(".png"):
        raise ConfigError(
            f"--out of one search is a sheet of pictures, FILE.png, got {args.out}; --queries writes tables"
        )
    found = search_pool(
        args.pool,
        args.text,
        image=args.image,
        guide=args.guide,
        data=args.data,
        limit=args.limit,
        exact=args.exact,
        device=args.device,
    )
    lines = str(found).splitlines()[: None if args.out is None else 10]
    if args.out:
        replace_file(args.out, lambda partial: partial.write_bytes(found.sheet()))
        lines.append(f"{len(found)} images on {args.out}")
    say(args, {"query": found.query, "sheet": args.out, "rows": [_public(row) for row in found.rows]}, *lines)
    return 0


def _search_many(args: argparse.Namespace) -> int:
    """Every line of the file, in one go; blank lines and those that begin with # are no queries."""
    from imaginate.workflows.pools import results_table, search_pool_batch
    from imaginate.write.plain import TABLES, write_table

    if args.text or args.image:
        raise ConfigError("--queries FILE has all that is looked for: leave out the sentence and --image")
    place = Path(args.out or "")
    if place.suffix not in TABLES:
        raise ConfigError(f"--queries needs --out FILE for what is found, one of {', '.join(TABLES)}")
    try:
        queries = lines_of(Path(args.queries))
    except OSError as error:
        raise ConfigError(f"cannot read --queries {args.queries}: {first_line(error)}") from None
    found = search_pool_batch(
        args.pool, queries, guide=args.guide, data=args.data, limit=args.limit, exact=args.exact, device=args.device
    )
    write_table(place, results_table(found))
    count = sum(map(len, found))
    words = f"{count:,} images for {len(found):,} queries in {args.out}"
    say(args, {"path": args.out, "queries": len(found), "images": count}, words)
    return 0


def _public(row: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """A row without the picture that a backend sends in it."""
    return {name: value for name, value in row.items() if not name.startswith("_")}


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count:,} {name}" for name, count in value.items()) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
