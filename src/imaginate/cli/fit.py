"""Fit a prior to a dataset: pseudowords, conditionings, denoisers, LoRAs -> an adaptation folder.

    imaginate fit textual-inversion flowers/ flowers-words/ --prior CompVis/stable-diffusion-v1-4
    imaginate expand flowers/ flowers-ti/ --method textual-inversion --prior CompVis/stable-diffusion-v1-4 \\
        --adaptation flowers-words/ --per-class 390
    imaginate fit dreambooth xrays/ xrays-lora/ --prior nano --prompt "an x-ray of {class}" --max-steps 400
    imaginate fit imagic --help                    # with the technique's own flags

The same command on the same folder finishes a fit that was interrupted; `--adaptation OUT@epoch-02` uses one
checkpoint.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path

from imaginate import registry
from imaginate.cli._common import say
from imaginate.cli._flags import add_log, add_settings, take
from imaginate.data.spec import DataSpec
from imaginate.errors import ConfigError
from imaginate.personalisation.core.settings import FitPlan
from imaginate.settings import build, settings_of
from imaginate.tracking import tracking
from imaginate.workflows.select_checkpoint import CheckpointSelection, method_for

TECHNIQUES = registry.names("techniques")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Technique, paths, prior, and the flags that all techniques share."""
    parser.add_argument(
        "technique", nargs="?", metavar="NAME", help=f"one of {', '.join(registry.names('techniques'))}"
    )
    parser.add_argument("data", nargs="?", metavar="DATA", help="the dataset")
    parser.add_argument("out", nargs="?", metavar="OUT", help="the adaptation folder")
    parser.add_argument("--prior", default="nano", help="prior: nano, or a checkpoint's id or folder (default nano)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_log(parser)
    add_settings(parser.add_argument_group("data"), DataSpec, prefix="data.", skip=("path",))
    add_settings(parser.add_argument_group("training, for every technique"), FitPlan, prefix="plan.")
    group = parser.add_argument_group("choice of the checkpoint")
    group.add_argument(
        "--select-by", choices=("loss", "accuracy"), default="loss",
        help="lowest validation loss, or best held-out accuracy of a classifier trained on seeds and new images (RET)",
    )  # fmt: skip
    add_settings(group, CheckpointSelection, prefix="selection.")


def add_dynamic(parser: argparse.ArgumentParser, rest: Sequence[str]) -> None:
    """Add the flags of the technique that the command line names."""
    name = next((word for word in rest if word in TECHNIQUES), None)
    if name is not None:
        add_settings(
            parser.add_argument_group(f"technique {name}"), registry.find("techniques", name), prefix="technique."
        )
        return
    lines = [f"  {n:<20}{registry.summary(registry.find('techniques', n))}" for n in TECHNIQUES]
    parser.epilog = "techniques:\n" + "\n".join(lines) + "\n\n`imaginate fit NAME --help` shows the flags of one."


def run(args: argparse.Namespace) -> int:
    """Fit, then say what came out."""
    if not (args.technique and args.data and args.out):
        raise ConfigError("give technique, dataset and output folder: imaginate fit NAME DATA OUT --prior PRIOR")
    technique = registry.find("techniques", args.technique)
    from imaginate.personalisation.core.run import describe
    from imaginate.workflows.fit import fit

    plan = take(args, FitPlan, prefix="plan.")
    with tracking(args.log, args.out, Path(args.out).name, {"technique": args.technique, "prior": args.prior, **plan}):
        manifest = fit(
            args.technique,
            build(DataSpec, {"path": args.data, **take(args, DataSpec, prefix="data.")}, where="data"),
            args.out,
            prior=args.prior,
            settings=take(args, technique, prefix="technique."),
            plan=build(FitPlan, plan, where="fit"),
            select_by=args.select_by,
            selection=build(CheckpointSelection, take(args, CheckpointSelection, prefix="selection."), where="fit"),
            device=args.device,
            progress=not args.quiet,
        )
    say(args, {"path": args.out, **dataclasses.asdict(manifest)}, describe(manifest, args.out), hint(args))
    return 0


def hint(args: argparse.Namespace) -> str:
    """What to do next: the sheets, where there are any, and the command that uses the adaptation on the same data."""
    given = take(args, DataSpec, prefix="data.")
    same = [word for s in settings_of(DataSpec) if s.name in given for word in (s.flag, str(given[s.name]))]
    method = method_for(args.technique, take(args, CheckpointSelection, prefix="selection.").get("method"))
    words = [args.data, "RUN", "--method", method, "--prior", args.prior, "--adaptation", args.out, *same]
    seen = f"look at {args.out}/samples, then" if (Path(args.out) / "samples").is_dir() else "next"
    return f"{seen}: imaginate expand {shlex.join(words)}"
