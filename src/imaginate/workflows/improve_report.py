"""What an improvement did, as a page and as text: round by round, and class by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imaginate.files import replace_file
from imaginate.runs import Values

PAGE = "README.md"


def history_table(
    path: str, rounds: Sequence[Values], chosen: str | None, why: str, held_out: Mapping[str, Any] | None
) -> str:
    """One line a round, then where the result is."""
    lines = [f"round {one['round']}: {_spent(one)}{one['why']}" for one in rounds]
    lines += [f"stopped: {why}"] if rounds and not why.startswith("round") else []
    lines += [_held(held_out)] if held_out else []
    end = "nothing was seen to help; the classifier stays as it was"
    lines.append(f"{path}: the classifier is in {path}/model, its images in {chosen}" if chosen else f"{path}: {end}")
    return "\n".join(lines)


def write_page(
    out: Path, rounds: Sequence[Values], chosen: str | None, why: str, held_out: Mapping[str, Any] | None
) -> None:
    """README.md of the folder."""
    lines = ["# What was improved", "", f"Ended: {why}.", ""]
    lines += [f"Held-out images, measured once: {_held(held_out)}.", ""] if held_out else []
    where = f"`{Path(chosen).relative_to(out)}`" if chosen else "the originals alone"
    lines += [f"The classifier is trained on {where}.", ""]
    for one in rounds:
        lines += _section(one)
    text = "\n".join(lines).rstrip() + "\n"
    replace_file(out / PAGE, lambda partial: partial.write_text(text, encoding="utf-8"))


def _section(one: Values) -> list[str]:
    lines = [f"## Round {one['round']}", "", f"{one['why']}.", ""]
    if "confusions" in one:
        taken = ", ".join(f"{_cell(a)} for {_cell(b)} ({n})" for a, b, n in one["confusions"][:10])
        lines += [f"Taken for one another: {taken}.", ""]
    if "candidates" in one:
        made = ", ".join(f"{n} by {name}" for name, n in one["candidates"].items())
        added = sum(one.get("added", {}).values())
        lines += [f"Candidates that kept their class: {made}; added in all: {added}.", ""]
    if "classes" in one:
        lines += ["| class | originals | before | after | images in use |", "| --- | --- | --- | --- | --- |"]
        for row in one["classes"]:
            more = one.get("added", {}).get(row["class"], 0)
            shares = f"{100 * row['before']:.1f} % | {100 * row['after']:.1f} %"
            lines.append(f"| {_cell(row['class'])} | {row['images']} | {shares} | {more} |")
        lines.append("")
    return lines


def _spent(one: Values) -> str:
    if "added" not in one:
        return ""
    return f"{sum(one['added'].values())} images of {len(one['added'])} classes, "


def _held(found: Mapping[str, Any]) -> str:
    parts = [
        f"{when} {100 * facts['top1']:.1f} % of {facts['images']} ({100 * facts['mean_per_class']:.1f} % over classes)"
        for when, facts in found.items()
    ]
    return "held-out top-1 " + ", ".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
