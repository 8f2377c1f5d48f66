"""From a class to its list of neighbours: the query, the class's own images, and one list a class and process."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.contract import Context, Guide, TextGuide
from imaginate.data.digital_source import as_generated
from imaginate.errors import ConfigError, ImageError, RunError
from imaginate.files import lines_of
from imaginate.methods.core.kept import Kept
from imaginate.methods.core.members import members_of
from imaginate.methods.core.neighbours import ALIKE, Neighbour, Neighbours, Rules, SearchPlan
from imaginate.methods.core.scorers import Score, Scorer, best_scorer, head_scorer
from imaginate.methods.core.together import Together
from imaginate.ops.batching import map_images
from imaginate.ops.similarity import signature
from imaginate.prompts import sets as prompt_sets
from imaginate.records import Candidate, Request, image_seed

log = logging.getLogger("imaginate")
Query = Literal["text", "seeds", "both"]
Short = Literal["keep", "drop", "fail", "even"]
Seeds = tuple[Tensor, list[str]]
NAMED = 5  # classes that end short


@dataclass(frozen=True, kw_only=True)
class PoolSearch:
    """A search of the pool: the kind of query, the prompt set, the rules, and how far to go (`wanted` unset).
    `score`: by the query, by a head fitted on the seeds, or by what knows the seeds best. `background`: images
    of the pool that show the head what belongs to no class."""

    score: Score = "query"
    background: int = 0
    query: Query = "text"
    prompts: str = "simple-nows"
    rules: Rules
    plan: SearchPlan
    short: Short = "keep"

    @property
    def bounded(self) -> str:
        """Why a larger run is not this one and more; empty where it is."""
        alone = self.score == "head" or (self.score == "query" and self.rules.share)
        if alone and self.short == "keep" and self.plan.order == "similarity":
            return ""
        return (
            "which images of the pool a class gets depends on how many are wanted (not with --score head or --share, "
            "--order similarity and --short keep)"
        )


class Lists:
    """The lists of neighbours of all classes, ranked when first asked for and kept while the pool is open."""

    def __init__(self, context: Context, search: PoolSearch) -> None:
        self._pool, self._guide, self._search, self._context = context.pool, context.guide, search, context
        self._pool.check(self._guide)
        self._wanted: dict[int, int] = {}
        self._lists: dict[int, Neighbours] = {}
        self._shares: dict[tuple[int, int], int] = {}
        self._short = 0  # classes that ended short
        self._seeds: dict[int, Seeds] = {}
        self._reaches: dict[int, Tensor] = {}
        self._members = members_of(context.samples).of
        self._scorer = self._scored()
        self._queries = self._scorer.queries
        self._together = Together(self._pool, self._queries)

    def of(self, request: Request) -> Neighbours:
        """The list of a class, as long as the most images that were asked of it at once make it."""
        wanted = len(request.copies)
        if self._wanted.get(request.label, 0) < wanted:
            self._wanted[request.label] = wanted
            self._lists[request.label] = self._make(request.label, wanted)
        return self._lists[request.label]

    def candidates(self, request: Request) -> list[Candidate]:
        """Neighbour i for copy i of a request, refused ones as failed; those beyond the list's end are left out."""
        neighbours = self.of(request)
        by_text = self._search.query != "seeds" and self._search.score == "query"
        prompt = sentences(self._search.prompts, self._context, request.label) if by_text else []
        text = (
            prompt[0] if len(prompt) == 1 else f"{self._search.prompts} ({len(prompt)} sentences)" if prompt else None
        )
        limit = self._share(request.label)
        out = []
        for copy, seed in zip(request.copies, request.seeds, strict=True):
            found = neighbours.get(copy)
            if found is None or neighbours.passed(copy) > limit > 0:
                break
            if limit == 0 and not found.refused:
                found = replace(found, refused="class ends short")
            out.append(_candidate(request, copy, seed, found, neighbours, text))
        return out

    def _share(self, label: int) -> int:
        """How many images of a class may be used, by the policy for classes that end short; these are named, once."""
        wanted = self._wanted[label]
        if (label, wanted) not in self._shares:
            self._shares[label, wanted] = self._decide(label, wanted)
        return self._shares[label, wanted]

    def _decide(self, label: int, wanted: int) -> int:
        short, name = self._search.short, self._context.labels[label].name
        usable = self._lists[label].usable(wanted)
        if short == "even":
            lists = [self._make(other, wanted) for other in range(len(self._queries))]
            return max(1, min(one.usable(wanted) for one in lists))
        if usable >= wanted:
            return sys.maxsize
        said = f"class {name!r} ends short: {usable} of {wanted} images pass, of {self._lists[label].seen} neighbours"
        if short == "fail":
            raise RunError(f"{said}; use a larger pool, looser rules, or short keep, drop or even, and a new folder")
        self._name_short(said + (": dropped" if short == "drop" else ""))
        return 0 if short == "drop" else sys.maxsize

    def _name_short(self, said: str) -> None:
        """The first few classes that end short each get a note, the others one together: there may be hundreds."""
        self._short += 1
        if self._short == NAMED + 1:
            log.warning("more classes end short: `imaginate inspect RUN` counts the images of each")
        log.log(logging.WARNING if self._short <= NAMED else logging.INFO, said)

    def _make(self, label: int, wanted: int) -> Neighbours:
        a = self._search
        plan = replace(a.plan, wanted=wanted)
        head = self._scorer.head
        self._together.announce(plan.limit(plan.first_step(by_head=head is not None)))
        reach = None if a.rules.share or head is not None or len(self._queries) < 2 else self._reach(plan)
        return Neighbours(
            self._together, self._guide, label, self._queries, self._of_seeds(label), a.rules, plan, reach, head
        )

    def _reach(self, plan: SearchPlan) -> Tensor:
        """(classes,): the least similarity in the first list of each class. (Beyond it a class that needs no more does
        not compete: else one whose query is near to everything would leave the others nothing.)"""
        limit = plan.limit(0)
        if limit not in self._reaches:
            self._reaches[limit] = torch.tensor(self._together.least(limit), dtype=torch.float64)
        return self._reaches[limit]

    def _scored(self) -> Scorer:
        """By what the classes are ranked: the queries, or the head."""
        score = self._search.score
        if score == "query":
            return Scorer(queries=self._all_queries())
        names = [info.name for info in self._context.labels]
        seeds = [self._of_seeds(label)[0] for label in range(len(names))]
        if score == "head":
            return head_scorer(seeds, names, self._others())
        texts = self._texts if isinstance(self._guide, TextGuide) else None
        found = best_scorer(seeds, names, texts, self._others())[0]
        if found.head is None and self._search.rules.purity:
            log.warning("score auto did not choose the head, so that purity is not estimated; score head would")
        return found

    def _others(self) -> Tensor | None:
        """Images of the pool at random, near-copies of seed images left out; None where there are none to be had."""
        count = self._search.background
        others: Tensor | None = self._pool.sample(count) if count else None
        if others is None or not len(others):
            return None
        known = torch.cat([self._of_seeds(label)[0] for label in range(len(self._context.labels))])
        near: Tensor = (others @ known.T).amax(dim=1)
        return others[near < max(ALIKE, self._pool.closeness())]

    def _all_queries(self) -> Tensor:
        """(classes, dim), unit norm: text, mean of the seeds, or the mean of both."""
        parts = []
        if self._search.query in ("text", "both"):
            parts.append(self._texts())
        if self._search.query in ("seeds", "both"):
            parts.append(torch.stack([self._centre(label) for label in range(len(self._context.labels))]))
        return F.normalize(torch.stack(parts).mean(dim=0), dim=-1)

    def _texts(self) -> Tensor:
        guide = self._guide
        if not isinstance(guide, TextGuide):
            raise ConfigError(f"query text needs a guide that reads text (nano, clip:...), not {guide.name}: use seeds")
        rows = [guide.embed_text(sentences(self._search.prompts, self._context, i)) for i in range(len(guide.labels))]
        return F.normalize(torch.stack([row.mean(dim=0) for row in rows]).float().cpu(), dim=-1)

    def _centre(self, label: int) -> Tensor:
        vectors = self._of_seeds(label)[0]
        if not len(vectors):
            name = self._context.labels[label].name
            raise ConfigError(f"class {name!r} has no seed image to search with: use query text")
        return F.normalize(vectors.mean(dim=0), dim=0)

    def _of_seeds(self, label: int) -> Seeds:
        if label not in self._seeds:
            self._seeds[label] = _embedded(self._context, self._guide, self._members.get(label, []))
        return self._seeds[label]


