"""A study in sentences: what to use, what not to use, what is open, what could have been seen, and what to do next.

Each sentence is computed from results.json's numbers; none says more than the intervals, Holm's correction over the
arms and the controls allow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imaginate.errors import listed
from imaginate.evaluation.controls import CANDIDATES
from imaginate.evaluation.planning import Plan, plan
from imaginate.evaluation.statistics import ONE_SEED, Spread
from imaginate.progress import duration
from imaginate.runs import Facts, Values

HOUR = 60.0  # minutes: longer than that is no cheap next step
SOME = 3  # names in a sentence
COARSE = 0.02  # a difference that held-out images should show, given enough seeds: else there are too few of them


@dataclass(frozen=True, kw_only=True)
class Study:
    """What the sentences are computed from. `guides`, `queries`: of an arm's run, where it has them."""

    arms: Sequence[Facts]
    protocol: Facts
    data: Facts
    controls: Facts | None
    worth: Sequence[Facts]
    doubts: Sequence[str] = ()  # reasons of another kind for which the study cannot judge
    guides: Mapping[str, str] | None = None
    queries: Mapping[str, str] | None = None

    @property
    def asked(self) -> list[Facts]:
        """The arms that the study is asked about, as far as they were compared."""
        return [arm for arm in self.arms if arm["kind"] in CANDIDATES and arm.get("difference")]

    @property
    def level(self) -> float:
        """Of the intervals."""
        return float(self.protocol["level"])


def sentences(study: Study) -> list[Values]:
    """The verdict, [{"kind", "text"}], in the order in which it is read."""
    doubts = [{"kind": "judge", "text": f"This study cannot judge: {why}."} for why in _doubts(study)]
    if not study.asked:
        return doubts
    if all(_gap(arm)["verdict"] == ONE_SEED for arm in study.asked):
        text = "One seed: no verdict, since one classifier's luck cannot be separated from a difference."
        return [{"kind": "open", "text": text}, {"kind": "next", "text": f"Next: {_minutes(study, 3)} with --seeds 3."}]
    found = doubts + [
        {"kind": "judge", "text": f"No verdict on {arm['title']}: {arm['elsewhere']['doubt']}."}
        for arm in study.asked
        if is_barred(arm)
    ]
    for kind, text in (("use", _use(study)), ("avoid", _avoid(study)), ("open", _open(study))):
        found += [{"kind": kind, "text": text}] if text else []
    found.append({"kind": "visible", "text": _visible(study)})
    planned = _detect(study)
    return [*found, *([{"kind": "detect", "text": planned}] if planned else []), {"kind": "next", "text": _next(study)}]


def _doubts(study: Study) -> list[str]:
    fault = (study.controls or {}).get("fault")
    return [*([str(fault)] if fault else []), *study.doubts]


def of_one_class(data: Facts) -> list[str]:
    """The doubt of a study whose held-out images are all of one class of several."""
    shown = [i for i, count in enumerate(data.get("held_out_per_class") or ()) if count]
    if len(shown) != 1:
        return []
    name = data["classes"][shown[0]]
    return [f"its held-out images are of class {name} alone, and who always answers {name} is right on all of them"]


def outcome(arm: Facts, level: float) -> str:
    """gain, loss or open: by the interval and, where several arms were compared, by Holm's p as well."""
    gap = _gap(arm)
    if is_barred(arm):
        return "barred"
    sure = gap["verdict"] in ("gain", "loss") and (gap.get("p_holm") or 0.0) < 1 - level
    return str(gap["verdict"]) if sure else "open"


def is_barred(arm: Facts) -> bool:
    """Whether nothing may be said of an arm: too many of its images show held-out ones."""
    return bool((arm.get("elsewhere") or {}).get("doubt"))


def _of(study: Study, kind: str) -> list[Facts]:
    return [arm for arm in study.asked if outcome(arm, study.level) == kind]


