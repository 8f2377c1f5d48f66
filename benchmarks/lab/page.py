"""docs/results.md: what the papers claim and what was found here, then tables in the papers' layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from arms import BUILT_IN, CLIP_ARMS, ENTRIES
from claims import CLAIMS, judged, robust
from learners import LEARNERS
from paper import GIF_TABLE_1, RET_TABLE_1
from targets import TARGETS

HEAD = """# Results of the miniature laboratory

Written by `python benchmarks/lab/lab.py` from `benchmarks/results/lab.json`; do not edit by hand. Where the images come
from: [benchmark data](benchmark-data.md)."""

PROTOCOL = """## How it was measured

Small data, small priors (trained on Tiny-ImageNet, on a CPU), small learners: what is *true here* says how the
methods behave in this corner, not what full-size priors would do. A [probe](compare.md) sees each image once: it
credits new content and sees harm; only a learner of features (fine-tuned, from scratch) can be helped by
augmentation. Every arm gets the same updates, the same light on-line augmentation and the same validation part of its
original images; new images made from validation images are left out (a method that starts from classes uses all
original images, the validation part too, and so has an edge of one image in five); the held-out images are used once,
and no arm was tuned on them. Numbers are top-1 accuracy in per cent (medical: mean over classes), mean ± standard
error over seeds; in brackets the difference to *original* with its 95 % interval over seeds and images. **Bold**: a
gain, *italic*: a loss, both after Holm's correction over the arms of a study; plain: no difference shown. `visible`:
the smallest difference that a study finds four times in five. By the plain probe, the rows
of `mae` and `gif-mae` on Tiny-ImageNet-S, Imagenette-S and BreastMNIST are of images that keep the texture which a
change repeats in every patch (`--texture keep`); by default it is taken out, as in the other rows. Imagenette-S by
fine-tuning, every class alike, was looked at with eleven seeds first (the head over the seed images +3.2 [-1.0, +7.4],
not shown), and then with 22 more, a number set before they were run: by these alone +2.1 (t = 2.3, p 0.03)."""
ENOUGH = 20  # arms from which on a rank correlation says something of a predictor
CORRUPTED = {learner.title for learner in LEARNERS.values() if learner.corrupted}
Records = dict[tuple[str, str], dict[str, Any]]


def write_page(found: dict[str, Any], path: Path) -> None:
    """The claims first, then all tables."""
    records = {
        (found["targets"][target]["title"], LEARNERS[learner].title): record | {"target": target}
        for target in TARGETS
        if target in found["targets"]
        for learner, record in found["targets"][target]["learners"].items()
    }
    broken = {key: record for key, record in records.items() if key[1] in CORRUPTED}
    records = {key: record for key, record in records.items() if key[1] not in CORRUPTED}
    parts = [HEAD, _short(records), _claims(records, broken), PROTOCOL, _targets({**records, **broken})]
    parts += [_learner(records, learner.title) for learner in LEARNERS.values() if not learner.corrupted]
    parts += [_right(records), _worth(records), _predictors(records), _papers(), _missing({**records, **broken})]
    path.write_text("\n\n".join(part for part in parts if part).rstrip() + "\n")


def _short(records: Records) -> str:
    """Of each study: which arms stand out, best first, and what it could have seen."""
    lines = []
    for (target, learner), record in records.items():
        named = {}
        for verdict in ("gain", "loss"):
            some = [(arm["difference"]["mean"], arm["name"]) for arm in _candidates(record) if _is(arm, verdict)]
            named[verdict] = (
                ", ".join(f"{name} {100 * mean:+.1f}" for mean, name in sorted(some, reverse=True)) or "none"
            )
        open_ = sum(not _is(arm, "gain") and not _is(arm, "loss") for arm in _candidates(record))
        visible = [arm["difference"]["smallest"] for arm in _candidates(record) if arm["difference"]["smallest"]]
        seen = f"; visible from {100 * min(visible):.1f} to {100 * max(visible):.1f}" if visible else ""
        judge = record["controls"]
        fault = f" **It cannot judge**: {judge['fault']}." if judge and not judge["can_judge"] else ""
        lines.append(
            f"- **{target}, {learner}**. Better than the originals: {named['gain']}. Worse: {named['loss']}. "
            f"No difference shown: {open_}{seen}.{fault}"
        )
    words = "Differences to *original* in points, after Holm's correction over the arms of each study."
    return f"## In short\n\n{words}\n\n" + "\n".join(lines)


def _candidates(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The arms that a study was asked about."""
    return [arm for arm in record["arms"] if arm["kind"] == "run" and arm["difference"]]


def _is(arm: dict[str, Any], verdict: str) -> bool:
    gap = arm["difference"]
    return bool(gap and gap["verdict"] == verdict and (gap["p_holm"] if gap["p_holm"] is not None else gap["p"]) < 0.05)


