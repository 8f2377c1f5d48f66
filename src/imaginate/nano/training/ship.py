"""Put finished trainings in place: `python -m imaginate.nano.training.ship RUNS` copies them to the weights folder.

Each folder also gets `training.json` (what was trained, how long, and the text of RUNS/STAGE/note.txt) and
`loss.png`; where a result was loaded from is taken out of its configuration. A model whose training has no result yet
is left as it is, and named. nano-unclip must come from the same run as nano-sd: it shares its autoencoder, text tower
and tokenizer.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from imaginate import nano
from imaginate.nano.evaluation import sheets
from imaginate.nano.training import common

STAGES = {"clip": ("clip",), "mae": ("mae",), "sd": ("vae", "sd"), "unclip": ("unclip",)}


def summary(run: Path) -> dict[str, Any]:
    """What a training's log and plan say: steps, images, minutes, starts."""
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [row for row in rows if "loss" in row]
    kept = ("steps", "batch", "lr", "muon_lr", "ema", "seed", "precision", "weight_decay")
    return {name: plan[name] for name in kept} | {
        "images": plan["steps"] * plan["batch"],
        "minutes": round(steps[-1]["seconds"] / 60, 1),
        "starts": max(1, sum("start" in row for row in rows)),
        "device": plan["device"],
        "final_loss": steps[-1]["loss"],
        "note": (run / "note.txt").read_text(encoding="utf-8").strip() if (run / "note.txt").is_file() else "",
    }


def ship(runs: Path, name: str) -> Path | None:
    """Copy the result of model `name` into the weights folder; None when there is none."""
    result = runs / name / name
    if not any((result / index).is_file() for index in ("config.json", "model_index.json")):
        return None
    folder = nano.weights() / name
    if folder.is_dir():
        shutil.rmtree(folder)
    shared = nano.SHARED if name == "unclip" else ()
    shutil.copytree(result, folder, ignore=lambda at, names: [n for n in names if Path(at) == result and n in shared])
    forget_origin(folder)
    common.write_json(folder / "training.json", {stage: summary(runs / stage) for stage in STAGES[name]})
    sheets.curve(runs / name / "log.jsonl", folder / "loss.png")
    return folder


def forget_origin(folder: Path) -> None:
    """Take `_name_or_path`, the place a model was loaded from when it was saved, out of every configuration."""
    for file in sorted(folder.rglob("*.json")):
        text = file.read_text(encoding="utf-8")
        if '"_name_or_path"' in text:
            kept = json.loads(text, object_pairs_hook=lambda pairs: {k: v for k, v in pairs if k != "_name_or_path"})
            file.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> None:
    """Ship every model that is finished, or those named."""
    parser = argparse.ArgumentParser(prog="python -m imaginate.nano.training.ship", description=__doc__)
    parser.add_argument("runs", type=Path, help="folder with one folder a training: RUNS/clip, RUNS/mae, ...")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(nano.NAMES)} (default: all)")
    args = parser.parse_args(argv)
    if unknown := sorted(set(args.names) - set(nano.NAMES)):
        parser.error(f"NAME must be one of {', '.join(nano.NAMES)}, got {', '.join(unknown)}")
    for name in args.names or nano.NAMES:
        print(f"nano-{name}: {ship(args.runs, name) or 'no finished training, left as it is'}")


if __name__ == "__main__":
    main()
