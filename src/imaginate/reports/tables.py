"""The headline table outside the page: csv with every number, Markdown and LaTeX laid out like the papers' tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from imaginate import markdown
from imaginate.reports import words
from imaginate.reports.read import RunContents, Study, View
from imaginate.reports.view_run import Options, cost, counts, money
from imaginate.reports.view_study import reference_title
from imaginate.runs import Facts

Fields = View


def study_rows(study: Study, options: Options) -> list[Fields]:
    """One flat record an arm: fractions in [0, 1], differences to the reference, cost."""
    return [_arm_row(arm, study, options) for arm in study.results["arms"]]


def _arm_row(arm: Facts, study: Study, options: Options) -> Fields:
    run = study.runs.get(arm.get("run") or "")
    spent = (cost(run, options) if run else None) or {}
    row: Fields = {
        "study": study.name,
        "dataset": study.results["data"].get("name"),
        "arm": arm["name"],
        "title": arm["title"],
        "kind": arm["kind"],
        "method": arm.get("method"),
        "ratio": arm.get("ratio"),
        **{f"images_{k}": (arm.get("images") or {}).get(k) for k in ("original", "synthetic", "real", "total")},
        "classifiers": (arm.get("top1") or {}).get("n"),
    }
    for key in ("top1", "mean_per_class", "corruption"):
        summary = arm.get(key) or {}
        difference = (arm.get("difference") or {}).get(key) or {}
        row |= {key: summary.get("mean"), f"{key}_se": summary.get("se")}
        row |= {f"{key}_difference": difference.get("mean"), f"{key}_low": difference.get("low")}
        row |= {f"{key}_high": difference.get("high")}
    row["corruption_image_size"] = _corrupted_at(arm, study)
    row |= {f"predictor_{name}": _predictor(arm, name) for name in PREDICTORS}
    row["finding"] = "reference" if arm.get("reference") else words.verdict((arm.get("difference") or {}).get("top1"))
    return row | {"seconds_per_image": spent.get("each"), "price_per_image": spent.get("money_value")}


def _corrupted_at(arm: Facts, study: Study) -> int | None:
    """The size at which images were corrupted: accuracies at different ones are no comparison."""
    found = arm.get("corruption")
    return (found.get("image_size") or study.results["protocol"].get("image_size")) if found else None


PREDICTORS = ("influence", "consistency", "kernel_distance", "vendi", "coverage")
PREDICTOR_NOTE = (
    "Spearman's correlation of the ranks inside each study, over all arms with new images. influence: how much lower "
    "the squared error of a ridge head on originals that it has not seen gets; consistency: share that this head calls "
    "by its own class; kernel_distance: to the originals; vendi: effective number of different images, for each image; "
    "coverage: share of originals with a new image near. A kernel distance that ranks well ranks below 0."
)
LEAST = 5  # arms from which on a rank correlation is given


def predictor_ranks(studies: Sequence[Study]) -> list[Fields]:
    """How well each cheap predictor ranks the arms of all studies by the difference that training found: Spearman's
    correlation of the ranks inside each study, and the number of arms."""
    from scipy.stats import rankdata, spearmanr

    found = []
    for name in PREDICTORS:
        x: list[float] = []
        y: list[float] = []
        for study in studies:
            known = [(value, gap) for arm in study.results["arms"] if (value := _predictor(arm, name)) is not None
                     and (gap := _measured(arm)) is not None]  # fmt: skip
            if len(known) > 1:
                for side, values in zip((x, y), zip(*known, strict=True), strict=True):
                    side += ((rankdata(values) - 0.5) / len(values)).tolist()
        varies = len(set(x)) > 1 and len(set(y)) > 1
        rank = float(spearmanr(x, y).statistic) if len(x) >= LEAST and varies else None
        found.append({"predictor": name, "arms": len(x), "rank_correlation": rank})
    return found


def _predictor(arm: Facts, name: str) -> float | None:
    value = (arm.get("predictors") or {}).get(name)
    return None if value is None else float(value)


def _measured(arm: Facts) -> float | None:
    gap = (arm.get("difference") or {}).get("top1")
    return None if not gap or words.verdict(gap) == "barred" else float(gap["mean"])


def predictor_table(ranks: Sequence[Fields]) -> list[list[str]]:
    """The same as rows of text; none where too few arms are known."""
    known = [row for row in ranks if row["rank_correlation"] is not None]
    head = ["predictor without training", "rank correlation with the measured difference", "arms"]
    rows = [[row["predictor"], f"{row['rank_correlation']:+.2f}", words.number(row["arms"])] for row in known]
    return [head, *rows] if known else []


def run_rows(run: RunContents, options: Options) -> list[Fields]:
    """One flat record a run: counts, rejects by reason, metrics, cost."""
    seen = counts(run)
    spent = cost(run, options) or {}
    row: Fields = {"run": run.name, "method": (run.recipe.get("method") or {}).get("name"), **seen}
    row |= {"seconds_per_image": spent.get("each"), "price_per_image": spent.get("money_value")}
    for metric in _metrics(run):
        row[metric["name"]] = metric.get("value")
    return [row | {"metrics_out_of_date": run.stale}] if run.stale else [row]


def _metrics(run: RunContents) -> list[Facts]:
    """The rows of metrics.json; none where they are of other images than the run has."""
    return [] if run.stale else list((run.evaluation or {}).get("metrics") or [])


def to_csv(rows: Sequence[Fields]) -> str:
    """RFC 4180 with a header; empty where nothing was measured."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(dict.fromkeys(k for row in rows for k in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def paper_table(studies: Sequence[Study]) -> list[list[str]]:
    """Rows of arms, columns of datasets, as GIF Table 1: mean ± standard error; the difference with its interval.

    Over several studies arms meet by title, and an average column is added for those measured in every one.
    """
    titles = list(dict.fromkeys(arm["title"] for s in studies for arm in s.results["arms"]))
    head = ["arm"]
    for s in studies:
        name = str(s.results["data"].get("name") or s.name)
        head += [name, f"difference to {reference_title(s.results)}"]
    head += ["average"] if len(studies) > 1 else []
    rows = [head]
    for title in titles:
        arms = [next((a for a in s.results["arms"] if a["title"] == title), None) for s in studies]
        cells = [text for arm in arms for text in _paper_cells(arm)]
        means = [m for arm in arms if (m := ((arm or {}).get("top1") or {}).get("mean")) is not None]
        if len(studies) > 1:
            cells.append(words.percent(sum(means) / len(means)) if len(means) == len(studies) else "–")
        rows.append([title, *cells])
    return rows


