"""A made-up study for tests of the report: drawn pictures and random numbers in the documented layout. No result.

python tests/report/study_fixture.py FOLDER     # to look at a report of it
"""

# ruff: noqa: E501
from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

CLASSES = [
    "daisy",
    "rose & thorn",
    "tulip",
    "<i>iris</i>",
    "lily_50%",
    "poppy",
    "aster",
    "crocus",
    "dahlia",
    "peony",
    "lotus",
    "sage",
]
HELD_OUT = [50] * 11 + [3]  # the last class has too few for an interval
REASONS = ["class not kept (guide says another)", "near-duplicate of its seed", "nan latents"]


def flower(index: int, rng: random.Random, side: int = 72) -> Image.Image:
    """A drawn flower: its class sets petals and colour, the rest is random."""
    picture = Image.new("RGB", (side, side), tuple(rng.randint(60, 120) + c for c in (0, 60, 0)))
    pen = ImageDraw.Draw(picture)
    x, y = (side / 2 + rng.uniform(-8, 8) for _ in range(2))
    petals, size = 4 + index % 7, rng.uniform(9, 14)
    colour = tuple((index * step + rng.randint(-20, 20)) % 200 + 55 for step in (67, 131, 29))
    import math

    for i in range(petals):
        a = 2 * math.pi * i / petals + rng.uniform(0, 0.2)
        px, py = x + size * 1.3 * math.cos(a), y + size * 1.3 * math.sin(a)
        pen.ellipse((px - size, py - size, px + size, py + size), fill=colour)
    pen.ellipse((x - 7, y - 7, x + 7, y + 7), fill=(240, 210, 60))
    return picture


def make_run(
    folder: Path, method: str, *, per_class: int = 3, copies: int = 4, starts: str = "sample", seed: int = 0
) -> Path:
    """A run folder in the layout of `imaginate expand`."""
    rng = random.Random(f"{method}{seed}")
    rows: list[dict[str, Any]] = []
    for label, name in enumerate(CLASSES):
        for i in range(per_class):
            rows += _of_seed(folder, method, label, name, i, copies, starts, rng)
    schema = pa.schema([(k, _type(k)) for k in rows[-1]])
    rows = [{**dict.fromkeys(schema.names), **row} for row in rows]
    for name, kept in (("metadata.parquet", True), ("rejected.parquet", False)):
        pq.write_table(pa.Table.from_pylist([r for r in rows if r["kept"] == kept], schema=schema), folder / name)
    _papers(folder, method, rows)
    return folder


def _of_seed(
    folder: Path, method: str, label: int, name: str, i: int, copies: int, starts: str, rng: random.Random
) -> Any:
    base = {
        "label": label,
        "class_name": name,
        "origin": "original",
        "seed_image": f"{label}/{i}.png",
        "kept": True,
        "reason": "",
    }
    yield {**base, "file_name": _save(folder, f"images/{label}/{i}.png", flower(label, rng))}
    for copy in range(copies):
        kept = rng.random() > 0.2
        reason = "" if kept else rng.choice(REASONS)
        name_of = f"{'images' if kept else 'rejected'}/{label}/{i}-{copy}.png"
        stored = reason != "nan latents"
        before = rng.gauss(0.2, 0.1)
        yield {
            **base,
            "file_name": _save(folder, name_of, flower(label, rng)) if stored else None,
            "origin": "synthetic",
            "seed_image": base["seed_image"] if starts == "sample" else None,
            "method": method,
            "copy": copy,
            "prompt": f"an oil painting of a colorful {name}" if "gif" in method or starts == "class" else None,
            "rng_seed": rng.getrandbits(62),
            "kept": kept,
            "reason": reason,
            "score_consistency": rng.random(),
            **(
                {
                    "score_informativeness_before": before,
                    "score_informativeness_after": before + rng.gauss(0.2, 0.1),
                    **_seen(name, rng),
                }
                if "gif" in method
                else {}
            ),
        }


def _seen(name: str, rng: random.Random) -> dict[str, str]:
    other = rng.choice(CLASSES)
    return {
        "info_seed_class": name,
        "info_class_before": other if rng.random() < 0.4 else name,
        "info_class_after": name,
    }


def _save(folder: Path, name: str, picture: Image.Image) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return name


