"""`python -m imaginate.nano.training clip|mae|vae|sd|unclip|judge|all --data FOLDER --out FOLDER`."""

import argparse
import importlib
from pathlib import Path

import torch

from imaginate.nano.training import common, everything

CHANGES = {
    "steps": int,
    "minutes": float,
    "wait": float,
    "batch": int,
    "lr": float,
    "muon_lr": float,
    "warmup": int,
    "seed": int,
}
MODELS = ("clip", "mae", "vae", "sd", "unclip", "judge")


def main(argv: list[str] | None = None) -> None:
    """Train one model (or all) from the checkpoint in --out, or from the start when there is none."""
    parser = argparse.ArgumentParser(prog="python -m imaginate.nano.training", description=__doc__)
    parser.add_argument("model", choices=(*MODELS, "all"))
    parser.add_argument("--data", type=Path, required=True, help="folder of Tiny-ImageNet's parquet files")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint, log and result")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    for name, kind in CHANGES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help=f"instead of the configuration's {name}")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
    args = parser.parse_args(argv)
    if args.model == "all":
        if args.minutes is None:
            parser.error("all needs --minutes: the time that the trainings share (8 on a modern GPU, 600 on two cores)")
        more = [f"--threads={args.threads}"] if args.threads else []
        return everything.run(args.data, args.out, args.device, args.minutes, more)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    if args.threads:
        torch.set_num_threads(args.threads)
    module = importlib.import_module(f"imaginate.nano.training.{args.model}")
    plan = common.plan_for(module.PRESETS, args.device, **{name: getattr(args, name) for name in CHANGES})
    args.out.mkdir(parents=True, exist_ok=True)
    module.train(args.data, args.out, plan, args.device)


if __name__ == "__main__":
    main()
