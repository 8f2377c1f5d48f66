"""Build, describe and search a retrieval pool of your own images.

    imaginate pool build POOL images/ more.tar 'shards/*.parquet' --guide clip:openai/clip-vit-base-patch32
    imaginate pool info POOL
    imaginate pool search POOL "a photo of a tiger shark" --out sheet.png
    imaginate expand flowers/ out/ --method retrieval --pool POOL --guide clip:... --per-class 130

The same build command goes on after an interruption, and adds what is new later; nothing is embedded twice.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from imaginate.cli._flags import add_settings, take
from imaginate.cli._progress import bar
from imaginate.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command each: build, info, search."""
    from imaginate.pool.settings import Building

    commands = parser.add_subparsers(dest="what", metavar="build|info|search", required=True)
    build = commands.add_parser("build", help="embed and index images; resumable; run again to add more")
    build.add_argument("pool", metavar="POOL", help="folder, or an object store URL such as s3://bucket/pool")
    build.add_argument("sources", nargs="+", metavar="SOURCE", help="folders, tars, parquet, clip-retrieval folders")
    build.add_argument("--guide", required=True, help="nano, clip:ID-or-folder, prototypes:BACKBONE, ...")
    build.add_argument("--data", help="dataset for guides that learn from one (prototypes, probe, finetuned)")
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
    search.add_argument("--guide", help="by default the one that built the pool")
    search.add_argument("--limit", type=int, default=40, help="images wanted (default 40)")
    search.add_argument("--exact", action="store_true", help="compare with every row, without the index")
    search.add_argument("--out", help="PNG file for a contact sheet of the results")
    _device(search)


def run(args: argparse.Namespace) -> int:
    """Dispatch to the sub-command."""
    return {"build": _build, "info": _info, "search": _search}[args.what](args)


def _device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")


def _build(args: argparse.Namespace) -> int:
    from imaginate.pool import Building, build_pool
    from imaginate.settings import build

    settings = build(Building, take(args, Building), where="pool build")
    guide = _guide(args.guide, args.device, args.data)
    with bar("embedding", None, show=not args.quiet) as shown:
        tally = build_pool(args.pool, args.sources, guide, settings, advance=shown.advance)
    print(f"{tally.added:,} images added to {args.pool}, {tally.known:,} were there already")
    if tally.finished_units:
        print(f"{tally.finished_units:,} finished pieces of the sources were not read again")
    for reason, count in tally.skipped.most_common():
        print(f"skipped {count:,}: {reason}")
    return 0


def _info(args: argparse.Namespace) -> int:
    from imaginate.pool.info import describe

    facts = describe(args.pool)
    print(json.dumps(facts, indent=2) if args.json else "\n".join(f"{k:<14}{_shown(v)}" for k, v in facts.items()))
    return 0


def _search(args: argparse.Namespace) -> int:
    from imaginate.pool import open_pool

    if bool(args.text) == bool(args.image):
        raise ConfigError('give a sentence or an image: imaginate pool search POOL "a tiger shark", or --image FILE')
    if args.limit < 1:
        raise ConfigError(f"limit must be at least 1, got {args.limit}")
    pool = open_pool(args.pool)
    guide = _guide(args.guide or pool.guide, args.device, None)
    pool.check(guide)
    query = _text(guide, args.text) if args.text else _image(guide, args.image)
    rows = pool.search(query, args.limit, exact=args.exact)[0]
    for rank, row in enumerate(rows[: None if args.out is None else 10]):
        print(f"{rank:>4}  {row['similarity']:.4f}  {row.get('caption') or '-'}  {row['source']}")
    if args.out:
        from imaginate.pool.sheet import result_sheet

        with open(args.out, "wb") as file:
            file.write(result_sheet(pool, rows, args.text or args.image))
        print(f"{len(rows)} images on {args.out}")
    return 0


def _text(guide: Any, text: str) -> Any:
    if not hasattr(guide, "embed_text"):
        raise ConfigError(f"a sentence needs a guide that reads text (nano, clip:...), not {guide.name}: use --image")
    return guide.embed_text([text])


def _image(guide: Any, path: str) -> Any:
    import torch

    from imaginate.data.decoding import decode_tensor
    from imaginate.data.sources.file import FileSource

    pixels = decode_tensor(FileSource(path).read())
    with torch.no_grad():
        return guide.embed(pixels.unsqueeze(0).float() / 255)


def _guide(spec: str, device: str, data: str | None) -> Any:
    """The guide by name; what classes it knows does not matter for embedding, unless it learns from a dataset."""
    from imaginate.devices import pick_device
    from imaginate.engine.context import SeedImages
    from imaginate.models.guides import build_guide
    from imaginate.records import LabelSpace

    if data is None:
        return build_guide(spec, LabelSpace.of(("photo", "drawing")), device=pick_device(device))
    from imaginate.data import open_dataset

    dataset = open_dataset(data)
    return build_guide(spec, dataset.labels, samples=SeedImages(dataset.samples), device=pick_device(device))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count:,} {name}" for name, count in value.items()) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