def _type(name: str) -> pa.DataType:
    if name.startswith("score_"):
        return pa.float64()
    return {"label": pa.int64(), "copy": pa.int64(), "rng_seed": pa.int64(), "kept": pa.bool_()}.get(name, pa.string())


def _papers(folder: Path, method: str, rows: list[dict[str, Any]]) -> None:
    made = [r for r in rows if r["method"]]
    kept = sum(r["kept"] for r in made)
    reasons: dict[str, int] = {}
    for r in made:
        if not r["kept"]:
            reasons[r["reason"]] = reasons.get(r["reason"], 0) + 1
    facts = {
        "imaginate": "0.0-fixture", "fingerprint": "0123456789abcdef", "data_fingerprint": "fedcba9876543210",
        "shards": 1, "wanted": len(made), "finished": True,
        "classes": [{"name": n, "display": n, "seeds": 3, "new": 12} for n in CLASSES],
        "sessions": [{"seconds": 61.5, "images": kept, "workers": 1}],
        "totals": {"originals": len(rows) - len(made), "kept": kept, "rejected": reasons, "skipped": 1, "skipped_reasons": {"truncated": 1}},
        "cost": {"seconds": 61.5, "seconds_per_image": 61.5 / max(1, kept)},
        "versions": {"python": "3.11", "torch": "0.0"}, "machine": {"platform": "linux", "cores": 2, "gpu": None},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(facts))
    (folder / "recipe.yaml").write_text(
        f"data: {{path: flowers/, split: train}}\nmethod: {{name: {method}, strength: 0.5}}\nexpand: {{copies: 4}}\n"
    )


def make_evaluation(run: Path) -> None:
    """What `imaginate evaluate` leaves beside a run."""
    table = pq.read_table(run / "metadata.parquet").to_pylist()
    new = [r["file_name"] for r in table if r["method"]]
    pair = {"cosine": 0.991, "hamming": 2, "found_by": "hash and embedding"}
    value = {
        "format": "imaginate-evaluation/1",
        "against": {"path": "flowers/", "split": "test", "images": 200},
        "features": {"name": "efficientnet-lite0", "dim": 1280},
        "images": {"originals": 36, "new": len(new), "held_out": 200},
        "metrics": [
            {"name": "frechet_distance", "title": "Fréchet distance", "value": 81.2, "originals": 74.0, "range": "[0, inf)", "better": "lower", "note": "fewer images than features: biased upwards"},
            {"name": "coverage", "title": "coverage", "value": 0.62, "originals": 0.51, "range": "[0, 1]", "better": "higher", "note": ""},
        ],
        "leaks": {"pairs": 1, "images": 1, "share": 1 / len(new), "originals": 0, "cosine": 0.97, "hamming": 4, "examples": [{"first": new[0], "second": "test/9.png", **pair}]},
        "duplicates": {"pairs": 1, "redundant": 1, "share": 1 / len(new), "copies": 2, "examples": [{"first": new[1], "second": new[2], **pair}]},
        "warnings": [],
    }  # fmt: skip
    (run / "evaluation.json").write_text(json.dumps(value))