def _claims(records: Records, broken: Records) -> str:
    """A row for each claim of the papers."""
    rows = [["claim", "source", "here", "each comparison, in points"]]
    for claim in CLAIMS:
        verdict, each = judged(claim, records)
        if claim.number == "C11":
            verdict, each = _fid_ranks(records)
        if claim.number == "C9":
            verdict, each = robust(broken)
        words = f"{claim.number}: {claim.words}" + (f" ({claim.note})" if claim.note else "")
        rows.append([words, claim.source, verdict, "<br>".join(each)])
    return "## What the papers claim\n\n" + _table(rows)


def _fid_ranks(records: Records) -> tuple[str, list[str]]:
    """Whether the distance to the originals ranks the arms of a study as training does."""
    each = []
    for (target, learner), record in records.items():
        rho, count = _rank_correlation(record, "kernel_distance")
        if rho is not None:
            each.append((rho, f"{target}, {learner}: rank correlation {rho:+.2f} over {count} arms"))
    if not each:
        return "not measured here", []
    strong = sum(rho <= -0.7 for rho, _ in each)
    if len(each) < 3:
        return f"**open** here ({len(each)} of the studies has arms enough to rank)", [words for _, words in each]
    return (
        f"kernel distance ranks (correlation -0.7 or stronger) in {strong} of {len(each)} studies",
        [words for _, words in each],
    )


def _rank_correlation(record: dict[str, Any], name: str) -> tuple[float | None, int]:
    from scipy.stats import spearmanr

    pairs = [(arm["predictors"][name], arm["difference"]["mean"]) for arm in _candidates(record) if arm["predictors"]]
    if len(pairs) < 4 or any(len(set(column)) == 1 for column in zip(*pairs, strict=True)):
        return None, len(pairs)
    rho = float(spearmanr(*zip(*pairs, strict=True)).statistic)
    return (rho if rho == rho else None), len(pairs)


def _predictors(records: Records) -> str:
    """The rank correlation of each cheap predictor with what training found, by study and over all arms."""
    names = ("influence", "consistency", "kernel_distance", "vendi", "coverage")
    rows: list[list[Any]] = [["study", "arms", *(f"`{name}`" for name in names)]]
    pooled: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for (target, learner), record in records.items():
        found = [_rank_correlation(record, name) for name in names]
        if all(rho is None for rho, _ in found):
            continue
        rows.append([f"{target}, {learner}", found[0][1], *("-" if r is None else f"{r:+.2f}" for r, _ in found)])
        for name, (rho, count) in zip(names, found, strict=True):
            pooled[name] += [] if rho is None else [(rho, count)]
    if len(rows) == 1:
        return ""
    means = {name: sum(r * n for r, n in some) / sum(n for _, n in some) for name, some in pooled.items() if some}
    rows.append(["mean, by arms", "", *("-" if name not in means else f"{means[name]:+.2f}" for name in names)])
    best = max(means, key=lambda name: abs(means[name]))
    arms = sum(row[1] for row in rows[1:-1])
    trust = "may be trusted to rank" if abs(means[best]) >= 0.7 else "is not to be trusted alone (0.7 was the goal)"
    if arms < ENOUGH or len(rows) < 5:
        trust = (
            f"is no more than a hint: {arms} arms of {len(rows) - 2} studies are too few to say which may be trusted"
        )
    words = f"Spearman's correlation with the measured difference. The best, `{best}` ({means[best]:+.2f}), {trust}."
    return f"## Which cheap predictor ranks the arms\n\n{words}\n\n" + _table(rows)


def _targets(records: Records) -> str:
    rows: list[list[Any]] = [
        ["target", "images", "train", "validation", "held out", "learner", "input", "updates", "seeds"]
    ]
    for (target, learner), record in records.items():
        p, d = record["protocol"], record["data"]
        own = TARGETS[record["target"]]
        title = f"[{target}](benchmark-data.md#{own.path.split('/')[-1].removesuffix('.zip').removesuffix('.npz')})"
        title = title if not own.path.startswith("work/") else f"[{target}](benchmark-data.md#tiny-imagenet-64)"
        updates = "closed form" if p["arch"].startswith("probe") else p["updates"]
        rows.append([
            title, own.note, d["train"], d["validation"], d["held_out"], learner, f"{p['image_size']} px", updates,
            p["seeds"],
        ])  # fmt: skip
    leaks = [f"{target}, {learner}: {r['removed']}" for (target, learner), r in records.items() if r["removed"]]
    more = (
        "\n\nHeld-out images left out because they are also training images: " + "; ".join(leaks) + "." if leaks else ""
    )
    return "### Targets\n\n" + _table(rows) + more


def _learner(records: Records, learner: str) -> str:
    """A row an arm, a column a target, GIF's figures next to ours."""
    some = {target: record for (target, name), record in records.items() if name == learner}
    if not some:
        return ""
    lines = [(name, title) for name, (title, *_) in BUILT_IN.items()]
    real = {arm["name"] for record in some.values() for arm in record["arms"] if arm["kind"] == "real"}
    lines += [(name, f"More real images ({name.removeprefix('real-')} a class)") for name in sorted(real)]
    lines += [(entry.name, entry.title) for entry in ENTRIES.values()]
    lines += [(name, title) for name, (title, _) in CLIP_ARMS.items()]
    rows = [["method", *some]]
    for name, title in lines:
        cells = [_cell(record, name) for record in some.values()]
        if any(cell != "-" for cell in cells):
            rows.append([_linked(name, title), *cells])
    return f"## Top-1, {learner}\n\n" + _table(rows)


