"""The miniature laboratory: both papers' comparisons on small data, small priors and three kinds of learner.

    python benchmarks/lab/lab.py                                       # everything that can be made: days on two cores
    python benchmarks/lab/lab.py --target tiny-5 --group augmentation --learner probe
    python benchmarks/lab/lab.py --page                                # only write the tables again

One folder a target under --work: runs/<arm>, fits/<technique>, a study for each learner. Every step is an ordinary
command, goes on where it was stopped, and is not repeated once done. An arm that cannot be made is listed with its
reason, never left out silently. It writes benchmarks/results/lab.json and docs/results.md.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from _machine import environment
from arms import CLIP_ARMS, ENTRIES, GROUPS, Entry
from claims import PAIRS
from learners import LEARNERS, LabLearner
from page import write_page
from targets import TARGETS, Target, prepare

ROOT = Path(__file__).resolve().parents[2]
FITTED = ("ft-conditioning", "ft-cluster", "imagic", "textual-inversion", "pseudoword-dm")  # they start from classes
JSON = ROOT / "benchmarks" / "results" / "lab.json"
PAGE = ROOT / "docs" / "results.md"


def main() -> int:
    """Make what is missing, compare, write the tables."""
    args = _arguments()
    prepare(args.data, args.work)
    for name in args.target or list(TARGETS):
        target = TARGETS[name]
        if not args.page:
            _target(target, args)
        _collect(target, args)
    write_page(json.loads(JSON.read_text()), PAGE)
    print(f"{JSON.relative_to(ROOT)}, {PAGE.relative_to(ROOT)}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="default: all")
    parser.add_argument("--group", action="append", choices=[*GROUPS, "clip"], help="default: all")
    parser.add_argument("--learner", action="append", choices=list(LEARNERS), help="default: all")
    parser.add_argument("--arm", action="append", choices=list(ENTRIES), help="only these runs of the groups")
    parser.add_argument(
        "--only", action="store_true", help="studies of the arms that --arm names, and of what they have"
    )
    parser.add_argument("--work", type=Path, default=ROOT / "lab-work", help="where runs and studies are kept")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the datasets")
    parser.add_argument("--pool-shards", type=int, default=1, help="training shards of Tiny-ImageNet in the pools")
    parser.add_argument("--minutes", type=float, default=30, help="at most this long for one run or fit at a time")
    parser.add_argument("--seeds", type=int, help="of every study, in place of its learner's number")
    parser.add_argument("--fit-steps", type=int, default=200, help="steps of each personalisation")
    parser.add_argument("--page", action="store_true", help="only write the tables from the finished studies")
    return parser.parse_args()


def _target(target: Target, args: argparse.Namespace) -> None:
    """Runs first, then one study a learner over all that there is."""
    groups = args.group or [*GROUPS, "clip"]
    place = args.work / target.name
    place.mkdir(parents=True, exist_ok=True)
    for group in groups:
        for entry in GROUPS.get(group, ()):
            if not args.arm or entry.name in args.arm:
                _make(entry, target, args)
    for name in args.learner or list(LEARNERS):
        if (wanted := LEARNERS[name].targets) is None or target.name in wanted:
            _compare(target, LEARNERS[name], args, groups)


def _make(entry: Entry, target: Target, args: argparse.Namespace) -> None:
    """The run of one arm; what goes wrong is written down next to it, and the laboratory goes on."""
    place = args.work / target.name
    out = place / "runs" / entry.name
    _set_aside_if_stale(place, entry.name, entry.fit, "nano" in entry.flags)
    if (out / "metadata.parquet").exists():
        return
    flags = [*target.filled(target.data, args.data, args.work), *entry.flags]
    try:
        if entry.fit:
            flags += ["--adaptation", str(_fit(entry.fit, target, args))]
        if entry.pool:
            flags += ["--pool", str(_pool(entry.pool, target, args))]
            flags += target.filled(target.held, args.data, args.work) if target.guarded else []
        there = [place / "runs" / name for name in entry.of if (place / "runs" / name / "metadata.parquet").exists()]
        if entry.of and not there:
            raise _Failed("none of the runs that it chooses from is there")
        flags += ["--runs", ",".join(map(str, there))] if there else []
        from_class = entry.method in ("retrieval", "prompt", "mix", *FITTED)
        flags += ["--per-class", str(target.per_class)] if from_class else ["--copies", str(target.copies)]
        data = str(target.place(args.data, args.work))
        command = ["expand", data, str(out), "--method", entry.method, "--judge", "none", *flags]
        _command(command, args.minutes, place / "logs" / f"{entry.name}.log")
        _forget(place, entry.name)
    except _Failed as failure:
        _note(place, entry.name, str(failure))
        print(f"{target.name}/{entry.name}: {failure}", flush=True)


def _set_aside_if_stale(place: Path, name: str, fit: str | None, nano: bool) -> None:
    """What was made with other bundled weights than today's is renamed: the run, its fit and its classifiers."""
    record = place / "weights.json"
    known = _read(record)
    now = _weights() if nano else ""
    if known.get(name, "unknown" if nano else "") != now:
        studies = sorted(place.glob("study-*"))
        folders = [place / "runs" / name, place / "fits" / (fit or "-"), *(study / "arms" / name for study in studies)]
        for folder in (folder for folder in folders if folder.exists()):
            folder.rename(place / f"stale-{folder.parent.parent.name}-{folder.name}-{int(time.time())}")
        for study in studies:
            _unlist(study / "study.yaml", name)
    record.write_text(json.dumps({**known, name: now}, indent=1))