def _arm(name: str, title: str, kind: str, gap: float, rng: random.Random, **more: Any) -> dict[str, Any]:
    mean, wide = 0.41 + gap, 0.014
    reference = name == "original"

    def difference(shift: float) -> dict[str, Any]:
        low, high = gap + shift - wide, gap + shift + wide
        word = "gain" if low > 0 else "loss" if high < 0 else "unclear"
        return {
            "mean": gap + shift, "low": low, "high": high, "level": 0.95, "verdict": word, "over": "seeds and images",
            "p": 0.0123, "p_holm": 0.0369, "p_sign_flip": 0.25, "smallest": 0.021,
        }  # fmt: skip

    per_class = []
    for cls, held_out in zip(CLASSES, HELD_OUT, strict=True):
        change = 0.0 if reference else gap + rng.gauss(0, 0.06)
        few = reference or held_out < 5
        per_class.append(
            {
                "class": cls,
                "held_out": held_out,
                "accuracy": 0.4 + change,
                "change": None if reference else change,
                "low": None if few else change - 0.08,
                "high": None if few else change + 0.08,
            }
        )
    kinds = [
        "gaussian_noise",
        "shot_noise",
        "impulse_noise",
        "defocus_blur",
        "glass_blur",
        "motion_blur",
        "zoom_blur",
        "snow",
        "frost",
        "fog",
        "brightness",
        "contrast",
        "elastic_transform",
        "pixelate",
        "jpeg_compression",
    ]
    return {
        "name": name, "spec": kind, "kind": kind, "title": title, "method": None, "run": None, "ratio": None,
        "reference": reference, "baseline": kind.startswith("clip"),
        "images": {"original": 816, "synthetic": 0, "real": 0, "total": 816, "excluded": {}},
        "units": [_unit(s, mean, 0 if kind == "clip-zero-shot" else 600) for s in range(3)],
        "top1": {"mean": mean, "se": 0.004, "n": 3}, "mean_per_class": {"mean": mean - 0.012, "se": 0.005, "n": 3},
        "difference": None if reference else {"top1": difference(0), "mean_per_class": difference(-0.003), "macro_f1": difference(-0.002), "auroc": None, "calibration_error": difference(0.001), "corruption": None},
        "per_class": per_class,
        "corruption": {"mean": mean - 0.15, "se": 0.004, "n": 3, "by_kind": {k: [mean - rng.uniform(0.05, 0.3)] for k in kinds}, "by_severity": [0.2], "severity_3": mean - 0.15},
        "macro_f1": {"mean": mean - 0.02, "se": 0.004, "n": 3}, "auroc": None, "calibration_error": {"mean": 0.08, "se": 0.01, "n": 3},
        "lacks": [], "confusion": _confusion(reference, gap), "most_wrong": _wrong(reference),
        "gained": [] if reference else [{**row, "called": CLASSES[2], "wrong": 0.0} for row in _wrong(False)[:3]],
        "lost": [],
        "seconds": 93.0, **more,
    }  # fmt: skip


def _confusion(reference: bool, gap: float) -> dict[str, Any]:
    ends = (
        {"change": None, "low": None, "high": None}
        if reference
        else {"change": -gap, "low": -gap - 0.05, "high": -gap + 0.05, "verdict": "unclear"}
    )
    pairs = [{"class": CLASSES[i], "called": CLASSES[i + 1], "share": 0.2 - 0.02 * i, **ends} for i in range(3)]
    table = [[0.7 if i == j else 0.3 / (len(CLASSES) - 1) for j in range(len(CLASSES))] for i in range(len(CLASSES))]
    return {"pairs": pairs, "table": table, "change": None if reference else [[0.01] * len(CLASSES) for _ in CLASSES]}


def _wrong(reference: bool) -> list[dict[str, Any]]:
    return [
        {
            "id": f"test/{CLASSES[0]}/{i}.png",
            "class": CLASSES[0],
            "called": CLASSES[1],
            "wrong": 1.0,
            "confidence": 0.9,
            "reference": None if reference else 0.67,
        }
        for i in range(8)
    ]


def _unit(seed: int, mean: float, updates: int) -> dict[str, Any]:
    return {
        "seed": seed, "resample": 0, "top1": mean, "mean_per_class": mean - 0.012, "validation": 0.4, "best_update": updates,
        "updates": updates, "epochs": round(updates * 64 / 816, 2), "stopped_early": False, "seconds": 31.0, "parameters": 393002,
        "corruption": None, "per_class": [], "processes": 1, "device": "cpu", "precision": "float32",
    }  # fmt: skip