def _paper_cells(arm: Facts | None) -> list[str]:
    if arm is None:
        return ["–", "–"]
    if arm.get("reference"):
        return [words.accuracy(arm.get("top1")), "reference"]
    difference = (arm.get("difference") or {}).get("top1")
    mark = {"unclear": " (unclear)", "single": f" ({words.ONE_SEED})", "barred": f" ({words.BARRED})"}.get(
        words.verdict(difference), ""
    )
    return [words.accuracy(arm.get("top1")), words.points(difference) + mark]


def run_table(run: RunContents, options: Options) -> list[list[str]]:
    """A run as two columns: what, how much."""
    seen = counts(run)
    rows = [["", run.name], *([k, words.number(v)] for k, v in seen.items())]
    rejected = (run.facts.get("totals") or {}).get("rejected") or {}
    rows += [[f"rejected: {reason}", words.number(n)] for reason, n in rejected.items()]
    rows += [[m["title"], words.number(m.get("value"))] for m in _metrics(run)]
    rows += [["metrics", run.stale]] if run.stale else []
    spent = cost(run, options)
    if spent and spent["each"] is not None:
        rows.append(["seconds per kept image", words.number(float(spent["each"]))])
        if spent["money_value"] is not None:
            rows.append(["price per kept image", money(spent["money_value"], options.currency)])
    return rows


def to_markdown(rows: Sequence[Sequence[str]], note: str) -> str:
    """A pipe table with its note below."""
    clean = [[markdown.cell(text) for text in row] for row in rows]
    rule = ["---"] + ["---:"] * (len(rows[0]) - 1)
    lines = [f"| {' | '.join(row)} |" for row in (clean[0], rule, *clean[1:])]
    return "\n".join(lines) + f"\n\n{note}\n"


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "−": r"$-$", "–": "--", "×": r"$\times$",
    words.GROUP: r"\,",
}  # fmt: skip


def to_latex(rows: Sequence[Sequence[str]], note: str) -> str:
    r"""A `table` for booktabs: \usepackage{booktabs}."""
    clean = [["".join(_LATEX.get(char, char) for char in cell) for cell in row] for row in rows]
    body = [" & ".join(row) + r" \\" for row in clean]
    caption = "".join(_LATEX.get(char, char) for char in note)
    spec = "l" + "r" * (len(rows[0]) - 1)
    head = [r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{{spec}}}", r"\toprule", body[0], r"\midrule"]
    tail = [r"\bottomrule", r"\end{tabular}", rf"\caption{{{caption}}}", r"\end{table}"]
    return "\n".join([*head, *body[1:], *tail]) + "\n"


def study_note(studies: Sequence[Study]) -> str:
    """What the numbers are, in one line under a table."""
    protocol = studies[0].results["protocol"]
    level = f"{100 * protocol.get('level', 0.95):g}"
    quick = " Quick study: no evidence." if any(s.results.get("quick") for s in studies) else ""
    open_ = " Unfinished study." if any(s.results.get("missing") for s in studies) else ""
    return (
        f"Top-1 accuracy on held-out images in %, mean ± standard error over trained classifiers; differences in "
        f"percentage points with {level} % intervals; unclear: the interval covers 0.{quick}{open_}"
    )
