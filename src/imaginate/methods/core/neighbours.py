"""From a ranked list of neighbours to usable ones: widening, order, and the reason why each refused one is refused.

RET 3.2: ask for 1.4 times the wanted number of images, widen up to ten times while too few pass the filters. The list
of a class is decided in order, one neighbour after the other, so that neighbour i is the same however many are asked
for at a time. Nothing here knows how a pool stores its rows.
"""

from __future__ import annotations

import fnmatch
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from imaginate.contract import Guide, Pool
from imaginate.errors import ImageError, RunError
from imaginate.methods.core.orders import coverage, mmr
from imaginate.ops.ridge import RidgeHead
from imaginate.ops.similarity import SignatureIndex, signature
from imaginate.records import Image, Scalar

Row = dict[str, Scalar]
Order = Literal["similarity", "mmr", "coverage"]
BLOCK = 32  # neighbours that are judged at a time
ELSEWHERE = "goes to another class"
ALIKE = 0.95  # CLIP embeddings this close show one picture (clip-retrieval uses 0.94)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a neighbour must hold. Scores that the pool does not have are not asked for. `share`: an image may serve
    several classes."""

    aesthetic: float = 5.0
    unsafe: float = 0.5
    similarity: float = -1.0
    consistency: float = 0.0
    contrastive: bool = False
    share: bool = False
    purity: float = 0.0
    bits: int = 3
    colour: float = 0.06
    cosine: float | None = None
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """How far to search, and in what order: `ask` times the wanted number at first, `widen` times that at most."""

    wanted: int
    ask: float = 1.4
    widen: int = 10
    order: Order = "similarity"
    weight: float = 0.5
    clusters: int = 10

    def first_step(self, *, by_head: bool) -> int:
        """Where a list begins: as short as it may be, or whole where it is put in an order of its own."""
        return 0 if self.order == "similarity" and not by_head else self.widen - 1

    def limit(self, step: int) -> int:
        """The length of the list after `step` widenings."""
        return math.ceil(self.ask * self.wanted) * (step + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """One row of the list; `refused` is empty for a usable one."""

    row: Row
    refused: str = ""
    scores: dict[str, float] = field(default_factory=dict)


class Neighbours:
    """The list of one class. `queries` (classes, dim) unit norm: this class's own, and the others' for contrast.
    `seeds`: embeddings (n, dim) and hashes of the class's own images, whose near-duplicates are refused.
    `reach` (classes,): the least similarity in the first list of each class; an image in a first list goes to that
    class, to the nearest where it is in several. None: to each that finds it.
    `head`: says how probable the class is, and gives each image to the class that scores best (unless shared)."""

    def __init__(
        self, pool: Pool, guide: Guide, label: int, queries: Tensor, seeds: tuple[Tensor, list[str]], rules: Rules,
        plan: SearchPlan, reach: Tensor | None = None, head: RidgeHead | None = None,
    ) -> None:  # fmt: skip
        self._pool, self._guide, self._label, self._queries = pool, guide, label, queries
        self._rules, self._plan, self._reach, self._head = rules, plan, reach, head
        self._sure = [0.0, 0.0]  # the head's probabilities of what was taken: their sum and number
        self._vectors, self._seed_count = [seeds[0]], len(seeds[1])
        self._signatures = SignatureIndex(rules.bits, rules.colour)
        for mark in seeds[1]:
            self._signatures.add("seed", mark)
        self._rows: list[Row] = []
        self._step = plan.first_step(by_head=head is not None)
        self._ended = False
        self._judged: list[Neighbour] = []
        self._images: OrderedDict[str, Image | str] = OrderedDict()
        # A guide that separates images weakly puts different ones closer than 0.95, so the pool itself sets the bar.
        self._cosine = max(ALIKE, pool.closeness()) if rules.cosine is None else rules.cosine

    def get(self, index: int) -> Neighbour | None:
        """Neighbour `index` of the list, judged; None beyond its end."""
        while len(self._judged) <= index:
            if len(self._rows) == len(self._judged) and not self._widen():
                return None
            start = len(self._judged)
            self._judge(self._rows[start : start + BLOCK])
        return self._judged[index]

    def usable(self, count: int) -> int:
        """How many neighbours pass, counted up to `count`."""
        found = index = 0
        while found < count and (neighbour := self.get(index)) is not None:
            found += not neighbour.refused
            index += 1
        return found

    @property
    def seen(self) -> int:
        """The number of neighbours judged so far."""
        return len(self._judged)

    def passed(self, index: int) -> int:
        """How many of the neighbours up to `index`, which was asked for before, are usable."""
        return sum(not neighbour.refused for neighbour in self._judged[: index + 1])

    def image(self, row: Row) -> Image:
        """(3, h, w) uint8. Raises ImageError."""
        kept = self._images.get(str(row["id"]))
        if isinstance(kept, str):
            raise ImageError(kept)
        return self._pool.image(row) if kept is None else kept

    def _widen(self) -> bool:
        """A longer list from the pool, new rows at its end; False when there is nothing more to be had."""
        while not self._ended and self._step < self._plan.widen:
            limit = self._plan.limit(self._step)
            self._step += 1
            try:
                found = self._pool.search(self._queries[self._label : self._label + 1], limit)[0]
            except RunError:
                if not self._rows:
                    raise
                # What was found so far is used; the refused row at the end says, and counts, that the pool fell silent.
                self._ended = True
                self._rows.append({"id": "", "similarity": 0.0})
                return True
            self._ended = len(found) < limit
            there = {row["id"] for row in self._rows}
            fresh = [row for row in found if row["id"] not in there]
            self._rows += self._ordered(fresh)
            if fresh:
                return True
        return False

    def _ordered(self, rows: list[Row]) -> list[Row]:
        if self._plan.order == "similarity":
            return rows if self._head is None else self._surest_first(rows, self._head)
        if len(rows) < 3:
            return rows
        vectors, good = self._embedded(rows)
        kept = [row for row, fine in zip(rows, good, strict=True) if fine]
        near = torch.tensor([float(row["similarity"] or 0) for row in kept])
        if self._plan.order == "mmr":
            order = mmr(near, vectors[torch.tensor(good)], self._plan.weight)
        else:
            order = coverage(vectors[torch.tensor(good)], self._plan.clusters)
        return [kept[i] for i in order] + [row for row, fine in zip(rows, good, strict=True) if not fine]

    def _surest_first(self, rows: list[Row], head: RidgeHead) -> list[Row]:
        """By the head's probability of the class, which knows the other classes; as they are where the pool gives no
        embeddings (so that no image is fetched for its place in a list)."""
        held = self._pool.vectors([str(row["id"]) for row in rows])
        if held is None:
            return rows
        sure = head.logits(held).softmax(dim=1)[:, self._label]
        return [rows[i] for i in sure.argsort(descending=True, stable=True).tolist()]

    def _embedded(self, rows: Sequence[Row]) -> tuple[Tensor, list[bool]]:
        """(n, dim) embeddings of rows, from the pool or else of their images, and which of them could be had."""
        held = self._pool.vectors([str(row["id"]) for row in rows])
        if held is not None:
            return held, [True] * len(rows)
        out = torch.zeros(len(rows), self._queries.shape[1])
        good = [False] * len(rows)
        for i, row in enumerate(rows):
            try:
                image = self._fetched(row)
            except ImageError:
                continue
            with torch.no_grad():
                out[i] = self._guide.embed(image.unsqueeze(0).float() / 255)[0].float().cpu()
            good[i] = True
        return out, good

    def _fetched(self, row: Row) -> Image:
        """An image that had to be read (the backend gives no embeddings), kept for a while; signs its row."""
        key = str(row["id"])
        if key not in self._images:
            try:
                image = self._pool.image(row)
                self._images[key] = image
                row["signature"] = signature(image.unsqueeze(0))[0]
            except ImageError as error:
                self._images[key] = str(error)
            while len(self._images) > 4 * BLOCK:
                self._images.popitem(last=False)
        if isinstance(kept := self._images[key], str):
            raise ImageError(kept)
        return kept

    def _judge(self, rows: Sequence[Row]) -> None:
        real = [row for row in rows if row["id"]]
        vectors, good = self._embedded(real)
        probability = self._guide.logits(vectors.to(self._queries)).softmax(dim=1).cpu() if real else vectors
        closest = (vectors @ self._queries.float().cpu().T).argmax(dim=1) if real else vectors
        logits = None if self._head is None else self._head.logits(vectors)
        lost = self._goes_elsewhere(vectors) if logits is None else self._lost(logits)
        for i, row in enumerate(real):
            scores = {"similarity": float(row["similarity"] or 0), "consistency": float(probability[i, self._label])}
            scores |= {name: float(row[name]) for name in ("aesthetic", "unsafe") if row.get(name) is not None}  # type: ignore[arg-type]
            refused = str(self._images.get(str(row["id"]), "no image")) if not good[i] else ""
            refused = refused or self._refused(row, scores, int(closest[i]), lost[i])
            if logits is not None:
                scores["probability"] = float(logits[i].softmax(dim=0)[self._label])
                refused = refused or self._less_pure(scores["probability"])
            refused = refused or self._copy_of(row, vectors[i])
            if not refused and logits is not None:
                self._sure = [self._sure[0] + scores["probability"], self._sure[1] + 1]
            self._judged.append(Neighbour(row=row, refused=refused, scores=scores))
        if len(real) < len(rows):
            self._judged.append(Neighbour(row=rows[-1], refused="pool stopped answering"))

    def _lost(self, logits: Tensor) -> list[str]:
        """Of n images with logits (n, classes or more), why the class does not get each: the head gives it to another
        class (unless shared), or to none of them (a column beyond the classes)."""
        classes = len(self._queries)
        best = logits.argmax(dim=1)
        if self._rules.share:  # another class does not matter
            own = logits[:, self._label]
            best = torch.where((logits[:, classes:] > own[:, None]).any(dim=1), classes, self._label)
        return ["" if i == self._label else ELSEWHERE if i < classes else "of no class" for i in best.tolist()]

    def _goes_elsewhere(self, vectors: Tensor) -> list[str]:
        """Of n embeddings, why the class does not get each: another class has the image in its first list, and this one
        has not, or is farther (or as near and behind it). In double precision: the classes, each at its own list, must
        agree."""
        if self._reach is None:
            return [""] * len(vectors)
        near = vectors.double().cpu() @ self._queries.double().cpu().T  # (n, classes)
        own = near[:, self._label : self._label + 1]
        is_before = torch.arange(near.shape[1]) < self._label
        wins = (near > own) | ((near == own) & is_before)
        is_first = near >= self._reach - 1e-6
        others = is_first & (torch.arange(near.shape[1]) != self._label)
        lost = (others & (wins | ~is_first[:, self._label : self._label + 1])).any(dim=1)
        return [ELSEWHERE if one else "" for one in lost.tolist()]

    def _refused(self, row: Row, scores: dict[str, float], closest: int, lost: str) -> str:
        rules = self._rules
        if excluded(row, rules.exclude):
            return "excluded"
        if scores["similarity"] < rules.similarity:
            return "too far from the query"
        if scores.get("aesthetic", math.inf) < rules.aesthetic:
            return "aesthetic score"
        if scores.get("unsafe", 0.0) > rules.unsafe:
            return "unsafe"
        if rules.contrastive and closest != self._label:
            return "nearer another class"
        if lost:
            return lost
        return "inconsistent" if scores["consistency"] < rules.consistency else ""

    def _less_pure(self, probability: float) -> str:
        """Why a neighbour is not taken that would bring the expected share of right ones below the purity asked for."""
        total, count = self._sure
        return "less pure than asked" if (total + probability) / (count + 1) < self._rules.purity else ""

    def _copy_of(self, row: Row, vector: Tensor) -> str:
        """Near-duplicate of a seed, or of a neighbour taken before, by either detector; else remembered as taken."""
        same = torch.cat(self._vectors) @ vector >= self._cosine
        mark = str(row["signature"]) if row.get("signature") else ""
        near = self._signatures.near(mark) if mark else None
        if bool(same[: self._seed_count].any()) or (near is not None and near.id == "seed"):
            return "near-duplicate of a seed"
        if bool(same.any()) or near is not None:
            return "near-duplicate"
        self._vectors.append(vector.unsqueeze(0))
        if mark:
            self._signatures.add("taken", mark)
        return ""


def excluded(row: Row, patterns: Sequence[str]) -> bool:
    """Whether a row's id, perceptual hash, source or URL is on the list; sources and URLs may use * and ?."""
    names = [str(row[key]) for key in ("id", "source", "url") if row.get(key)]
    names += [str(row["signature"])[:16]] if row.get("signature") else []
    plain = [pattern.replace("[", "[[]") for pattern in patterns]  # only * and ? are signs: names may hold brackets
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in plain for name in names)
