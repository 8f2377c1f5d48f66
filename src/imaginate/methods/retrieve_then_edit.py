"""Retrieval and generation together: real neighbours from a pool as the seeds of img2img or GIF-SD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from imaginate.contract import Context, Level, StartsFrom, levels_of
from imaginate.methods.core import knobs
from imaginate.methods.core.score_names import GUIDED, NEIGHBOUR
from imaginate.records import Candidate, Request, Scalar
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from imaginate.methods.core.retrieval import PoolSearch


@dataclass(frozen=True, kw_only=True)
class RetrieveThenEdit:
    """Retrieve real images of the class, then edit each: new content from the pool, a new style from the prior.

    A hybrid as RET's conclusion hopes for ("which combine retrieval and generation"); RET has none. Neighbours are
    found and filtered as by `retrieval` (RET 3.2); each is noised and denoised under a prompt of its class (SDEdit),
    and with `edit: gif` its latent is guided as well (GIF Eqs. 1 and 2; one copy a neighbour, so the diversity term is
    silent). Copy i edits neighbour i. The neighbour's source and licence stay with the image.
    """

    starts_from: ClassVar[StartsFrom] = "class"
    needs: ClassVar[tuple[str, ...]] = ("guide", "pool", "prior:stable-diffusion")
    paper: ClassVar[str] = "Burg et al. 2023 (RET), conclusion"
    scores: ClassVar[tuple[str, ...]] = (*(f"neighbour_{name}" for name in NEIGHBOUR), *GUIDED)

    edit: Literal["img2img", "gif"] = setting("img2img", "plain img2img, or guided imagination")
    score: Literal["query", "head", "auto"] = knobs.score()
    query: Literal["text", "seeds", "both"] = knobs.query()
    prompts: str = knobs.query_prompts()
    contrastive: bool = setting(True, "refuse neighbours that are nearer to another class's query")
    purity: float = knobs.purity()
    background: int = knobs.background()
    consistency: float = knobs.consistency()
    aesthetic: float = knobs.aesthetic()
    exclude: str | None = knobs.exclude()
    strength: float = setting(0.5, "how much of the neighbour is noised away", gt=0, le=1, source="GIF B.4.1")
    noise: float | None = knobs.noise()
    guidance_scale: float = knobs.gif_guidance_scale()
    steps: int = setting(50, "denoising steps at strength 1", ge=1, le=1000)
    scheduler: str | None = knobs.gif_scheduler()
    eps: float = setting(0.8, "gif: radius of the ball around the diffused latent", gt=0, source="GIF Eq. 1")
    domains: tuple[str, ...] = setting(knobs.NATURAL, "domain sets or phrases ending in 'of'", source="GIF Eq. 7")
    adjectives: tuple[str, ...] = setting(knobs.NATURAL, "adjective sets or words; 'none' for no adjective")

    def __post_init__(self) -> None:
        check(self)
        knobs.check_purity(self.purity, self.score)

    def prepare(self, context: Context) -> None:
        """The queries, so that a pool of another guide or a missing file is refused before the first image."""
        from imaginate.methods.core.retrieval import lists

        lists(context, self._search())

    @property
    def levels(self) -> tuple[Level, ...]:
        """Where the copies' diffusions start."""
        return levels_of(self.strength, self.noise)

    @property
    def cautious(self) -> Mapping[str, Any]:
        """Little noise and a small ball, so that a weak prior keeps the class."""
        ball = {"eps": knobs.SMALL_EPS} if self.edit == "gif" else {}
        return {**knobs.little_noise(self.steps, self.noise, self.scheduler), **ball}

    @property
    def bounded(self) -> str:
        """A first list as long as what is wanted says which images are another class's; orders and cuts look at all."""
        return self._search().bounded

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """Neighbour i edited for copy i; refused neighbours come back as failed, with the reason."""
        from imaginate.methods.core.retrieval import lists

        found = lists(context, self._search())
        neighbours = [candidate for request in requests for candidate in found.candidates(request)]
        usable = [c for c in neighbours if c.failed is None]
        edited = iter(self._edited(usable, context) if usable else [])
        return [c if c.failed is not None else _with_origin(next(edited), c) for c in neighbours]

    def _edited(self, neighbours: list[Candidate], context: Context) -> list[Candidate]:
        from imaginate.methods.core.diffusion import Denoising, edit_latents
        from imaginate.methods.core.imagination import Imagined, all_seeds, grid, guided, to_candidates
        from imaginate.methods.core.prompts import prompts_of
        from imaginate.methods.core.roles import diffusion_prior
        from imaginate.models.priors.core.levels import level_facts
        from imaginate.ops.geometry import to_square
        from imaginate.ops.pixels import stack
        from imaginate.ops.variants import variant

        asked = [
            Request(key=c.key, label=c.label, copies=(c.copy,), seeds=(c.seed,), image=c.image) for c in neighbours
        ]
        prior = diffusion_prior(context)
        prompts = prompts_of(asked, context, self.domains, self.adjectives)
        pixels = stack([to_square(c.image, "pad") for c in neighbours], prior.image_size)
        denoising = Denoising.of(self)
        texts, levels = [row[0] for row in prompts], list(self.levels) * len(asked)
        drawn = edit_latents(prior, pixels, texts, levels, all_seeds(asked), denoising)
        facts = level_facts(prior, self.levels[0], self.steps, self.scheduler)
        info: dict[str, Scalar] = {**facts, "guidance_scale": self.guidance_scale}
        if self.edit == "gif":
            imagined = guided(
                asked, pixels, drawn.values, prior.decode, context, variant("default", None, None), eps=self.eps,
                level="channel", info={**info, "eps": self.eps}, prompts=prompts, drawn=drawn,
            )  # fmt: skip
        else:
            images = grid(prior.decode(drawn.values), asked)
            imagined = Imagined(images=images, prompts=prompts, drawn=drawn, info={**info, "steps": self.steps})
        edited = to_candidates(asked, imagined, context.labels)
        return [_in_shape(image, neighbour) for image, neighbour in zip(edited, neighbours, strict=True)]

    def _search(self) -> PoolSearch:
        from imaginate.methods.core.neighbours import Rules, SearchPlan
        from imaginate.methods.core.retrieval import PoolSearch, exclusions

        rules = Rules(
            aesthetic=self.aesthetic,
            consistency=self.consistency,
            purity=self.purity,
            contrastive=self.contrastive,
            exclude=exclusions(self.exclude),
        )
        return PoolSearch(
            score=self.score,
            background=self.background,
            query=self.query,
            prompts=self.prompts,
            rules=rules,
            plan=SearchPlan(wanted=1),
        )


def _in_shape(edited: Candidate, neighbour: Candidate) -> Candidate:
    """The edited square cut back to the shape of the neighbour, which was padded to a square."""
    from imaginate.ops.geometry import cut_back, window_of

    if edited.image is None:
        return edited
    height, width = neighbour.image.shape[-2:]
    return replace(edited, image=cut_back(edited.image, window_of(height, width, "pad")))


def _with_origin(edited: Candidate, neighbour: Candidate) -> Candidate:
    """The edited image with what is known of the neighbour that it comes from."""
    kept = {name: neighbour.info[name] for name in ("pool_id", "source", "url", "licence", "author", "caption")}
    scores = {f"neighbour_{name}": value for name, value in neighbour.scores.items()}
    return replace(edited, info={**edited.info, "edit_of": "retrieved", **kept}, scores={**scores, **edited.scores})