def _unlist(study: Path, name: str) -> None:
    """Forget an arm that is made anew: a study refuses a changed one under an old name."""
    import yaml

    if study.exists():
        known = yaml.safe_load(study.read_text())
        known["arms"].pop(name, None)
        study.write_text(yaml.safe_dump(known, sort_keys=False, allow_unicode=True))


@functools.cache
def _weights() -> str:
    """A hash of all bundled weights."""
    from imaginate import nano

    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(nano.weights().rglob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _fit(name: str, target: Target, args: argparse.Namespace) -> Path:
    place = args.work / target.name
    out: Path = place / "fits" / name
    if not (out / "done").exists():
        data = [str(target.place(args.data, args.work)), str(out), *target.filled(target.data, args.data, args.work)]
        command = ["fit", name, *data, "--prior", "nano", "--max-steps", str(args.fit_steps)]
        _command(command, args.minutes, place / "logs" / f"fit-{name}.log")
        (out / "done").touch()
    return out


def _pool(kind: str, target: Target, args: argparse.Namespace) -> Path:
    """Tiny-ImageNet's training images, which the priors were trained on: RET's retrieval pool in miniature, embedded by
    the bundled CLIP (`nano`) or by frozen ImageNet features (`lite`); `own`: the target's unlabelled ones among them"""
    if kind == "own" and not target.own:
        raise _Failed(
            "this target has no pool of its own" + (": that of the others holds it" if target.covered else "")
        )
    shards = sorted((args.data / "tiny-imagenet-64").glob("train-*.parquet"))[: args.pool_shards]
    if kind != "own":
        return _built(args.work / f"pool-{kind}", list(map(str, shards)), kind, args)
    lite, out = _pool("lite", target, args), args.work / f"pool-own-{target.name}"
    if not out.exists():
        partial = out.with_name(f"{out.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(lite, partial)
        partial.rename(out)
    return _built(out, [*map(str, shards), *target.filled(target.own, args.data, args.work)], "lite", args)


def _built(out: Path, sources: list[str], kind: str, args: argparse.Namespace) -> Path:
    """A pool of these sources; those that it has already are not read again."""
    if not out.with_suffix(".done").exists():
        guide = ["nano"] if kind == "nano" else ["prototypes:efficientnet-lite0@112", "--data", str(_any(args))]
        _command(["pool", "build", str(out), *sources, "--guide", *guide], 600, args.work / f"{out.name}.log")
        out.with_suffix(".done").touch()
    return out


def _any(args: argparse.Namespace) -> Path:
    """A dataset for a guide that only embeds here: its classes do not matter."""
    return Path(args.work / "tiny-imagenet-s" / "seeds.parquet")


def _compare(target: Target, learner: LabLearner, args: argparse.Namespace, groups: list[str]) -> None:
    """One study over every run that is finished; arms that it already has are not trained again."""
    place = args.work / target.name
    study = place / f"study-{learner.name}"
    wanted = ENTRIES if learner.arms is None else learner.arms
    if args.only:
        wanted = [name for name in wanted if name in (args.arm or ()) or (study / "arms" / name).exists()]
    runs = [f"run:{place / 'runs' / n}" for n in wanted if (place / "runs" / n / "metadata.parquet").exists()]
    arms = ["original", *runs]
    if learner.arms is None and ("clip" in groups or _had(study, "clip-")):
        arms += [name for name in CLIP_ARMS if name in ("clip-zero-shot", "clip-probe")]
    data = str(target.place(args.data, args.work))
    flags = target.filled((*target.data, *target.held, *target.real), args.data, args.work)
    flags += ["--drop-leak", "--yes", *learner.flags, "--out", str(study)]
    flags += ["--updates", str(target.updates)] if learner.by_updates else []
    flags += ["--seeds", str(args.seeds)] if args.seeds else []  # the last one counts
    try:
        command = ["compare", data, *(x for arm in arms for x in ("--arm", arm)), *flags]
        _command(command, 600, place / "logs" / f"compare-{learner.name}.log")
        _forget(place, f"compare-{learner.name}")
    except _Failed as failure:
        _note(place, f"compare-{learner.name}", str(failure))
        print(f"{target.name}/compare-{learner.name}: {failure}", flush=True)


def _had(study: Path, front: str) -> bool:
    folder = study / "arms"
    return folder.is_dir() and any(p.name.startswith(front) for p in folder.iterdir())


class _Failed(Exception):
    """A command did not finish; the message is its last line."""


def _command(args: list[str], minutes: float, log: Path) -> None:
    """`imaginate ...` in a process of its own, output in a log, the last line on failure."""
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.time()
    print(f"imaginate {args[0]} ... > {log}", flush=True)
    with log.open("a") as stream:
        stream.write(f"\n$ imaginate {' '.join(args)}\n")
        stream.flush()
        try:
            code = subprocess.run(
                [sys.executable, "-m", "imaginate", *args], stdout=stream, stderr=subprocess.STDOUT, check=False,
                timeout=60 * minutes, env={**os.environ, "COLUMNS": "120"},
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            raise _Failed(f"not finished after {minutes:g} minutes; the next call goes on") from None
    print(f"  {time.time() - start:.0f} s, exit {code}", flush=True)
    if code:
        lines = [line.strip() for line in log.read_text().splitlines() if line.strip()]
        last = lines[-1].replace(f"{log.parents[1]}/", "").replace(f"{ROOT}/", "")
        raise _Failed(f"exit {code}: {last[-300:]}")


def _note(place: Path, name: str, reason: str | None) -> None:
    path = place / "failed.json"
    notes = _read(path)
    notes.pop(name, None)
    if reason is not None:
        notes[name] = reason
    path.write_text(json.dumps(notes, indent=1))


def _forget(place: Path, name: str) -> None:
    _note(place, name, None)


def _collect(target: Target, args: argparse.Namespace) -> None:
    """Put the studies' results and the arms that are missing into lab.json."""
    place = args.work / target.name
    found = _read(JSON) or {"targets": {}}
    known = found["targets"].get(target.name, {"learners": {}})
    failed = _read(place / "failed.json")
    for name, learner in LEARNERS.items():
        if results := _read(place / f"study-{name}" / "results.json"):
            done = {arm["name"] for arm in results["arms"]}
            wanted = ENTRIES if learner.arms is None else learner.arms
            missing = {n: failed.get(n, "not run yet") for n in wanted if n not in done}
            known["learners"][name] = _record(target, args, place / f"study-{name}", results, missing)
    if known["learners"]:
        found["targets"][target.name] = known | {"title": target.title, "note": target.note, "medical": target.medical}
    JSON.parent.mkdir(parents=True, exist_ok=True)
    JSON.write_text(json.dumps(found, indent=1) + "\n")


def _read(path: Path) -> dict:
    """A file of ours; empty where there is none yet."""
    return json.loads(path.read_text()) if path.exists() else {}


def _record(target: Target, args: argparse.Namespace, study: Path, results: dict, missing: dict[str, str]) -> dict:
    keep = ("name", "kind", "method", "ratio", "images", "top1", "mean_per_class", "predictors", "seconds")
    shown = ("arch", "image_size", "updates", "seeds", "validation", "online_aug", "folds", "shots", "head")
    gaps = ("mean", "low", "high", "verdict", "p", "p_holm", "smallest")
    arms = []
    for arm in results["arms"]:
        gap = (arm["difference"] or {}).get("mean_per_class" if target.medical else "top1")
        arms.append({k: arm[k] for k in keep} | {"difference": gap and {k: gap.get(k) for k in gaps}})
        if broken := (arm["difference"] or {}).get("corruption"):
            arms[-1]["corruption"] = {k: broken.get(k) for k in gaps}
    return {
        "protocol": {k: results["protocol"][k] for k in shown},
        "data": {k: results["data"][k] for k in ("train", "validation", "held_out")},
        "removed": results["leak"].get("removed", 0),
        "complete": results["complete"],
        "controls": results["controls"],
        "worth": results["worth"],
        "nano_weights": _read(args.work / target.name / "weights.json"),  # by arm; empty where it used none
        "versions": results["versions"],
        "machine": environment()["machine"],
        "arms": arms,
        "pairs": _pairs(study, target.medical),
        "right": _right(args.work / target.name / "runs") if target.covered else {},
        "missing": missing,
    }


def _pairs(study: Path, medical: bool) -> dict[str, dict]:
    """The differences between two arms that the papers' claims are about, paired by seed and image, Holm-corrected."""
    import numpy as np

    from imaginate.evaluation.planning import corrected
    from imaginate.evaluation.statistics import class_weight, difference

    found: dict[str, dict] = {}
    for arm, other in PAIRS:
        right, label = zip(*(_answers(study / "arms" / name) for name in (arm, other)), strict=True)
        seeds = sorted(right[0].keys() & right[1].keys())
        if len(seeds) < 2:
            continue
        a, b = (np.stack([one[seed] for seed in seeds]) for one in right)
        weight = class_weight(label[0]) if medical else np.full(len(label[0]), 1 / len(label[0]))
        found[f"{arm}|{other}"] = difference(a, b, weight, level=0.95, strata=label[0] if medical else None)
    holm = corrected(list(found.values()))
    return {name: gap | {"p_holm": p} for (name, gap), p in zip(found.items(), holm, strict=True)}


def _right(runs: Path) -> dict[str, float]:
    """Of each run of retrieved images, the share whose name in the pool is that of the class."""
    import pyarrow.parquet as pq

    found = {}
    for path in sorted(runs.glob("retrieval*/metadata.parquet")):
        rows = pq.read_table(path, columns=["class_name", "info_caption"]).to_pylist()
        named = [row["class_name"] == row["info_caption"] for row in rows if row["info_caption"]]
        found[path.parent.name] = round(sum(named) / max(1, len(named)), 4)
    return found


def _answers(folder: Path) -> tuple[dict, object]:
    """What each finished classifier of an arm got right, by seed, and the labels."""
    import numpy as np

    right, label = {}, None
    for path in sorted(folder.glob("seed-*/predictions.npz")):
        with np.load(path) as saved:
            label = saved["label"]
            right[path.parent.name] = saved["predicted"] == label
    return right, label


if __name__ == "__main__":
    raise SystemExit(main())