def _use(study: Study) -> str:
    won = sorted(_of(study, "gain"), key=lambda arm: -float(_gap(arm)["mean"]))
    reference = study.protocol["reference"]
    if _doubts(study):
        return ""
    if not won:
        return f"Use {reference} alone: no arm is shown to be better."
    best = won[0]
    worth = _worth(study, best)
    also = f"; {_named(won[1:])} {'is' if len(won) == 2 else 'are'} better, too" if won[1:] else ""
    p = _corrected(_gap(best), study.level)
    return f"Use {best['title']}: {_points(_gap(best))} points over {reference}{p}{worth}{also}."


def _avoid(study: Study) -> str:
    lost = sorted(_of(study, "loss"), key=lambda arm: float(_gap(arm)["mean"]))
    return (
        f"Do not use {_named(lost)}: worse than {study.protocol['reference']}." if lost and not _doubts(study) else ""
    )


def _open(study: Study) -> str:
    still = [arm for arm in study.asked if not is_barred(arm)] if _doubts(study) else _of(study, "open")
    still = sorted(still, key=lambda arm: -float(_gap(arm)["mean"]))
    return f"Open: {_named(still)}: no difference to {study.protocol['reference']} is shown." if still else ""


def _visible(study: Study) -> str:
    sizes = [_gap(arm)["smallest"] for arm in study.asked if _gap(arm).get("spread", {}).get("units", 0) > 1]
    known = sorted(100 * float(size) for size in sizes if size is not None)
    if not known:
        return "No difference was small enough to be called visible: the answers do not vary, or vary too much."
    low, high = f"{known[0]:.1f}", f"{known[-1]:.1f}"
    span = f"{low} points" if low == high else f"{low} to {high} points, by arm"
    return f"The smallest difference that this study finds in four of five cases is {span}."


def planned(arms: Sequence[Facts], detect: float, level: float) -> Plan | None:
    """The plan of the arm that needs most to show a difference of `detect`."""
    plans = [plan(Spread(**_gap(arm)["spread"]), detect, level) for arm in arms]
    known = [one for one in plans if one is not None]
    return max(known, key=lambda one: (one.seeds is None, one.seeds or 0, one.images or 0), default=None)


def _detect(study: Study) -> str:
    """Whether the study sees what it was asked to see (--detect)."""
    asked = study.protocol.get("detect")
    found = planned(study.asked, asked / 100, study.level) if asked else None
    if found is None:
        return ""
    done = max(int(_gap(arm)["spread"]["units"]) for arm in study.asked)
    if found.seeds is None:
        return f"{asked:g} points cannot be seen here: {_too_few(study, found)}."
    if found.seeds <= done:
        return f"{asked:g} points are seen with the {done} seeds that were trained."
    return f"{asked:g} points need {found.seeds} seeds: {_minutes(study, found.seeds)} (--seeds {found.seeds})."


def seeds_to_add(found: Facts) -> int | None:
    """How many seeds a finished study must have to see what `detect` asks for, where these held-out images can show it
    and training them takes less than an hour; None where there is nothing to add."""
    detect = found["protocol"].get("detect")
    study = Study(arms=found["arms"], protocol=found["protocol"], data=found["data"], controls=None, worth=())
    asked = [arm for arm in study.asked if _gap(arm).get("spread", {}).get("units", 0) > 1]
    need = planned(asked, detect / 100, study.level) if detect else None
    seeds = None if need is None else need.seeds
    more = seeds is not None and seeds > found["protocol"]["seeds"] and _cost(study, seeds) <= HOUR
    return seeds if more else None


def _too_few(study: Study, found: Plan) -> str:
    limit = "more than 100" if found.limit is None else f"{100 * found.limit:.1f}"
    need = "more than can be planned" if found.images is None else f"about {found.images} with {found.seeds_then} seeds"
    return (
        f"the {study.data['held_out']} held-out images show no less than {limit} points with any number of seeds; "
        f"it takes {need}"
    )


