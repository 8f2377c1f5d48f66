"""What a study comes to, as a person reads it."""

from __future__ import annotations

from typing import Any

from imaginate import markdown
from imaginate.runs import Facts


class Comparison(dict[str, Any]):
    """What `results.json` holds, by key; `print` it for a table and the verdict."""

    def __str__(self) -> str:
        each = self.get("by_learner") or {}
        return "\n\n".join(f"{arch}\n{table({**self, **one})}" for arch, one in each.items()) or table(self)

    def __repr__(self) -> str:
        if "arms" not in self:
            return f"Comparison({self.get('text', '')!r})"
        arms = ", ".join(f"{arm['name']} {100 * arm['top1']['mean']:.1f}" for arm in self["arms"])
        return f"Comparison(top-1 %: {arms})"

    def _repr_html_(self) -> str:
        """For notebooks: the table and the verdict."""
        verdict = " ".join(sentence["text"] for sentence in self.get("verdict") or ())
        return markdown.table(self._rows(), verdict or repr(self))

    def to_pandas(self) -> Any:
        """A row an arm and learner, as a pandas data frame (pandas is not installed with imaginate)."""
        import pyarrow as pa

        return pa.Table.from_pylist(self._rows()).to_pandas()

    def _rows(self) -> list[dict[str, Any]]:
        studies = self.get("by_learner") or {"": self}
        return [
            {"learner": arch, **_row(arm)} for arch, one in studies.items() for arm in one.get("arms", ())
        ]  # fmt: skip


def _row(arm: Facts) -> dict[str, Any]:
    gap = (arm["difference"] or {}).get("top1") or {}
    return {
        "arm": arm["name"], "images": arm["images"]["total"], "top1": arm["top1"]["mean"],
        "mean_per_class": arm["mean_per_class"]["mean"], "difference": gap.get("mean"), "low": gap.get("low"),
        "high": gap.get("high"), "p": gap.get("p"), "verdict": gap.get("verdict", ""),
    }  # fmt: skip


def table(found: Facts) -> str:
    """Accuracy of each arm, its difference to the reference and what that could have shown, then the verdict."""
    reference, data = found["protocol"]["reference"], found["data"]
    on = data.get("held_out_on", "").partition(" (")[0]
    top, mean = (" ".join([column, on]).strip() for column in ("top-1 %", "mean per class %"))
    rows = [("arm", "images", top, mean, f"top-1 minus {reference}", "p", "p (Holm)", "visible")]
    for arm in found["arms"]:
        gap = (arm["difference"] or {}).get("top1")
        lacks = (
            f" (no image of {', '.join(arm['lacks'][:3])}{' ...' if arm['lacks'][3:] else ''})" if arm["lacks"] else ""
        )
        name, images = arm["name"] + lacks, str(arm["images"]["total"])
        rows.append((name, images, _number(arm["top1"]), _number(arm["mean_per_class"]), *_difference(gap)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.append(
        f"{data['held_out']} held-out images, {100 * found['protocol']['level']:g} % intervals over seeds and images; "
        "visible: the smallest difference that is found in four of five cases"
    )
    quick = ["a quick impression (--quick), not a result"] if found["quick"] else []
    notes = [f"note: {text}" for text in found["warnings"]]
    verdict = ["", *(sentence["text"] for sentence in found["verdict"])] if found["verdict"] else []
    return "\n".join([*lines, *quick, *notes, *verdict])


def _difference(gap: Facts | None) -> tuple[str, str, str, str]:
    """The difference with its interval, both p-values and the smallest visible effect, as text."""
    if gap is None:
        return "", "", "", ""
    text = f"{100 * gap['mean']:+.1f} [{100 * gap['low']:+.1f}, {100 * gap['high']:+.1f}]"
    if gap["over"] == "images":
        return f"{text} over images; one seed: no verdict", "", "", ""
    ps = tuple("" if gap.get(key) is None else f"{gap[key]:.3f}" for key in ("p", "p_holm"))
    smallest = "" if gap["smallest"] is None else f"{100 * gap['smallest']:.1f}"
    return f"{text} {gap['verdict']}", *ps, smallest  # type: ignore[return-value]


def _number(summary: dict[str, float]) -> str:
    se = "" if summary["se"] is None else f" ± {100 * summary['se']:.1f}"
    return f"{100 * summary['mean']:.1f}{se}"