def sentences(name: str, context: Context, label: int) -> list[str]:
    """All sentences of a prompt set for one class (each template once), white space in names as the set says."""
    chosen = prompt_sets.prompt_set(name)
    info = context.labels[label]
    templates = [t for category in prompt_sets.usable(chosen, info) for t in category.templates]
    if not templates:
        raise ConfigError(f"prompt set {name} has no sentence for class {info.name!r}")
    seeds = [image_seed(0, "retrieval", info.name, i) for i in range(len(templates))]
    return [prompt_sets.fill(t, info, s, strip=chosen.strip) for t, s in zip(templates, seeds, strict=True)]


def _candidate(
    request: Request, copy: int, seed: int, found: Neighbour, neighbours: Neighbours, text: str | None
) -> Candidate:
    """A neighbour as a candidate, with all that is known of where it comes from."""
    row, image, failed = found.row, None, found.refused
    if not failed:
        try:
            image = neighbours.image(row)
        except ImageError as error:
            failed = str(error)
    known = {name: row.get(name) for name in ("source", "url", "licence", "author", "caption")}
    mark = str(row["signature"])[:16] if row.get("signature") else None
    return Candidate(
        key=request.key,
        label=request.label,
        copy=copy,
        seed=seed,
        image=image,
        prompt=text,
        scores=found.scores,
        info={"origin": "retrieved", "pool_id": row.get("id"), "rank": copy, "phash": mark, **known},
        failed=failed or None,
        digital_source=as_generated(row.get("digital_source")),
    )


_KEPT: Kept[Lists] = Kept(4)


def lists(context: Context, search: PoolSearch) -> Lists:
    """The lists for this context, kept between calls (of the last few contexts): ranked once a process."""
    key = (search, context.labels, id(context.pool), id(context.samples), id(context.guide))
    return _KEPT.get(key, lambda: Lists(context, search))


def exclusions(path: str | None) -> tuple[str, ...]:
    """The lines of an exclude file: ids, perceptual hashes, sources, URLs (with `*` and `?`); `#` starts a remark."""
    if path is None:
        return ()
    file = Path(path).expanduser()
    if not file.is_file():
        raise ConfigError(f"no exclude file at {path}")
    return lines_of(file)


def _embedded(context: Context, guide: Guide, indices: Sequence[int]) -> Seeds:
    """Embeddings (n, dim) and signatures of seed images; unreadable ones are left out (the engine names them)."""
    images = []
    for index in indices:
        try:
            images.append(context.samples.image(index))
        except ImageError:
            continue
    if not images:
        return torch.zeros(0, guide.dim), []
    with torch.no_grad():
        vectors = map_images(guide.embed, images, device=context.device).float().cpu()
    return vectors, [signature(image.unsqueeze(0))[0] for image in images]
