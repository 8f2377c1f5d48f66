"""Retrieval: real images of a class from a pool, no generator at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from imaginate.contract import Context, StartsFrom
from imaginate.methods.core import knobs
from imaginate.methods.core.score_names import NEIGHBOUR
from imaginate.records import Candidate, Request
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from imaginate.methods.core.retrieval import PoolSearch


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """Real images nearest to the class's name in a pool that you indexed: the baseline that beats RET's others.

    Burg et al. 2023 (RET) section 3.2, circled 10: neighbours of "A photo of {class name without spaces}." in CLIP
    space, 1.4 times the wanted number at first and up to ten times that, aesthetic score at least 5, unsafe ones and
    near-duplicates left out. Differs: duplicates are found by perceptual hash *and* embedding (RET's detector missed
    some), near-duplicates of the class's own seeds are refused too, an image in the first lists of several classes
    goes to the nearest (RET searches each class alone: `share`), and every refused neighbour is counted by reason.
    Copy i of a class is neighbour i of its list. Classes that end short are named, with their count.
    `contrastive`, `consistency`, `order` and `short: even` go beyond RET, and so does `score: head` (ours): a ridge
    head w_c . x + b_c on the guide's unit embeddings x of the seeds, its penalty chosen by left-out seeds in closed
    form, finds the pool's images, the surest first, and each goes to the class that scores best. `background`: images
    of the pool at random are a further class of the head, "none of these", that weighs sqrt(classes) times how far
    left-out scores tell it from the seeds (2 AUC - 1), so that a pool of other things fills no class and a pool of the
    classes loses none. A list ends where the head's probabilities, calibrated on left-out seeds, average less than
    `purity`.
    """

    starts_from: ClassVar[StartsFrom] = "class"
    needs: ClassVar[tuple[str, ...]] = ("guide", "pool")
    paper: ClassVar[str] = "Burg et al. 2023 (RET), 3.2"
    scores: ClassVar[tuple[str, ...]] = NEIGHBOUR

    score: Literal["query", "head", "auto"] = knobs.score()
    query: Literal["text", "seeds", "both"] = knobs.query()
    prompts: str = knobs.query_prompts()
    order: Literal["similarity", "mmr", "coverage"] = setting(
        "similarity",
        "nearest first; maximal marginal relevance; one of each k-means cluster in turn",
        source="Carbonell & Goldstein 1998",
    )
    weight: float = setting(0.5, "mmr: weight of relevance against diversity", ge=0, le=1)
    clusters: int = setting(10, "coverage: number of clusters", ge=1)
    contrastive: bool = setting(False, "refuse images that are nearer to another class's query")
    purity: float = knobs.purity()
    background: int = knobs.background()
    consistency: float = knobs.consistency()
    aesthetic: float = knobs.aesthetic()
    unsafe: float = setting(0.5, "highest probability of unsafe content, where the pool has it", ge=0, le=1)
    similarity: float = setting(-1.0, "least cosine of image and query", ge=-1, le=1)
    duplicate_bits: int = setting(3, "hashes that differ in so few bits, colours alike, are one picture", ge=0, le=32)
    duplicate_cosine: float | None = setting(
        None,
        "embeddings this close are one picture; none: 0.95, or more where the pool's own images are closer",
        gt=0,
        le=1.01,
    )
    ask: float = setting(1.4, "first ask for this many times the wanted number", ge=1, source="RET 3.2")
    widen: int = setting(10, "widen the list up to this many times", ge=1, source="RET 3.2")
    short: Literal["keep", "drop", "fail", "even"] = setting(
        "keep",
        "a class with too few images: keep what there is, drop all of its images (RET sec. 3 leaves such a class out "
        "of training and measuring too), stop, or cut every class to as many",
    )
    share: bool = setting(
        False,
        "an image may serve every class that finds it (RET searches each class alone); by default only the one whose "
        "query is nearest",
    )
    exclude: str | None = knobs.exclude()

    def __post_init__(self) -> None:
        check(self)
        knobs.check_purity(self.purity, self.score)

    def prepare(self, context: Context) -> None:
        """The queries, so that a pool of another guide or a missing file is refused before the first image."""
        from imaginate.methods.core.retrieval import lists

        lists(context, self._search())

    @property
    def bounded(self) -> str:
        """A first list as long as what is wanted says which images are another class's; orders and cuts look at all."""
        return self._search().bounded

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """Neighbour i for copy i; fewer where a class's list ends."""
        from imaginate.methods.core.retrieval import lists

        found = lists(context, self._search())
        return [candidate for request in requests for candidate in found.candidates(request)]

    def _search(self) -> PoolSearch:
        from imaginate.methods.core.neighbours import Rules, SearchPlan
        from imaginate.methods.core.retrieval import PoolSearch, exclusions

        rules = Rules(
            aesthetic=self.aesthetic,
            unsafe=self.unsafe,
            similarity=self.similarity,
            consistency=self.consistency,
            purity=self.purity,
            contrastive=self.contrastive,
            share=self.share,
            bits=self.duplicate_bits,
            cosine=self.duplicate_cosine,
            exclude=exclusions(self.exclude),
        )
        plan = SearchPlan(
            wanted=1, ask=self.ask, widen=self.widen, order=self.order, weight=self.weight, clusters=self.clusters
        )
        return PoolSearch(
            score=self.score,
            background=self.background,
            query=self.query,
            prompts=self.prompts,
            rules=rules,
            plan=plan,
            short=self.short,
        )
