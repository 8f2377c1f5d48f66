"""The miniature laboratory: both papers' comparisons on small data, small priors and a small classifier.

    python benchmarks/lab/lab.py                                       # everything that can be made
    python benchmarks/lab/lab.py --target flowers102 --group augmentation
    python benchmarks/lab/lab.py --page                                # only write the tables again

One folder a target under --work: runs/<arm>, fits/<technique>, study/. Every step is an ordinary command, goes on where
it was stopped, and is not repeated once done. An arm that cannot be made is listed with its reason, never left out
silently. It writes benchmarks/results/lab.json and docs/results.md.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from _machine import environment
from arms import BUILT_IN, CLIP_ARMS, ENTRIES, GROUPS, Entry
from page import write_page
from targets import TARGETS, Target

ROOT = Path(__file__).resolve().parents[2]
JSON = ROOT / "benchmarks" / "results" / "lab.json"
PAGE = ROOT / "docs" / "results.md"


def main() -> int:
    """Make what is missing, compare, write the tables."""
    args = _arguments()
    for name in args.target or list(TARGETS)[:2]:
        target = TARGETS[name]
        if not args.page:
            _target(target, args)
        _collect(target, args)
    write_page(json.loads(JSON.read_text()), PAGE)
    print(f"{JSON.relative_to(ROOT)}, {PAGE.relative_to(ROOT)}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="default: the first two")
    parser.add_argument("--group", action="append", choices=[*GROUPS, "clip", "real"], help="default: all")
    parser.add_argument("--arm", action="append", choices=list(ENTRIES), help="only these runs of the groups")
    parser.add_argument("--work", type=Path, default=ROOT / "lab-work", help="where runs and studies are kept")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the datasets")
    parser.add_argument("--copies", type=int, default=2, help="new images for each original image")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=32, help="side of the classifier's input")
    parser.add_argument("--updates", type=int, help="updates of every classifier, in place of the target's")
    parser.add_argument("--minutes", type=float, default=30, help="at most this long for one run or fit at a time")
    parser.add_argument("--fit-steps", type=int, default=200, help="steps of each personalisation")
    parser.add_argument("--page", action="store_true", help="only write the tables from the finished studies")
    return parser.parse_args()


def _target(target: Target, args: argparse.Namespace) -> None:
    """Runs first, then one study over all that there is."""
    groups = args.group or [*GROUPS, "clip", "real"]
    place = args.work / target.name
    place.mkdir(parents=True, exist_ok=True)
    for name in CLIP_ARMS:
        _set_aside_if_stale(place, name, None, nano=True)
    for group in groups:
        for entry in GROUPS.get(group, ()):
            if not args.arm or entry.name in args.arm:
                _make(entry, target, args)
        _compare(target, args, groups)


def _make(entry: Entry, target: Target, args: argparse.Namespace) -> None:
    """The run of one arm; what goes wrong is written down next to it, and the laboratory goes on."""
    place = args.work / target.name
    out = place / "runs" / entry.name
    _set_aside_if_stale(place, entry.name, entry.fit, "nano" in entry.flags)
    if (out / "metadata.parquet").exists():
        return
    flags = list(entry.flags)
    try:
        if entry.fit:
            flags += ["--adaptation", str(_fit(entry.fit, target, args))]
        if entry.pool:
            flags += ["--pool", str(_pool(args)), "--held-out", str(args.data / target.path)]
            flags += ["--held-out-split", target.held_out_split] if target.held_out_split != "rest" else []
        command = ["expand", str(args.data / target.path), str(out), "--method", entry.method, *target.data]
        _command([*command, "--copies", str(args.copies), *flags], args.minutes, place / "logs" / f"{entry.name}.log")
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
        for folder in (place / "runs" / name, place / "study" / "arms" / name, place / "fits" / (fit or "-")):
            if folder.exists():
                folder.rename(place / f"stale-{folder.parent.name}-{folder.name}-{int(time.time())}")
        _unlist(place / "study" / "study.yaml", name)
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
        command = ["fit", name, str(args.data / target.path), str(out), *target.data, "--prior", "nano"]
        _command([*command, "--max-steps", str(args.fit_steps)], args.minutes, place / "logs" / f"fit-{name}.log")
        (out / "done").touch()
    return out


def _pool(args: argparse.Namespace) -> Path:
    """Tiny-ImageNet's training images, which the priors were trained on: RET's retrieval pool in miniature."""
    out: Path = args.work / "pool"
    if not (args.work / "pool.done").exists():
        sources = sorted(str(p) for p in (args.data / "tiny-imagenet-64").glob("train-*.parquet"))
        _command(["pool", "build", str(out), *sources, "--guide", "nano"], args.minutes, args.work / "pool.log")
        (args.work / "pool.done").touch()
    return out


def _compare(target: Target, args: argparse.Namespace, groups: list[str]) -> None:
    """One study over every run that is finished; arms that it already has are not trained again."""
    place = args.work / target.name
    runs = [f"run:{place / 'runs' / n}" for n in ENTRIES if (place / "runs" / n / "metadata.parquet").exists()]
    own = {"duplicate": f"duplicate=duplicate:{args.copies}"}  # the size of the usual run
    arms = [own.get(name, name) for name in BUILT_IN] + runs
    arms += list(target.real_arms) if "real" in groups or _had(place, "real-") else []
    arms += list(CLIP_ARMS) if "clip" in groups or _had(place, "clip-") else []
    data = str(args.data / target.path)
    flags = ["--held-out", data, "--held-out-split", target.held_out_split, *target.data, *target.real, "--drop-leak"]
    flags += ["--arch", "small", "--image-size", str(args.size), "--seeds", str(args.seeds)]
    flags += ["--updates", str(args.updates or target.updates), "--out", str(place / "study")]
    try:
        _command(
            ["compare", data, *(x for arm in arms for x in ("--arm", arm)), *flags], 600, place / "logs" / "compare.log"
        )
    except _Failed as failure:
        _note(place, "compare", str(failure))
        print(f"{target.name}/compare: {failure}", flush=True)


def _had(place: Path, front: str) -> bool:
    folder = place / "study" / "arms"
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
    """Put the study's results and the arms that are missing into lab.json."""
    place = args.work / target.name
    path = place / "study" / "results.json"
    found = _read(JSON) or {"targets": {}}
    if results := _read(path):
        failed = _read(place / "failed.json")
        done = {arm["name"] for arm in results["arms"]}
        missing = {n: failed.get(n, "not run yet") for n in ENTRIES if n not in done}
        found["targets"][target.name] = _record(target, args, results, missing)
    JSON.parent.mkdir(parents=True, exist_ok=True)
    JSON.write_text(json.dumps(found, indent=1) + "\n")


def _read(path: Path) -> dict:
    """A file of ours; empty where there is none yet."""
    return json.loads(path.read_text()) if path.exists() else {}


def _record(target: Target, args: argparse.Namespace, results: dict, missing: dict[str, str]) -> dict:
    keep = ("name", "kind", "method", "ratio", "images", "top1", "mean_per_class", "difference", "seconds")
    skip = ("data", "held_out", "real")
    return {
        "title": target.title,
        "note": target.note,
        "medical": target.medical,
        "protocol": {k: v for k, v in results["protocol"].items() if k not in skip},
        "data": {k: results["data"][k] for k in ("train", "validation", "held_out")},
        "leak": results["leak"] | {"runs": {Path(k).name: v for k, v in results["leak"]["runs"].items()}},
        "complete": results["complete"],
        "nano_weights": _read(args.work / target.name / "weights.json"),  # by arm; empty where it used none
        "versions": results["versions"],
        "machine": environment()["machine"],
        "arms": [{k: arm[k] for k in keep} for arm in results["arms"]],
        "exchange": results["exchange"],
        "missing": missing,
    }


if __name__ == "__main__":
    raise SystemExit(main())
