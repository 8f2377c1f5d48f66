"""Does it help? Train the same classifier on every arm under one protocol, and measure it on held-out images."""

from __future__ import annotations

import argparse
import os
import sys

from imaginate.cli._flags import add_log, add_settings, take
from imaginate.evaluation.protocol import Protocol
from imaginate.runs import Facts
from imaginate.tracking import check, log, tracking

ARMS = """arms (--arm, repeated):
  original[@F]          the original training images; @F keeps a share of each class, such as original@0.5
  duplicate[:K]         the originals repeated (default: to the largest run's size): no new information
  online-aug            the originals under strong on-line augmentation, new at every update
  run:FOLDER[@R]        the originals and a finished run's images; @R keeps R of them for each original image
  synthetic:FOLDER[@R]  a run's images alone
  folder:FOLDER[@R]     the originals and images that another tool made, in any layout that is read; seeds unknown
  real:N                the originals and up to N more real images a class: the upper bound
  clip-zero-shot, clip-probe, clip-finetune[:FOLDER], clip-distill
                        what --clip itself is worth; clip-finetune:FOLDER fine-tunes it on the expanded set
NAME=ARM gives an arm another name. An arm that the study already has is not trained again."""

FIRST = (
    "--arm", "--out", "--config", "--split", "--held-out", "--held-out-split", "--folds", "--shots", "--learners",
    "--arch", "--seeds", "--real", "--detect", "--quick", "--plan", "--yes", "--device", "--workers", "--quiet",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags: the arms, the folders, where to compute, and every setting of the protocol."""
    parser.epilog = ARMS
    parser.add_argument("data", help="dataset whose training images every arm starts from")
    parser.add_argument("--arm", action="append", default=[], metavar="ARM", help="an arm (see below); repeat it")
    parser.add_argument("--out", required=True, help="study folder; the same command goes on where it was stopped")
    add_settings(parser.add_argument_group("protocol"), Protocol, skip=("data",))
    group = parser.add_argument_group("hardware")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (several GPUs: accelerate launch)")
    group.add_argument("--workers", type=int, default=1, help="classifiers trained at a time (default 1)")
    group.add_argument("--plan", action="store_true", help="only say how long the study would take here, and stop")
    group.add_argument("--yes", action="store_true", help="begin although it takes more than an hour on a CPU")
    add_log(group)
    group.add_argument("--keep-weights", action="store_true", help="keep each classifier as weights.safetensors")


def run(args: argparse.Namespace) -> int:
    """Compare, then print one line an arm."""
    from imaginate.evaluation.study import compare

    if args.log:
        check(args.log)
    settings = {"data": args.data, **take(args, Protocol)}
    found = compare(
        settings.pop("data"), args.arm, settings.pop("held_out", None), args.out, device=args.device,
        workers=args.workers, keep_weights=args.keep_weights, plan=args.plan, yes=args.yes,
        progress=sys.stderr.isatty() or "pytest" not in sys.modules, **settings,
    )  # fmt: skip
    if found and not args.plan:
        with tracking(args.log, args.out, os.path.basename(args.out.rstrip("/")), settings):
            log_study(found)
    if args.plan:
        print(found["text"])
    elif found:
        each = found.get("by_learner") or {}
        print("\n\n".join(f"{arch}\n{table({**found, **one})}" for arch, one in each.items()) or table(found))
        print(f"\n{args.out}/results.json  (imaginate report {args.out})")
    return 0


def log_study(found: Facts) -> None:
    """Each arm's accuracy, one step a seed, and its difference to the reference, for the tool that is open."""
    for arm in found["arms"]:
        for unit in arm["units"]:
            log({f"top1/{arm['name']}": unit["top1"]}, int(unit["seed"]))
        gap = (arm["difference"] or {}).get("top1")
        if gap is not None:
            log({f"difference/{arm['name']}": gap["mean"]}, 0)


def table(found: Facts) -> str:
    """Accuracy of each arm, its difference to the reference and what that could have shown, then the verdict."""
    reference, data = found["protocol"]["reference"], found["data"]
    on = data.get("held_out_on", "").partition(" (")[0]
    top, mean = (" ".join([column, on]).strip() for column in ("top-1 %", "mean per class %"))
    rows = [("arm", "images", top, mean, f"top-1 minus {reference}", "p", "p (Holm)", "visible")]
    for arm in found["arms"]:
        gap = (arm["difference"] or {}).get("top1")
        lacks = (
            f" (no image of {', '.join(arm['lacks'][:3])}{' ...' if arm['lacks'][3:] else ''})" if arm["lacks"] else ""
        )
        name, images = arm["name"] + lacks, str(arm["images"]["total"])
        rows.append((name, images, _number(arm["top1"]), _number(arm["mean_per_class"]), *_difference(gap)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.append(
        f"{data['held_out']} held-out images, {100 * found['protocol']['level']:g} % intervals over seeds and images; "
        "visible: the smallest difference that is found in four of five cases"
    )
    quick = ["a quick impression (--quick), not a result"] if found["quick"] else []
    notes = [f"note: {text}" for text in found["warnings"]]
    verdict = ["", *(sentence["text"] for sentence in found["verdict"])] if found["verdict"] else []
    return "\n".join([*lines, *quick, *notes, *verdict])


def _difference(gap: Facts | None) -> tuple[str, str, str, str]:
    """The difference with its interval, both p-values and the smallest visible effect, as text."""
    if gap is None:
        return "", "", "", ""
    text = f"{100 * gap['mean']:+.1f} [{100 * gap['low']:+.1f}, {100 * gap['high']:+.1f}]"
    if gap["over"] == "images":
        return f"{text} over images; one seed: no verdict", "", "", ""
    ps = tuple("" if gap.get(key) is None else f"{gap[key]:.3f}" for key in ("p", "p_holm"))
    smallest = "" if gap["smallest"] is None else f"{100 * gap['smallest']:.1f}"
    return f"{text} {gap['verdict']}", *ps, smallest  # type: ignore[return-value]


def _number(summary: dict[str, float]) -> str:
    se = "" if summary["se"] is None else f" ± {100 * summary['se']:.1f}"
    return f"{100 * summary['mean']:.1f}{se}"
