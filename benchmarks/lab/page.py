"""docs/results.md: tables in the papers' layout, ours next to theirs."""

from __future__ import annotations

import statistics
from collections import Counter
from pathlib import Path
from typing import Any

from arms import AUGMENTATIONS, BUILT_IN, CLIP_ARMS, ENTRIES, GIF, RET, Entry
from paper import GIF_TABLE_1, RET_TABLE_1
from targets import TARGETS

HEAD = """# Results of the miniature laboratory

Written by `python benchmarks/lab/lab.py` from `benchmarks/results/lab.json`; do not edit by hand. Where the images come
from: [benchmark data](benchmark-data.md).

Small data, small priors (trained on Tiny-ImageNet, on a CPU), a small classifier, few updates: what is *true here* says
how the methods behave in this corner, not what full-size priors would do. Both papers' figures stand next to ours for
the layout, not for comparison of numbers: they used ResNet-50 at 224 px, far larger priors, more new images, and (GIF)
equal epochs and the best epoch on the test split.

Protocol: every arm gets the same number of updates, the same light on-line augmentation, and the same validation part
of its original images for choosing the checkpoint; new images made from validation images are left out; the held-out
images are used once. Numbers are top-1 accuracy in per cent (medical: mean over classes, as in GIF), mean ± standard
error over seeds. In brackets: the difference to *original* with its 95 % interval (paired bootstrap over images and
seeds, widened for few seeds). **Bold**: the interval is above 0; *italic*: below 0; plain: no difference shown.
Many arms are compared, so about one in forty stands out on either side by chance. With few updates an arm of more and
harder images is still learning when the clock stops; *trained longer* shows what that changes.
"""


def write_page(found: dict[str, Any], path: Path) -> None:
    """Tables over all targets that have results."""
    targets = [name for name in TARGETS if name in found["targets"]]
    data = {name: found["targets"][name] for name in targets}
    parts = [HEAD, _short(data), _targets(data), _gif(data), _ret(data), _clip(data), _real(data), _missing(data)]
    path.write_text("\n\n".join(part for part in parts if part).rstrip() + "\n")


def _short(data: dict[str, Any]) -> str:
    """Of each target: which arms stand out, by the verdicts of the tables below, best first."""
    lines = []
    for one in data.values():
        measure = "mean_per_class" if one.get("medical") else "top1"
        verdicts: dict[str, list[tuple[float, str]]] = {"gain": [], "loss": [], "unclear": []}
        for arm in (arm for arm in one["arms"] if arm["difference"]):
            gap = arm["difference"][measure]
            verdicts[gap["verdict"]].append((gap["mean"], arm["name"]))
        named = {
            verdict: ", ".join(f"{name} {100 * mean:+.1f}" for mean, name in sorted(found, reverse=True)) or "none"
            for verdict, found in verdicts.items()
        }
        lines.append(
            f"- **{one['title']}**, {len(one['arms'])} arms. Better than the originals: {named['gain']}. "
            f"Worse: {named['loss']}. No difference shown: {len(verdicts['unclear'])}."
        )
    return "## In short\n\nDifferences to *original* in points.\n\n" + "\n".join(lines)


def _targets(data: dict[str, Any]) -> str:
    rows = [
        [
            "target",
            "classes of images",
            "train",
            "validation",
            "held out",
            "input",
            "updates",
            "seeds",
            "new per original",
        ]
    ]
    for name, one in data.items():
        ratios = sorted({round(arm["ratio"]) for arm in one["arms"] if arm["ratio"]})
        p, d = one["protocol"], one["data"]
        title = f"[{one['title']}](benchmark-data.md#{Path(TARGETS[name].path).stem})"
        rows.append([
            title, TARGETS[name].note, d["train"], d["validation"], d["held_out"],
            f"{p['arch']}, {p['image_size']} px", p["updates"], p["seeds"], ", ".join(f"{r:g}" for r in ratios),
        ])  # fmt: skip
    leaks = [
        f"{one['title']}: held-out images left out because they are also training images: {one['leak']['removed']}."
        for one in data.values()
        if one["leak"]["removed"]
    ]
    return "## Targets\n\n" + _table(rows) + ("\n\n" + " ".join(leaks) if leaks else "")


