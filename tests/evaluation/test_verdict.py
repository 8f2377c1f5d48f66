"""The verdict says in words what the numbers say, and nothing that they do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from imaginate.evaluation.results import query_of
from imaginate.evaluation.verdict import Study, outcome, seeds_to_add, sentences

DATA = {"classes": ["n1", "n2", "n3"], "titles": ["cat", "dog", "owl"], "train": 30, "held_out": 400}


def arm(name: str, mean: float, *, kind: str = "run", error: float = 0.004, p_holm: float | None = None,
        seconds: float = 6.0) -> dict[str, Any]:  # fmt: skip
    low, high = mean - 2.6 * error, mean + 2.6 * error
    verdict = "gain" if low > 0 else "loss" if high < 0 else "unclear"
    both = error**2 / 8
    spread = {
        "mean": mean,
        "units": 5,
        "images": 400,
        "unit": error**2 / 2,
        "image": error**2 / 2 + both,
        "both": both,
        "free": 399,
    }
    gap = {
        "mean": mean,
        "low": low,
        "high": high,
        "verdict": verdict,
        "over": "seeds and images",
        "p": 0.001 if verdict != "unclear" else 0.4,
        "smallest": 3.9 * error,
        "spread": spread,
    }
    gap["p_holm"] = gap["p"] * 2 if p_holm is None else p_holm
    return {
        "name": name, "title": name, "kind": kind, "reference": False, "difference": {"top1": gap},
        "units": [{"seed": seed, "seconds": seconds} for seed in range(5)],
    }  # fmt: skip


def plain() -> dict[str, Any]:
    rows = [{"class": name, "accuracy": a} for name, a in zip(DATA["classes"], (0.9, 0.2, 0.6), strict=True)]
    return {**arm("original", 0, kind="original"), "reference": True, "difference": None, "per_class": rows}


def study(*arms: dict[str, Any], **changes: Any) -> Study:
    protocol = {"reference": "original", "level": 0.95, "seeds": 5, **changes.pop("protocol", {})}
    return Study(arms=[plain(), *arms], protocol=protocol, data=DATA, controls=None, worth=(), **changes)


def said(study: Study) -> dict[str, str]:
    found = sentences(study)
    assert all(one["text"].endswith(".") for one in found)
    assert len({one["kind"] for one in found}) == len(found)
    return {one["kind"]: one["text"] for one in found}


def test_each_arm_is_in_the_sentence_of_its_outcome_and_nowhere_else() -> None:
    text = said(study(arm("good", 0.05), arm("bad", -0.06), arm("so-so", 0.002)))
    assert text["use"].startswith("Use good: +5.0 [+4.0, +6.0] points over original (p 0.001, 0.002 after Holm's")
    assert text["avoid"] == "Do not use bad (-6.0): worse than original."
    assert text["open"] == "Open: so-so (+0.2): no difference to original is shown."
    assert text["visible"] == "The smallest difference that this study finds in four of five cases is 1.6 points."


def test_without_a_gain_the_originals_are_used_and_a_gain_must_outlive_the_correction() -> None:
    assert said(study(arm("bad", -0.06)))["use"] == "Use original alone: no arm is shown to be better."
    weak = arm("weak", 0.05, p_holm=0.2)
    assert outcome(weak, 0.95) == "open"
    text = said(study(weak))
    assert "weak" in text["open"]
    assert "Use original alone" in text["use"]


def test_a_study_that_cannot_judge_recommends_nothing() -> None:
    fault = "more real images did not show: real-5 against original +0.1 [-1.0, +1.2] points"
    text = said(replace(study(arm("good", 0.05), arm("bad", -0.05)), controls={"fault": fault}))
    assert text["judge"] == f"This study cannot judge: {fault}."
    assert "use" not in text
    assert "avoid" not in text
    assert "good" in text["open"]
    assert "bad" in text["open"]


def test_one_seed_has_no_verdict() -> None:
    alone = arm("x", 0.05)
    alone["difference"]["top1"] |= {"verdict": "one seed", "p": None, "p_holm": None, "smallest": None}
    text = said(study(alone))
    assert text["open"].startswith("One seed: no verdict")
    assert "--seeds 3" in text["next"]


def test_what_an_arm_is_worth_is_given_a_class() -> None:
    worth = [{"arm": "good", "value": 12.0, "low": -3.0, "high": None}]
    assert "worth +4.0 real images a class [-1.0, more]" in said(replace(study(arm("good", 0.05)), worth=worth))["use"]


def test_the_next_step_is_the_cheapest_that_can_change_something() -> None:
    more = said(study(arm("so-so", 0.015, error=0.006)))["next"]
    assert more.startswith("Next: --seeds ")
    assert "(about a minute more) would show a difference of the size seen for so-so" in more
    costly = arm("so-so", 0.015, error=0.006, seconds=4000)
    assert said(study(costly, queries={"so-so": "text"}))["next"].startswith("Next: --query seeds for so-so")
    assert "another guide than nano for so-so" in said(study(costly, guides={"so-so": "nano"}))["next"]
    assert (
        said(study(costly))["next"] == "Next: 10 more photographs of each of the classes known worst: dog, owl and cat."
    )


def test_what_was_asked_to_be_seen_is_planned_or_refused() -> None:
    wanted = study(arm("so-so", 0.002), protocol={"detect": 1.0})
    assert "1 points need " in said(wanted)["detect"]
    found = {"arms": wanted.arms, "protocol": wanted.protocol, "data": DATA}
    more = seeds_to_add(found)
    assert more is not None
    assert f"need {more} seeds" in said(wanted)["detect"]
    small = said(study(arm("so-so", 0.002), protocol={"detect": 0.5}))["detect"]
    assert "0.5 points cannot be seen here: the 400 held-out images show no less than" in small
    assert "it takes about" in small
    assert seeds_to_add(found | {"protocol": {**wanted.protocol, "detect": 0.5}}) is None
    assert "are seen with the 5 seeds" in said(study(arm("so-so", 0.002), protocol={"detect": 3}))["detect"]


@pytest.mark.parametrize("kind", ["duplicate", "real", "subset", "clip-probe"])
def test_controls_are_not_recommended(kind: str) -> None:
    assert sentences(study(arm("x", 0.2, kind=kind))) == []


def test_a_run_that_a_head_ranked_is_not_advised_of_another_query() -> None:
    assert query_of({"name": "retrieval", "query": "text"}) == "text"  # runs of earlier versions name no score
    assert query_of({"name": "retrieval", "query": "text", "score": "query"}) == "text"
    assert query_of({"name": "retrieval", "query": "text", "score": "head"}) == ""
    assert query_of({"name": "cutout"}) == ""


def test_controls_that_fail_are_named_where_no_arm_is_asked_about() -> None:
    assert sentences(study()) == []
    lame = replace(study(), controls={"can_judge": False, "fault": "more real images did not show: a against b"})
    (only,) = sentences(lame)
    assert only["text"] == "This study cannot judge: more real images did not show: a against b."


def test_a_held_out_set_that_is_too_small_is_the_limit_and_is_named() -> None:
    """With any number of seeds the images leave more than two points open."""
    few = arm("so-so", 0.02, error=0.05)
    few["difference"]["top1"]["spread"] |= {"images": 16, "image": 0.05**2, "both": 0.05**2 / 20, "free": 15}
    text = said(study(few))["next"]
    assert text.startswith("Next: more held-out images: the 400 held-out images show no less than ")


def test_a_gain_that_few_seeds_cannot_show_by_sign_flips_says_so() -> None:
    won = arm("good", 0.05)
    won["difference"]["top1"] |= {"p_sign_flip": 0.25}
    won["difference"]["top1"]["spread"] |= {"units": 3}
    text = said(study(won))["use"]
    assert "0.002 after Holm's correction; 0.250 by sign flips, of which 3 seeds cannot show less than 0.250" in text