def _right(records: Records) -> str:
    """How many of the retrieved images are of the class that they were retrieved for, where the pool has names."""
    rows: list[list[Any]] = [["target", "method", "of its class"]]
    shares = {(target, arm): share for (target, _), r in records.items() for arm, share in r.get("right", {}).items()}
    rows += [
        [target, _linked(arm, ENTRIES[arm].title), f"{100 * share:.0f} %"] for (target, arm), share in shares.items()
    ]
    words = "By the names that the pool's images have, which no method reads."
    return f"## Retrieved images that are of their class\n\n{words}\n\n" + _table(rows) if len(rows) > 1 else ""


def _worth(records: Records) -> str:
    """What an arm is worth in real images a class."""
    rows: list[list[Any]] = [["study", "arm", "worth so many more real images a class (interval)"]]
    for (target, learner), record in records.items():
        classes = record["data"]["train"] or 1
        names = {arm["name"]: arm for arm in record["arms"]}
        for line in record["worth"] or ():
            arm = names.get(line["arm"])
            if arm is None or arm["kind"] != "run" or line["value"] is None:
                continue
            share = line["value"] / classes
            ends = [("?" if line[end] is None else f"{100 * line[end] / classes:+.0f}") for end in ("low", "high")]
            rows.append(
                [
                    f"{target}, {learner}",
                    _linked(line["arm"]),
                    f"{100 * share:+.0f} % of the originals ({ends[0]} to {ends[1]})",
                ]
            )
    if len(rows) == 1:
        return ""
    words = "Read from the measured curve of real images, inside its range only; an end outside it is a question mark."
    return f"## Worth in real images\n\n{words}\n\n" + _table(rows)


def _papers() -> str:
    """The papers' own figures, for the layout: other priors, other learners, other sizes."""
    rows = [["GIF Table 1", *GIF_TABLE_1]]
    for name in GIF_TABLE_1["Caltech101"]:
        rows.append([name, *(str(column[name]) for column in GIF_TABLE_1.values())])
    ret = [["RET Table 1", "10 % of ImageNet"], *([name, value] for name, value in RET_TABLE_1.items())]
    words = (
        "ResNet-50 at 224 px, far larger priors, more new images; GIF trains for equal epochs and takes the best epoch "
        "on the test split."
    )
    return f"## The papers' figures\n\n{words}\n\n" + _table(rows) + "\n\n" + _table(ret)


def _missing(records: Records) -> str:
    """Every arm that has no number, by study and reason, and the targets without a study."""
    lines = []
    for (target, learner), record in records.items():
        reasons: dict[str, list[str]] = {}
        for name, reason in record["missing"].items():
            reasons.setdefault(reason, []).append(name)
        lines += [f"- {target}, {learner}, {reason}: {', '.join(names)}" for reason, names in reasons.items()]
    done = {(record["target"], learner) for (_, learner), record in records.items()}
    for learner in LEARNERS.values():
        wanted = [own for own in TARGETS.values() if learner.targets is None or own.name in learner.targets]
        none = [own.title for own in wanted if (own.name, learner.title) not in done]
        lines += [f"- no study yet, {learner.title}: {'; '.join(none)}"] if none else []
    return "## Not measured\n\n" + "\n".join(lines) if lines else ""


def _linked(name: str, title: str = "") -> str:
    """The title of an arm, linked to where its method, or the arm itself, is described."""
    place = f"methods.md#{ENTRIES[name].method}" if name in ENTRIES else "compare.md#arms"
    return f"[{title or name}]({place})"


def _cell(record: dict[str, Any], name: str) -> str:
    """`12.3 ± 0.4 (+1.2 [0.1, 2.3])`, by its verdict."""
    arm = next((arm for arm in record["arms"] if arm["name"] == name), None)
    if arm is None or arm["top1"] is None:
        return "-"
    value = arm["mean_per_class" if TARGETS[record["target"]].medical else "top1"]
    text = f"{100 * value['mean']:.1f}" + ("" if value["se"] is None else f" ± {100 * value['se']:.1f}")
    gap = arm["difference"]
    if not gap:
        return text
    mark = "**" if _is(arm, "gain") else "*" if _is(arm, "loss") else ""
    return f"{mark}{text}{mark} ({100 * gap['mean']:+.1f} [{100 * gap['low']:+.1f}, {100 * gap['high']:+.1f}])"


def _table(rows: list[list[Any]]) -> str:
    text = [[str(cell) for cell in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in text]
    return "\n".join([lines[0], "|" + " --- |" * len(text[0]), *lines[1:]])