def make_study(folder: Path, *, unfinished: bool = True) -> Path:
    """A study folder with two runs beside it, as after `imaginate compare`."""
    rng = random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    gif = make_run(folder.parent / "flowers-gif", "gif-sd")
    make_evaluation(gif)
    make_run(folder.parent / "flowers-prompt", "prompt", starts="class")
    excluded = {"child of a validation image": 1020, "shows a held-out image": 1}
    images = {"original": 816, "synthetic": 4080, "real": 0, "total": 4896, "excluded": excluded}
    arms = [
        _arm("original", "original", "original", 0.0, rng),
        _arm("duplicate", "duplicated originals", "duplicate", -0.004, rng),
        _arm("flowers-randaug", "RandAugment", "run", 0.011, rng, run="flowers-randaug/", method="randaugment", ratio=5.0, images=images),
        _arm("flowers-gif", "GIF-SD", "run", 0.036, rng, run="flowers-gif/", method="gif-sd", ratio=5.0, images=images),
        _arm("flowers-prompt", "class prompts", "run", -0.031, rng, run="flowers-prompt/", method="prompt", ratio=5.0, images=images),
        _arm("clip", "CLIP zero-shot", "clip-zero-shot", 0.2, rng, corruption=None),
    ]  # fmt: skip
    points = [{"arm": f"a@{r}", "ratio": float(r), "mean": 0.41 + 0.016 * r**0.5, "se": 0.004} for r in (0, 1, 2, 5)]
    flat = [{**p, "mean": 0.41 + 0.005 * p["ratio"] ** 0.5} for p in points]
    results = {
        "format": "imaginate-study/1", "name": "flowers (made-up numbers)", "quick": unfinished, "complete": not unfinished,
        "missing": [{"arm": "real-500", "seed": s, "resample": 0} for s in range(3)] if unfinished else [],
        "versions": {"imaginate": "0.0-fixture", "torch": "0.0"},
        "protocol": {"data": "flowers/", "split": "train", "held_out": "flowers/", "held_out_split": "test", "validation": 0.2, "arch": "small", "image_size": 32, "seeds": 3, "recipe": "default", "budget": "updates", "updates": 600, "epochs": None, "drop_leak": True, "allow_leak": False, "recipe_settings": {"epochs": 60, "batch": 64, "lr": 0.0, "schedule": "cosine", "patience": None}, "level": 0.95, "reference": "original", "corruptions": "3"},
        "data": {"name": "flowers", "classes": CLASSES, "titles": CLASSES, "train": 816, "validation": 204, "held_out": sum(HELD_OUT), "held_out_per_class": HELD_OUT},
        "leak": {
            "compared": [1020, 555], "same": 0, "near": 2, "removed": 2, "examples": [["train/1", "test/2"]], "allowed": False,
            "runs": {"flowers-gif/": {"same": 0, "near": 1, "removed": 1}, "flowers-prompt/": {"same": 0, "near": 0, "removed": 0}},
            "validation": None, "real": {"shows a held-out image": 1, "shows a training image": 12},
        },
        "controls": {
            "positive": [{"more": "original", "less": "original@0.5", "mean": 0.05, "low": 0.02, "high": 0.08, "verdict": "gain", "p": 0.002, "p_holm": 0.002, "smallest": 0.03}],
            "negative": {"arm": "duplicate", "mean": -0.004, "low": -0.02, "high": 0.01, "verdict": "unclear", "p": 0.6, "smallest": 0.02},
            "can_judge": True, "fault": "",
        },
        "worth": [
            {"arm": "flowers-gif", "value": 300.0, "low": 40.0, "high": None, "least": -612.0, "most": 400.0},
            {"arm": "flowers-prompt", "value": None, "low": None, "high": -500.0, "least": -612.0, "most": 400.0},
        ],
        "verdict": [
            {"kind": "use", "text": "Use GIF-SD: +3.6 [+2.2, +5.0] points over original."},
            {"kind": "avoid", "text": "Do not use class prompts (-3.1): worse than original."},
            {"kind": "open", "text": "Open: RandAugment (+1.1): no difference to original is shown."},
            {"kind": "visible", "text": "The smallest difference that this study finds in four of five cases is 2.1 points."},
            {"kind": "next", "text": "Next: --seeds 9 (about 12 minutes more) would show a difference of the size seen for RandAugment."},
        ],
        "warnings": ["made-up numbers: a fixture of the tests, not a result"],
        "arms": arms,
        "curves": [{"run": "flowers-gif/", "title": "GIF-SD", "points": points}, {"run": "flowers-randaug/", "title": "RandAugment", "points": flat}],
        "exchange": [{"arm": "flowers-gif", "synthetic": 4080, "real": 510.2, "rate": 8.0, "low": 5.1, "high": None, "note": ""}, {"arm": "flowers-randaug", "synthetic": 4080, "real": None, "rate": None, "low": None, "high": None, "note": "accuracy is below the measured range"}],
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "study.yaml").write_text("protocol: {seeds: 3, updates: 600}\narms: [original, flowers-gif]\n")
    return folder


if __name__ == "__main__":
    print(make_study(Path(sys.argv[1])))