def _next(study: Study) -> str:
    """The cheapest step that can change something: seeds that take less than an hour, another query or guide, then
    photographs."""
    still = sorted(_of(study, "open"), key=lambda arm: -abs(float(_gap(arm)["mean"])))
    found = planned(still[:1], abs(float(_gap(still[0])["mean"])), study.level) if still else None
    done = max(int(_gap(arm)["spread"]["units"]) for arm in study.asked)
    if found is not None and found.seeds is not None and done < found.seeds and _cost(study, found.seeds) <= HOUR:
        return (
            f"Next: --seeds {found.seeds} ({_minutes(study, found.seeds)}) would show a difference of the size seen "
            f"for {still[0]['title']}."
        )
    weak = [arm for arm in study.asked if outcome(arm, study.level) in ("loss", "open")]
    if found is not None and found.seeds is None and (found.limit is None or found.limit > COARSE):
        return f"Next: more held-out images: {_too_few(study, found)}."
    text = [arm for arm in weak if (study.queries or {}).get(arm["name"]) == "text"]
    if text:
        return f"Next: --query seeds for {_named(text)}: by text it did not help."
    guided = [arm for arm in weak if (study.guides or {}).get(arm["name"])]
    if guided:
        name = (study.guides or {})[guided[0]["name"]]
        return (
            f"Next: another guide than {name} for {_named(guided)} (imaginate guide measures one on held-out images)."
        )
    return _photographs(study)


def _photographs(study: Study) -> str:
    """More photographs of the classes that the reference knows worst, as many as there are."""
    plain = next((arm for arm in study.arms if arm["reference"]), study.arms[0])
    rows = [row for row in plain["per_class"] if row["accuracy"] is not None]
    worst = sorted(rows, key=lambda row: float(row["accuracy"]))[:SOME]
    titles = dict(zip(study.data["classes"], study.data["titles"], strict=False))
    names = listed([str(titles.get(row["class"], row["class"])) for row in worst], SOME)
    many = max(1, round(study.data["train"] / max(1, len(study.data["classes"]))))
    return f"Next: {many} more photographs of each of the classes known worst: {names}."


def _cost(study: Study, seeds: int) -> float:
    """Minutes to train the arms up to so many seeds, by the seconds of the trained ones."""
    each = [sum(unit["seconds"] for unit in arm["units"]) / len(arm["units"]) for arm in study.arms]
    more = [max(0, seeds - len({unit["seed"] for unit in arm["units"]})) for arm in study.arms]
    return float(sum(a * b for a, b in zip(each, more, strict=True))) / 60


def _minutes(study: Study, seeds: int) -> str:
    minutes = _cost(study, seeds)
    return "about a minute more" if minutes < 1.5 else f"about {duration(60 * minutes)} more"


def _worth(study: Study, arm: Facts) -> str:
    found = next((one for one in study.worth if one["arm"] == arm["name"]), None)
    if found is None:
        return ""
    classes = max(1, len(study.data["classes"]))
    low, high = (None if found[end] is None else found[end] / classes for end in ("low", "high"))
    span = f"[{'below' if low is None else f'{low:+.1f}'}, {'more' if high is None else f'{high:+.1f}'}]"
    if found["value"] is None:
        return f", beyond what the yardstick of real images measures {span}"
    return f", worth {found['value'] / classes:+.1f} real images a class {span}"


def _corrected(gap: Facts, level: float) -> str:
    if gap.get("p_holm") is None:
        return ""
    flips = gap.get("p_sign_flip")
    few = (
        f"; {_p(flips)} by sign flips, of which {gap['spread']['units']} seeds cannot show less than "
        f"{_p(2 / 2 ** gap['spread']['units'])}"
        if flips is not None and flips > 1 - level
        else ""
    )
    return f" (p {_p(gap['p'])}, {_p(gap['p_holm'])} after Holm's correction{few})"


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def _gap(arm: Facts) -> Facts:
    return arm["difference"]["top1"]  # type: ignore[no-any-return]


def _points(gap: Facts) -> str:
    return f"{100 * gap['mean']:+.1f} [{100 * gap['low']:+.1f}, {100 * gap['high']:+.1f}]"


def _named(arms: Sequence[Facts]) -> str:
    """Arms with their differences, the first few."""
    return listed([f"{arm['title']} ({100 * _gap(arm)['mean']:+.1f})" for arm in arms], SOME)