def _gif(data: dict[str, Any]) -> str:
    """GIF Table 1's layout: a row a method, for each target our figure and the paper's."""
    rows = [["method", *(cell for name, one in data.items() for cell in _heads(name, one))]]
    lines: list[tuple[str, str, str | None]] = [(n, t, g) for n, (t, g, _) in BUILT_IN.items()]
    lines += [(e.name, e.title, e.gif) for e in (*AUGMENTATIONS, *GIF)]
    for key, title, gif in lines:
        cells = [_linked(key, title)]
        for name, one in data.items():
            cells.append(_cell(one, key))
            if TARGETS[name].gif:
                cells.append(_paper(GIF_TABLE_1[TARGETS[name].gif or ""].get(gif or "")))
        rows.append(cells)
    return "## Dataset expansion (GIF Table 1)\n\n" + _table(rows) + _other_sizes(data)


def _other_sizes(data: dict[str, Any]) -> str:
    """Arms with another number of new images than most: a filter or the selection rejected some, or a method that
    starts from classes lost none to the validation images."""
    words = []
    for one in data.values():
        ratios = {arm["name"]: round(arm["ratio"], 2) for arm in one["arms"] if arm["ratio"]}
        usual = statistics.mode(ratios.values()) if ratios else 0
        others = [f"{name} {ratio:g}" for name, ratio in ratios.items() if abs(ratio - usual) > 0.05 * usual]
        words += [f"{one['title']}: {', '.join(others)} (the others {usual:g})"] if others else []
    return "\n\nNew images for each original, where not as usual. " + "; ".join(words) + "." if words else ""


def _heads(name: str, one: dict[str, Any]) -> list[str]:
    return [f"{one['title']}, here", *(["GIF paper"] if TARGETS[name].gif else [])]


def _ret(data: dict[str, Any]) -> str:
    """RET Table 1's layout."""
    rows = [["method", *(f"{one['title']}, here" for one in data.values()), "RET, 10 % ImageNet"]]
    lines: list[tuple[str, str, str | None]] = [("original", "Original", "10% ImageNet")]
    order = {name: i for i, name in enumerate(RET_TABLE_1)}
    lines += [(e.name, e.title, e.ret) for e in sorted(RET, key=lambda e: order.get(e.ret or "", 99))]
    for key, title, ret in lines:
        rows.append([_linked(key, title), *(_cell(one, key) for one in data.values()), RET_TABLE_1.get(ret or "", "")])
    return "## Generation against retrieval (RET Table 1)\n\n" + _table(rows)


def _clip(data: dict[str, Any]) -> str:
    """The guide itself as a classifier (GIF Tables 1 and 4)."""
    if not any(_find(one, key) for one in data.values() for key in CLIP_ARMS):
        return ""
    rows = [["baseline", *(f"{one['title']}, here" for one in data.values())]]
    rows += [
        [_linked(key, title), *(_cell(one, key) for one in data.values())] for key, (title, _) in CLIP_ARMS.items()
    ]
    return (
        "## The guide itself (GIF Tables 1 and 4)\n\nThe bundled miniature CLIP, at the classifier's input size.\n\n"
        + _table(rows)
    )


def _real(data: dict[str, Any]) -> str:
    """More real images, and how many synthetic ones are worth one of them."""
    rows = [["target", "arm", "more real images", "accuracy (difference)"]]
    for one in data.values():
        for arm in (a for a in one["arms"] if a["kind"] == "real"):
            name = f"[{arm['name']}](compare.md#arms)"
            rows.append([one["title"], name, arm["images"]["real"], _cell(one, arm["name"])])
    if len(rows) == 1:
        return ""
    return "## More real images, the upper bound\n\n" + _table(rows) + "\n\n" + _exchange(data)


