"""Do copies still show their class? A judge that neither made nor chose them says so, next to the same on the seeds.

The judge is a guide fitted on the seed images (by default class means of frozen features); a seed is judged without
itself, and a copy without its own seed, so that neither looks better than a new picture would. A prior may lose the
class, and a guide that is itself near chance cannot notice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imaginate.contract import FewShotGuide
from imaginate.engine.resolve import ResolvedRecipe
from imaginate.errors import ConfigError, DataError, ModelError
from imaginate.files import derive_seed
from imaginate.records import Image, LabelSpace

if TYPE_CHECKING:
    from imaginate.engine.context import RunContext

AUTO = "prototypes:efficientnet-lite0@160"  # half the cost of 224 px; on seeds of 64 px as often right
MOST = 500  # new images of a run that are judged, about: enough for four points, little of a long run's time
ENOUGH = 8  # images from which on a share is worth a remark
log = logging.getLogger("imaginate")


@dataclass
class Tally:
    """Images by label: how many show their class, and how many were judged."""

    right: dict[int, int] = field(default_factory=dict)
    judged: dict[int, int] = field(default_factory=dict)

    def add(self, labels: Sequence[int], predicted: Sequence[int]) -> None:
        """Count images with these labels, of which the judge said these classes."""
        for label, said in zip(labels, predicted, strict=True):
            self.judged[label] = self.judged.get(label, 0) + 1
            self.right[label] = self.right.get(label, 0) + int(said == label)

    def merge(self, other: Tally) -> None:
        """Add the counts of another one."""
        for mine, theirs in ((self.right, other.right), (self.judged, other.judged)):
            for label, count in theirs.items():
                mine[label] = mine.get(label, 0) + count

    @property
    def share(self) -> float | None:
        """The share of right ones; None of none."""
        total = sum(self.judged.values())
        return sum(self.right.values()) / total if total else None

    def to_json(self) -> dict[str, list[int]]:
        """Label -> [right, judged], as a marker holds it."""
        return {str(label): [self.right[label], self.judged[label]] for label in sorted(self.judged)}

    @classmethod
    def of(cls, several: Iterable[Mapping[str, Sequence[int]]]) -> Tally:
        """The sum of some that markers hold."""
        out = cls()
        for one in several:
            pairs = [(int(label), right, judged) for label, (right, judged) in one.items()]
            out.merge(cls({k: right for k, right, _ in pairs}, {k: judged for k, _, judged in pairs}))
        return out


class Judge:
    """Judges the kept copies, and the seeds, of one shard after the other."""

    def __init__(self, guide: FewShotGuide) -> None:
        self._guide = guide

    def copies(self, images: Sequence[Image], labels: Sequence[int], seeds: Sequence[str | None]) -> Tally:
        """Copies with their labels and the ids of their seeds (None: made of a class)."""
        from imaginate.models.guides.core.cache import embed_once

        tally = Tally()
        if images:
            rows = embed_once(self._guide, images)
            logits = self._guide.logits_without(rows, [key or "" for key in seeds])
            tally.add(labels, logits.argmax(dim=1).tolist())
        return tally

    def seeds(self, ids: Sequence[str], labels: Sequence[int]) -> Tally:
        """Seed images, each without itself; one that is alone in its class cannot be judged."""
        known = [(key, label) for key, label in zip(ids, labels, strict=True) if self._guide.is_removable(key)]
        tally = Tally()
        if known:
            keys = [key for key, _ in known]
            logits = self._guide.logits_without(self._guide.seed_embeddings(keys), keys)
            tally.add([label for _, label in known], logits.argmax(dim=1).tolist())
        return tally


def share_judged(wanted: int) -> float:
    """The share of a run's new images that are judged. The first shard is judged whole, so that it can speak up."""
    return min(1.0, MOST / max(1, wanted))


def is_judged(seed: int, share: float) -> bool:
    """Whether the image of this seed is among them: always the same ones, however the work is cut."""
    return share >= 1 or derive_seed("judged", seed) < share * 2**63


def judge_for(recipe: ResolvedRecipe, context: RunContext) -> Judge | None:
    """The run's judge; None where none is wanted, or, with a remark, where the one that `auto` means cannot be had."""
    spec = recipe.roles.judge
    if spec == "none" or (spec == "auto" and (not recipe.may_colour or len(context.labels) < 2)):
        return None
    from imaginate.models.guides import build_guide

    try:
        guide = build_guide(
            AUTO if spec == "auto" else spec,
            context.labels,
            samples=context.samples,
            device=context.device,
            cache=context.cache,
        )
    except (ModelError, DataError, ImportError) as error:
        if spec != "auto":
            raise
        log.warning(f"whether copies still show their class is not judged: {error}")
        return None
    if not isinstance(guide, FewShotGuide):
        raise ConfigError(f"judge {spec} must hold the seed images: prototypes:BACKBONE")
    return Judge(guide)


def remark(copies: Tally, seeds: Tally) -> str:
    """One line where copies lost their class: below half of the seeds' own share. Empty where they did not."""
    mine, theirs = copies.share, seeds.share
    if mine is None or theirs is None or sum(copies.judged.values()) < ENOUGH or mine >= theirs / 2:
        return ""
    return (
        f"only {mine:.0%} of the first new images still show their class, by a judge that is right on {theirs:.0%} of "
        "the seeds: a lower --noise or --strength, --filter consistency or another prior keeps more"
    )


def agreement(markers: Sequence[Mapping[str, Any]], labels: LabelSpace, judge: str) -> dict[str, Any] | None:
    """What `run.json` says of it: both shares, and [right, judged] of each class; None where nothing was judged."""
    new, seeds = (Tally.of(m[key] for m in markers if m.get(key)) for key in ("judged_copies", "judged_seeds"))
    if new.share is None:
        return None
    names = labels.names
    return {
        "judge": AUTO if judge == "auto" else judge,
        "copies": new.share,
        "seeds": seeds.share,
        "classes": {
            names[label]: {
                "copies": [new.right.get(label, 0), new.judged.get(label, 0)],
                "seeds": [seeds.right.get(label, 0), seeds.judged.get(label, 0)],
            }
            for label in sorted({*new.judged, *seeds.judged})
        },
    }
