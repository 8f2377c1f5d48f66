"""What the papers claim, as differences between arms that a study of ours measures: shown, refuted or open here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Claim:
    """`pairs`: (arm, arm that it is to beat), named before any result was seen. `note`: how it is asked here."""

    number: str
    words: str
    source: str
    pairs: tuple[tuple[str, str], ...] = ()
    note: str = ""


CLAIMS = (
    Claim(
        number="C1", words="expansion beats the originals", source="GIF Table 1",
        pairs=(("gif-mae", "original"), ("gif-sd", "original"), ("gif-dalle", "original")),
    ),
    Claim(
        number="C2", words="guided beats unguided", source="GIF Table 1",
        pairs=(("gif-mae", "mae"), ("gif-sd", "sd"), ("gif-dalle", "unclip")),
    ),
    Claim(
        number="C3", words="GIF beats RandAugment", source="GIF Table 1",
        pairs=(("gif-mae", "randaugment"), ("gif-sd", "randaugment")),
    ),
    Claim(
        number="C4", words="chosen images beat unchosen ones", source="GIF Table 5",
        pairs=(("randaugment-selective", "randaugment"),),
    ),
    Claim(
        number="C5", words="chosen a sample beats chosen a class", source="GIF B.1",
        pairs=(("randaugment-selective", "randaugment-classwise"),),
    ),
    Claim(
        number="C6", words="noise a channel beats noise a pixel", source="GIF B.2",
        pairs=(("gif-mae", "gif-mae-pixel"),)
    ),
    Claim(
        number="C7", words="personalised beats prompts", source="RET Table 1",
        pairs=(("textual-inversion", "prompt-simple"), ("pseudoword-dm", "prompt-simple")),
    ),
    Claim(
        number="C8", words="retrieval beats diffusion", source="RET Table 1",
        pairs=(("retrieval", "prompt-simple"), ("retrieval", "textual-inversion"), ("retrieval-seeds", "sd")),
    ),
    Claim(
        number="C9", words="expansion makes a classifier robust to corruption", source="GIF Table 2",
        note="accuracy under 15 corruptions of severity 3",
    ),
    Claim(
        number="C10", words="the gain holds for four architectures", source="GIF Table 3",
        pairs=(("gif-mae", "original"), ("gif-sd", "original"), ("retrieval-head", "original")),
        note="over the kinds of learner",
    ),
    Claim(number="C11", words="FID does not rank the methods", source="GIF Table 7"),
    Claim(
        number="ours", words="retrieval by a head beats retrieval by seed images, and RandAugment", source="ours",
        pairs=(
            ("retrieval-head", "retrieval-seeds"), ("retrieval-head", "randaugment"),
            ("retrieval-head-own", "retrieval-seeds-own"), ("retrieval-head-own", "randaugment"),
            ("retrieval-head-pure-own", "retrieval-seeds-own"), ("retrieval-head-pure-own", "randaugment"),
        ),
    ),
    Claim(
        number="ours", words="images chosen among runs by influence beat RandAugment, and retrieval by seed images",
        source="ours", pairs=(("mix", "randaugment"), ("mix", "retrieval-seeds")),
    ),
    Claim(
        number="ours",
        words="Diff-II beats SD, new backgrounds beat RandAugment, terms of the learner beat GIF-MAE by the same guide",
        source="Wang and Chen 2024; ours",
        pairs=(("diff-ii", "sd"), ("background", "randaugment"), ("gif-mae-terms", "gif-mae-lite")),
    ),
)  # fmt: skip
PAIRS = tuple(dict.fromkeys(pair for claim in CLAIMS for pair in claim.pairs))


def robust(records: Mapping[tuple[str, str], Mapping[str, Any]]) -> tuple[str, list[str]]:
    """The verdict on C9 from the studies with corrupted images: each arm against the originals."""
    found = [
        (f"{target}: {arm['name']} - original", arm["corruption"])
        for (target, _), record in records.items()
        for arm in record["arms"]
        if arm["kind"] == "run" and arm.get("corruption")
    ]
    if not found:
        return "not measured here", []
    return _words([gap for _, gap in found]), [f"{where} {_points(gap)}" for where, gap in found]


def judged(claim: Claim, records: Mapping[tuple[str, str], Mapping[str, Any]]) -> tuple[str, list[str]]:
    """The verdict on a claim, and what each study says. `records`: of (target's title, learner's title)."""
    found = [
        (f"{target}, {learner}: {arm} - {other}", record["pairs"][f"{arm}|{other}"])
        for (target, learner), record in records.items()
        for arm, other in claim.pairs
        if f"{arm}|{other}" in record["pairs"]
    ]
    if not found:
        return "not measured here", []
    return _words([gap for _, gap in found]), [f"{where} {_points(gap)}" for where, gap in found]


def _words(found: Sequence[Mapping[str, Any]]) -> str:
    gains, losses = (sum(gap["verdict"] == word and _p(gap) < 0.05 for gap in found) for word in ("gain", "loss"))
    return {
        (True, False): f"**shown** here ({gains} of {len(found)} comparisons, no loss)",
        (False, True): f"**refuted** here ({losses} of {len(found)} comparisons are losses, no gain)",
        (True, True): f"**mixed** here ({gains} gains and {losses} losses in {len(found)} comparisons)",
        (False, False): f"**open** here (no difference in {len(found)} comparisons)",
    }[gains > 0, losses > 0]


def _p(gap: Mapping[str, Any]) -> float:
    """Corrected where it is one of several."""
    return float(gap["p"] if gap.get("p_holm") is None else gap["p_holm"])


def _points(gap: Mapping[str, Any]) -> str:
    visible = f", visible from {100 * gap['smallest']:.1f}" if gap["smallest"] else ""
    return f"{100 * gap['mean']:+.1f} [{100 * gap['low']:+.1f}, {100 * gap['high']:+.1f}]{visible}"
