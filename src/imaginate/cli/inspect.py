"""Say what is in a run: counts, rejects by reason, where each image came from, what guidance changed."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and what to draw."""
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--sheet", metavar="PNG", help="draw a contact sheet, rejected images included, to this file")
    parser.add_argument("--image", metavar="NAME", help="all that is known of one image (a part of its file name)")
    parser.add_argument("--rows", type=int, default=12, help="rows of the contact sheet")


def run(args: argparse.Namespace) -> int:
    """Print the summary."""
    from imaginate.runs import REJECTED, RunFolder
    from imaginate.write.sheet import contact_sheet

    run = RunFolder(args.run)
    kept, rejected = run.table(), run.table(REJECTED)
    sheet = contact_sheet(run.store, rows=args.rows) if args.sheet else b""
    if args.image:
        print(one_image(args.image, kept.to_pylist() + rejected.to_pylist()))
    else:
        print(summary(run, kept, rejected))
    if args.sheet:
        _write(args.sheet, sheet)
        print(f"contact sheet: {args.sheet}")
    return 0


def _write(path: str, data: bytes) -> None:
    from imaginate.files import explained, replace_file

    with explained(path):
        replace_file(path, lambda partial: partial.write_bytes(data))


def one_image(part: str, rows: list[dict[str, Any]]) -> str:
    """Every column of the images whose file name holds `part`."""
    from imaginate.errors import ConfigError

    found = [row for row in rows if row["file_name"] and part in row["file_name"]]
    if not found:
        raise ConfigError(f"no image with {part!r} in its file name")
    blocks = ["\n".join(f"{k:<20} {v}" for k, v in row.items() if v is not None) for row in found]
    return "\n\n".join(blocks)


def summary(run: Any, kept: Any, rejected: Any) -> str:
    """The counts of a run as text."""
    facts = run.facts
    origins = Counter(kept.column("origin").to_pylist())
    reasons = Counter(rejected.column("reason").to_pylist())
    lines = [f"{run.root}: {kept.num_rows} images", ""]
    lines += [f"  {n:>8}  {origin}" for origin, n in origins.most_common()]
    lines += ["", f"rejected: {rejected.num_rows}", *(f"  {n:>8}  {reason}" for reason, n in reasons.most_common())]
    skipped = facts["totals"]["skipped_reasons"]
    if skipped:
        lines += ["", f"seed images skipped: {facts['totals']['skipped']} (listed in skipped.csv)"]
        lines += [f"  {n:>8}  {reason}" for reason, n in skipped.items()]
    lines += ["", *_classes(facts, kept), "", *_per_seed(kept), *_gains(kept)]
    cost = facts["cost"]
    if cost["seconds_per_image"]:
        lines.append(f"cost: {cost['seconds']:.1f} s in all, {1 / cost['seconds_per_image']:,.1f} images/s")
    return "\n".join(lines)


def _classes(facts: dict[str, Any], kept: Any) -> list[str]:
    new = Counter(c for c, m in zip(kept["class_name"].to_pylist(), kept["method"].to_pylist(), strict=True) if m)
    width = max([len(c["name"]) for c in facts["classes"]] + [5])
    lines = [f"{'class':<{width}}  {'seeds':>7}  {'wanted':>7}  {'new':>7}"]
    for c in facts["classes"]:
        short = "  short" if new[c["name"]] < c["new"] else ""
        lines.append(f"{c['name']:<{width}}  {c['seeds']:>7}  {c['new']:>7}  {new[c['name']]:>7}{short}")
    return lines


def _per_seed(kept: Any) -> list[str]:
    """How many new images each seed has: the long tail of GIF Fig. 9."""
    seeds = kept["seed_image"].to_pylist()
    counts = Counter(s for s, m in zip(seeds, kept["method"].to_pylist(), strict=True) if m and s)
    if not counts:
        return []
    sources = {s for s in seeds if s}
    tail = Counter(counts.get(s, 0) for s in sources)
    return ["new images per seed:", *(f"  {tail[n]:>8}  seeds with {n}" for n in sorted(tail)), ""]


def _gains(kept: Any) -> list[str]:
    """A histogram of each score that was measured before and after guidance."""
    names = [n for n in kept.column_names if n.startswith("score_") and n.endswith("_before")]
    lines: list[str] = []
    for name in names:
        after = name.replace("_before", "_after")
        if after in kept.column_names:
            pairs = zip(kept[name].to_pylist(), kept[after].to_pylist(), strict=True)
            gains = [b - a for a, b in pairs if a is not None and b is not None]
            lines += _histogram(f"gain of {name[6:-7].replace('_', ' ')} by guidance", gains)
    return lines


def _histogram(title: str, values: list[float], bins: int = 10) -> list[str]:
    if not values:
        return []
    low, high = min(values), max(values)
    step = (high - low) / bins or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / step))] += 1
    top = max(counts)
    lines = [f"{title}: mean {sum(values) / len(values):+.4f} over {len(values)} images"]
    lines += [f"  {low + i * step:>+9.4f}  {'#' * round(40 * n / top):<40} {n}" for i, n in enumerate(counts)]
    return [*lines, ""]
