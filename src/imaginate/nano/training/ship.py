"""Put finished trainings in place: `python -m imaginate.nano.training.ship RUNS` copies them to the weights folder.

Each folder also gets `training.json` (what was trained, how long, and the text of RUNS/STAGE/note.txt) and
`loss.png`; where a result was loaded from is taken out of its configuration. A model whose training has no result yet
is left as it is, and named. nano-clip is saved in three files (image tower, text tower, the rest), so that nano-sd and
nano-unclip need no copies of its towers: an index names the file of nano-clip. A tower that differs is kept.
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
    kept = ("batch", "lr", "muon_lr", "ema", "seed", "precision", "weight_decay")
    return (
        {"steps": steps[-1]["step"]}
        | {name: plan[name] for name in kept}
        | {
            "images": steps[-1]["step"] * plan["batch"],
            "minutes": round(steps[-1]["seconds"] / 60, 1),
            "starts": max(1, sum("start" in row for row in rows)),
            "device": plan["device"],
            "final_loss": steps[-1]["loss"],
            "note": (run / "note.txt").read_text(encoding="utf-8").strip() if (run / "note.txt").is_file() else "",
        }
    )


def ship(runs: Path, name: str) -> Path | None:
    """Copy the result of model `name` into the weights folder; None when there is none."""
    result = runs / name / name
    if not any((result / index).is_file() for index in ("config.json", "model_index.json")):
        return None
    folder = nano.weights() / name
    if folder.is_dir():
        shutil.rmtree(folder)
    shutil.copytree(result, folder)
    forget_origin(folder)
    if name == "clip":
        split_towers(folder)
    share_towers(folder)
    compact_vocabulary(folder)
    common.write_json(folder / "training.json", {stage: summary(runs / stage) for stage in STAGES[name]})
    sheets.curve(runs / name / "log.jsonl", folder / "loss.png")
    return folder


def split_towers(folder: Path) -> None:
    """Write nano-clip's weights as three files with an index, as transformers reads large models."""
    from safetensors.torch import load_file, save_file

    whole = folder / "model.safetensors"
    weights = load_file(whole)
    parts: dict[str, dict[str, Any]] = {nano.VISION: {}, nano.TEXT: {}, nano.TEXT.replace("00002", "00003", 1): {}}
    for key, value in weights.items():
        rest = 0 if key.startswith("vis") else 1 if key.startswith("text_model.") else 2
        parts[list(parts)[rest]][key] = value
    for file, part in parts.items():
        save_file(part, folder / Path(file).name, metadata={"format": "pt"})
    index = {
        "metadata": {"total_size": sum(v.nbytes for v in weights.values())},
        "weight_map": {key: Path(file).name for file, part in parts.items() for key in part},
    }
    common.write_json(folder / "model.safetensors.index.json", index)
    whole.unlink()


def share_towers(folder: Path) -> None:
    """Put an index that names nano-clip's file in place of a tower that says the same."""
    from safetensors.torch import load_file

    for part, source in nano.SHARED.get(folder.name, {}).items():
        own = folder / part / "model.safetensors"
        if not own.is_file():
            continue
        mine, theirs = load_file(own), load_file(nano.weights() / source)
        if mine.keys() == theirs.keys() and all(bool((mine[key] == theirs[key]).all()) for key in mine):
            index = {
                "metadata": {"total_size": sum(value.nbytes for value in theirs.values())},
                "weight_map": dict.fromkeys(theirs, f"../../{source}"),
            }
            common.write_json(own.with_name("model.safetensors.index.json"), index)
            own.unlink()


def compact_vocabulary(folder: Path) -> None:
    """Write the tokenizer without the line breaks and blanks that make up half of it."""
    for file in folder.rglob("tokenizer.json"):
        said = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps(said, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


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