def _exchange(data: dict[str, Any]) -> str:
    """The arms that have a rate as a table; how many have none, and why, as a line a target."""
    rows = [["target", "arm", "synthetic images", "worth so many real ones", "synthetic for one real (interval)"]]
    refused = []
    for one in data.values():
        without = Counter(line["note"].replace(": ", ", ") for line in one["exchange"] if line["rate"] is None)
        for line in (line for line in one["exchange"] if line["rate"] is not None):
            rate = f"{line['rate']:.1f} ({_end(line['low'])} to {_end(line['high'])})"
            rows.append([one["title"], _linked(line["arm"]), line["synthetic"], f"{line['real']:.0f}", rate])
        if without:
            why = "; ".join(f"{note} ({count})" for note, count in without.most_common())
            count = f"{without.total()} of {len(one['exchange'])} arms"
            refused.append(f"- {one['title']}, no rate for {count}: {why}.")
    words = "Read from the measured curve of real:N arms, inside its range only; an end outside it is shown as ?."
    parts = [words, _table(rows) if len(rows) > 1 else "", "\n".join(refused)]
    return "### Exchange rate\n\n" + "\n\n".join(part for part in parts if part)


def _end(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f}"


def _missing(data: dict[str, Any]) -> str:
    """Every arm that has no number, by target and reason."""
    lines = []
    for one in data.values():
        reasons: dict[str, list[str]] = {}
        for name, reason in one["missing"].items():
            reasons.setdefault(reason, []).append(name)
        lines += [
            f"- {one['title']}, {reason}: {len(names)} of {len(ENTRIES)} runs ({_folded(names)})"
            for reason, names in reasons.items()
        ]
    return "## Not measured\n\n" + "\n".join(lines) if lines else ""


def _folded(names: list[str]) -> str:
    """Names of arms, those of one method as `method (this, that)`."""
    methods: dict[str, list[str]] = {}
    for name in names:
        methods.setdefault(ENTRIES[name].method if name in ENTRIES else name, []).append(name)
    return ", ".join(
        found[0]
        if len(found) == 1
        else f"{method} ({', '.join(name.removeprefix(method).lstrip('-') or 'default' for name in found)})"
        for method, found in methods.items()
    )


def _linked(name: str, title: str = "") -> str:
    """The title of an arm, linked to where its method, or the arm itself, is described."""
    place = f"methods.md#{ENTRIES[name].method}" if name in ENTRIES else "compare.md#arms"
    return f"[{title or name}]({place})"


def _find(one: dict[str, Any], name: str) -> dict[str, Any] | None:
    return next((arm for arm in one["arms"] if arm["name"] == name), None)


def _cell(one: dict[str, Any], name: str) -> str:
    """`12.3 ± 0.4 (+1.2 [0.1, 2.3])`, by its verdict."""
    arm = _find(one, name)
    if arm is None:
        return "-"
    measure = "mean_per_class" if one.get("medical") else "top1"
    top1 = arm[measure]
    text = f"{100 * top1['mean']:.1f}" + ("" if top1["se"] is None else f" ± {100 * top1['se']:.1f}")
    if not arm["difference"]:
        return text
    gap = arm["difference"][measure]
    words = f"({100 * gap['mean']:+.1f} [{100 * gap['low']:+.1f}, {100 * gap['high']:+.1f}])"
    mark = {"gain": "**", "loss": "*"}.get(gap["verdict"], "")
    return f"{mark}{text}{mark} {words}"


def _paper(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _table(rows: list[list[Any]]) -> str:
    text = [[str(cell) for cell in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in text]
    return "\n".join([lines[0], "|" + " --- |" * len(text[0]), *lines[1:]])


__all__ = ["Entry", "write_page"]
