"""Write the pages of the documentation that come from the code and from measurements: methods, filters, commands,
recipe keys, the speed of the main job, what 10^8 images take, and which method when.

python docs/generate.py            # write them
python docs/generate.py --check    # fail where one is out of date
"""

from __future__ import annotations

import inspect
import itertools
import json
import sys
from pathlib import Path
from typing import Any

from choose import choose_page
from scale import scale_page

from imaginate import registry
from imaginate.cli import commands, summary
from imaginate.cli._flags import describe
from imaginate.engine.recipe import SECTIONS
from imaginate.settings import Setting, settings_of

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py from the code: change the code, then run `make docs`. -->\n"


def settings_table(settings: list[Setting], head: str = "flag") -> str:
    """One row per setting: its flag, or the key by which `--filter NAME:key=value` knows it."""
    if not settings:
        return "No settings.\n"
    rows = [f"| `{s.flag if head == 'flag' else s.name}` | {describe(s).replace('|', '¦')} |" for s in settings]
    return "\n".join([f"| {head} | meaning |", "| --- | --- |", *rows]) + "\n"


def registered(kind: registry.Kind, title: str, intro: str) -> str:
    """A page of all methods, or all filters."""
    columns = ("name", "idea", "needs", "from") if kind == "methods" else ("name", "idea", "needs")
    lines = [NOTE, f"# {title}", "", intro, "", f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    parts = []
    for name in registry.names(kind):
        cls = registry.find(kind, name)
        cells = [f"[`{name}`](#{name})", registry.summary(cls), ", ".join(cls.needs) or "nothing"]
        lines.append(f"| {' | '.join([*cells, cls.paper] if kind == 'methods' else cells)} |")
        table = settings_table(settings_of(cls), "flag" if kind == "methods" else "key")
        parts += [f"## {name}", "", inspect.getdoc(cls) or "", "", table]
    return "\n".join([*lines, "", *parts])


def recipe_page() -> str:
    """Every section of a recipe."""
    parts = [NOTE, "# Recipe keys and flags", "", "Every setting of a run, as a flag and as a key of its section.", ""]
    for name, cls in SECTIONS.items():
        parts += [f"## {name}", "", settings_table(settings_of(cls))]
    return "\n".join(parts)


EVERYWHERE = """Every command takes `--config FILE` (flags by name in YAML; the command line overrides them), `--quiet`
(no bar), `--verbose`, `--log-file FILE` (remarks with their time) and `--json`: the result on standard output, and
nothing else (`imaginate guide` takes a file there, or `-`). Remarks go to standard error; what is refused exits with 2.
`--help` shows the flags that most people need, `--help-all` all of them.
"""


def commands_page() -> str:
    """The list of commands."""
    rows = [f"| `imaginate {name}` | {summary(name)} |" for name in commands()]
    return "\n".join([NOTE, "# Commands", "", "| command | what it does |", "| --- | --- |", *rows, "", EVERYWHERE])


SPEED = """# Speed of the main job

`python benchmarks/expand.py` ({cpu}, {memory_gb:.0f} GB): every contender in one process held to one core, pictures of
96 pixels, five copies each, PNG, all files in memory. The limit decodes every seed and encodes every copy with the same
codec, and does nothing else. The scripts do the same job with the same codec and write no record; "as written" keeps
Pillow's own PNG level, as most scripts do. Ratios are medians over rounds, and those of processor time are what counts:
the wall's clock feels all other work. Most of a script's time is the codec's, which is the same for all. With more
cores, `imaginate` encodes on all of them without `--workers`; a script does not.

| | images/s | processor ms an image | ours is that many times as fast | by processor time |
| --- | ---: | ---: | ---: | ---: |
{contenders}

## Size, workers, start

| | |
| --- | --- |
| seeds | {seeds_small:,} and {seeds_large:,} |
| peak memory | {peak_mb_small:.0f} and {peak_mb_large:.0f} MB: {peak_ratio:.2f} times |
| processor ms an image | {cpu_ms_per_image_small:.2f} and {cpu_ms_per_image_large:.2f} |
| {seeds:,} seeds, one worker on one core | {one_core_images_per_s:.0f} images/s |
| one worker on two, whose threads encode | {one_worker_images_per_s:.0f} images/s: {one_worker_times_one_core:.2f}x |
| two workers on two, with their start | {two_workers_images_per_s:.0f} images/s: {two_workers_times_one_core:.2f}x |
| two plain processes, the most that is possible | {two_plain_processes_times_one:.2f} times one |
{starts}

## Every command as the dataset grows

`python benchmarks/growth.py`: seeds of 24 pixels, one copy of each by the cheapest method, so that each command's own
work is what counts; processor seconds and peak memory on one core, the start of Python and of the libraries among them
(of the smallest size nearly all is PyTorch's). Other work shared the machine while a million seeds were measured: the
disk's cache did not hold their files, which processor seconds feel too; memory does not feel it. A run of n seeds has
2 n rows. A command that goes on with a run asks every seed's file whether it has changed (size, times, inode), and
reads those that have: a source that changed is refused. The hashes of the others are in the machine's cache
(`imaginate cache`). WebDataset and parquet were measured on both cores, each of which writes whole files: the two
million rows of the largest run took {tar_seconds} and {parquet_seconds} seconds by the wall's clock.

| processor s, seeds: | {sizes} |
| --- | {rule} |
{seconds}

| peak MB, seeds: | {sizes} |
| --- | {rule} |
{memory}

Processor milliseconds that one more image costs, between two sizes that follow on one another:

| | {steps} |
| --- | {step_rule} |
{slopes}
"""


IMAGINATION = """
## Where the time of guided imagination goes

`{command}`: {images} images by the
released loop as its authors describe it, and by `gif-sd` with the variant `released` and the same steps; processor
seconds in each network, in the gradient (back through decoder and guide), and in everything else.

| | {parts} | all |
| --- | {rules} | ---: |
{rows}

`gif-sd` is {ratio} times as fast. If everything but networks and gradient took no time, it would be {networks_alone}
times as fast; if nothing but its denoising network took any, {denoising_alone} times: beyond this, only fewer steps, a
lower precision or another network help.
"""


def _imagination() -> str:
    """What `benchmarks/imagination.py shares` measured last; nothing where it was not run."""
    file = HERE.parent / "benchmarks/results/imagination-shares-nano-cpu.json"
    if not file.exists():
        return ""
    record = json.loads(file.read_text())
    found = record["results"]
    sides = found["seconds"]
    parts = [name for name in dict.fromkeys(part for side in sides.values() for part in side) if name != "seconds"]
    rows = [
        f"| {name} | {' | '.join(f'{side.get(part, 0):.2f}' for part in parts)} | {side['seconds']:.2f} |"
        for name, side in sides.items()
    ]
    return IMAGINATION.format(
        command=record["command"],
        images=found["images"],
        ratio=found["times as fast"],
        networks_alone=found["if all but networks and gradient took no time"],
        denoising_alone=found["if all but the denoising network took no time"],
        parts=" | ".join(parts),
        rules=" | ".join(["---:"] * len(parts)),
        rows="\n".join(rows),
    )


STUDIES = """
## Studies

`python benchmarks/studies.py`. {quick}

{training}
"""
QUICK = """`compare --quick` with {arms} arms of up to {images:,} images, {seeds} seeds, {held_out:,} held-out images,
on {cores} cores: {seconds_cold:.0f} s with no feature known, {seconds_with_known_features:.0f} s once the features of
these images are in the machine's cache (`imaginate cache`)."""
TRAINING = """An update of `imaginate train` on decoded pixels (choice of images, augmentation, optimizer, history) next
to the same network and optimizer alone, processor milliseconds on one thread, {size} pixels, batches of {batch}:

| | train | network alone | share of its rate |
| --- | ---: | ---: | ---: |
{rows}"""


def _studies() -> str:
    """What `benchmarks/studies.py` measured last."""
    folder = HERE.parent / "benchmarks/results"
    record = json.loads((folder / "studies-quick.json").read_text())
    quick, cores = record["results"], record["machine"]["cores"]
    shown = QUICK.format(**quick | {"arms": len(quick["arms"]), "images": max(quick["arms"].values())}, cores=cores)
    found = json.loads((folder / "studies-training.json").read_text())["results"]
    rows = [
        f"| `{arch}` | {row['ours_ms']:.0f} | {row['bare_ms']:.0f} | {row['share_of_the_bare_rate']:.2f} |"
        for arch, row in found.items()
        if isinstance(row, dict)
    ]
    training = TRAINING.format(size=found["size"], batch=found["batch"], rows="\n".join(rows))
    return STUDIES.format(quick=shown, training=training)


SEARCH = """
## Search of a pool

`python benchmarks/lists.py`: the pool's own index against faiss IVF-flat with as many lists, in one process; both visit
the fewest lists that reach a recall@100 of 0.95 on 100 queries. Processor milliseconds a query, seconds of a build, and
the peak of memory while building above what was there before. The pool reads its vectors from its table and maps its
lists, faiss holds them in memory.

| vectors | | lists visited | recall | batch of 100, ms | one by one, ms | build, s | memory, MB |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}
"""


def _searches() -> str:
    """A row for each side of every file of `benchmarks/lists.py`."""
    rows = []
    for file in sorted((HERE.parent / "benchmarks/results").glob("lists-*.json"), key=lambda f: (len(f.name), f.name)):
        found = json.loads(file.read_text())["results"]
        for who in ("pool", "faiss"):
            if who in found:
                one, size = found[who], f"{found['rows']:,} x {found['dim']}"
                times = [f"{found[f'{who}_{how}']['cpu_ms_a_query']:.2f}" for how in ("batch", "one_by_one")]
                rows.append(f"| {size} | {'**pool**' if who == 'pool' else who} | {one['probes']} of {one['lists']:,} "
                            f"| {one['recall']:.3f} | {' | '.join(times)} | {one['index_cpu_s']:.1f} "
                            f"| {one['index_peak_mb'] - one['base_mb']:,} |")  # fmt: skip
    return SEARCH.format(rows="\n".join(rows))


def speed_page() -> str:
    """What `benchmarks/expand.py`, `growth.py`, `studies.py` and `lists.py` measured last."""
    parts = ("side-by-side", "scaling", "workers", "start")
    found = {part: json.loads((HERE.parent / f"benchmarks/results/expand-{part}.json").read_text()) for part in parts}
    results, machine = {part: record["results"] for part, record in found.items()}, found["side-by-side"]["machine"]
    main_job = SPEED.format(
        **machine,
        **results["scaling"],
        **results["workers"],
        contenders="\n".join(_contenders(results["side-by-side"])),
        starts="\n".join(f"| `{name}` | {seconds:.2f} s |" for name, seconds in results["start"].items()),
        **_growth(),
    )
    return NOTE + "\n" + main_job + _studies() + _imagination() + _searches()


def _growth() -> dict[str, str]:
    """Of every command: processor time and memory by size, and what an image adds from one size to the next."""
    found = json.loads((HERE.parent / "benchmarks/results/growth.json").read_text())["results"]["commands"]
    measured = {key.removeprefix("now: "): sizes for key, sizes in found.items() if key.startswith("now: ")}
    sizes = sorted({int(size) for row in measured.values() for size in row})
    pairs = list(itertools.pairwise(sizes))

    def rows(key: str, digits: int) -> str:
        return "\n".join(
            f"| {title} | " + " | ".join(_cell(row.get(str(size), {}).get(key), digits) for size in sizes) + " |"
            for title, row in measured.items()
        )

    def slope(row: dict[str, dict[str, float]], small: int, large: int) -> float | None:
        if not {str(small), str(large)} <= set(row):
            return None
        return 1000 * (row[str(large)]["cpu"] - row[str(small)]["cpu"]) / (large - small)

    return {
        "sizes": " | ".join(f"{size:,}" for size in sizes),
        "rule": " | ".join(["---:"] * len(sizes)),
        "tar_seconds": _wall(measured["export webdataset"]),
        "parquet_seconds": _wall(measured["export parquet"]),
        "steps": " | ".join(f"{small:,} to {large:,}" for small, large in pairs),
        "step_rule": " | ".join(["---:"] * len(pairs)),
        "seconds": rows("cpu", 1),
        "memory": rows("peak_mb", 0),
        "slopes": "\n".join(
            f"| {title} | " + " | ".join(_cell(slope(row, *pair), 3) for pair in pairs) + " |"
            for title, row in measured.items()
        ),
    }


def _wall(row: dict[str, dict[str, float]]) -> str:
    """The seconds of the largest size."""
    return f"{row[max(row, key=int)]['seconds']:.0f}"


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _contenders(table: dict[str, dict[str, Any]]) -> list[str]:
    """Rows of the side-by-side table: the limit, then each method and the scripts that do the same."""
    rows = []
    for name, row in table.items():
        who, _, method = name.partition(" ")
        against = table[f"imaginate {method or 'cutout'}"]
        ratios = [against.get(f"times {name}"), against.get(f"times {name}, by processor time")]
        told = " | ".join("" if ratio is None else f"{ratio:.2f}" for ratio in ratios)
        title = f"{method}: **{who}**" if who == "imaginate" else f"{method}: {who}" if method else who
        rows.append(f"| {title.replace('-as-written', ', as written')} | {row['images_per_s']:.0f} "
                    f"| {row['cpu_ms_per_image']:.2f} | {told} |")  # fmt: skip
    return rows


def laboratory() -> dict[str, Any]:
    """What the miniature laboratory measured last."""
    found: dict[str, Any] = json.loads((HERE.parent / "benchmarks/results/lab.json").read_text())
    return found


PAGES = {
    "methods.md": lambda: registered("methods", "Methods", "`imaginate expand DATA OUT --method NAME`."),
    "filters.md": lambda: registered("filters", "Filters", "`imaginate expand ... --filter NAME[:key=value,...]`."),
    "recipe.md": recipe_page,
    "commands.md": commands_page,
    "speed.md": speed_page,
    "choose.md": lambda: NOTE + "\n" + choose_page(laboratory()),
    "scale.md": lambda: NOTE + "\n" + scale_page(),
}


def main() -> int:
    """Write or check every page; returns the exit code."""
    stale = []
    for name, make in PAGES.items():
        path, text = HERE / name, make()
        if "--check" in sys.argv:
            stale += [name] if not path.exists() or path.read_text() != text else []
        else:
            path.write_text(text)
    if stale:
        print(f"out of date: {', '.join(stale)}; run `make docs`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
