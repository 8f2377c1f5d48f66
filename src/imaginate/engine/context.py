"""What methods and filters receive: seed images by index, and the roles that they named, built once, on first use."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from imaginate.contract import DiffusionPrior, Edits, Filter, Guide, Method, Pool, Prepared, StoringGuide, prior_family
from imaginate.data.relatives import relatives_in
from imaginate.data.seed_images import SeedImages
from imaginate.devices import pick_device
from imaginate.engine.resolve import ResolvedRecipe, needs_of
from imaginate.errors import ConfigError
from imaginate.records import LabelSpace, Sample
from imaginate.settings import values_of


class RunContext:
    """The context of one run in one process. Raises ConfigError where a role is used that the recipe does not name.

    `cache`: a folder for seed embeddings and fine-tuned guides, kept by content; none keeps them in memory alone.
    """

    def __init__(
        self, recipe: ResolvedRecipe, labels: LabelSpace, samples: Sequence[Sample], cache: str | None = None
    ) -> None:
        self.recipe, self.cache = recipe, cache
        self.labels = labels
        self.samples, self._samples = SeedImages(samples), samples
        self.device = pick_device(recipe.roles.device)

    @cached_property
    def guide(self) -> Guide:
        """The guide, built for the label space of the run."""
        from imaginate.models.guides import build_guide

        spec = self._named("guide", "nano, clip:ID-or-folder, prototypes:BACKBONE")
        prompts = self.recipe.roles.guide_prompts
        relatives = relatives_in(self.recipe.data.path, self._samples)
        return build_guide(
            spec, self.labels, samples=self.samples, relatives=relatives, device=self.device, prompts=prompts,
            cache=self.cache,
        )  # fmt: skip

    @cached_property
    def prior(self) -> Any:
        """The prior of the family that the method needs, with the adaptation loaded into it where one is named."""
        from imaginate.models.priors import build_prior

        family = prior_family(self.recipe.method.needs)
        if not family:
            raise ConfigError(f"{self.recipe.method_name} uses no prior")
        spec = self._named("prior", "nano, or a checkpoint's id or folder")
        roles = self.recipe.roles
        dtype = None if roles.precision == "auto" else roles.precision
        return build_prior(family, spec, device=self.device, dtype=dtype, compile=roles.compile, vae=roles.vae)

    @cached_property
    def adaptation(self) -> Any:
        """The adaptation written by `imaginate fit`, checked against prior and label space."""
        from imaginate.models.adaptations.folder import load_adaptation

        return load_adaptation(self._named("adaptation", "folder from `imaginate fit`"), self.prior, self.labels)

    @cached_property
    def pool(self) -> Pool:
        """The retrieval pool."""
        from imaginate.pool import open_pool

        return open_pool(self._named("pool", "folder from `imaginate pool build`"))

    def prepare(self, *parts: Method | Filter) -> None:
        """Build now what methods and filters will use, so that what is missing is refused before any work is done."""
        needs = {need.split(":", 1)[0] for part in parts for need in needs_of(part)}
        if "guide" in needs:
            _ = self.guide
        if "prior" in needs:
            _ = self.prior
        if "adaptation" in needs or ("prior" in needs and self.recipe.roles.adaptation):
            _ = self.adaptation
        if "pool" in needs:
            _ = self.pool
        if any(part is self.recipe.method for part in parts):
            _ = self.notes
        for part in parts:
            if isinstance(part, Prepared):
                part.prepare(self)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What the settings alone do not show: where the method's diffusion begins. ConfigError where it changes
        nothing."""
        if not isinstance(self.recipe.method, Edits) or not isinstance(self.prior, DiffusionPrior):
            return ()
        from imaginate.models.priors.core.levels import describe_start

        return tuple(describe_start(self.prior, self.recipe.method))

    def keep(self) -> None:
        """Write what the guide learnt of the seed images into the cache folder."""
        built = self.__dict__.get("guide")
        if isinstance(built, StoringGuide):
            built.store.save()

    def _named(self, role: str, hint: str) -> str:
        value = values_of(self.recipe.roles)[role]
        if value is None:
            raise ConfigError(f"no {role} was named: give --{role} ({hint})")
        return str(value)
