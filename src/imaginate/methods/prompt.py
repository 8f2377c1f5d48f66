"""Images of a class from its name: a named set of prompts, or the user's own file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from imaginate.contract import Context, DiffusionPrior, StartsFrom
from imaginate.methods.core import knobs
from imaginate.records import Candidate, LabelSpace, Request
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from imaginate.prompts.sets import PromptSet

log = logging.getLogger("imaginate")
NOTES = 8
_ready: dict[tuple[LabelSpace, str, bool], LabelSpace] = {}


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Draw a class from its name: text-to-image under a named set of prompts.

    RET sections 3.1 and 4.3, circled 1 to 4: `simple` ("A photo of {name}."), `simple-nows` (white space stripped),
    `clip` (the 80 templates of CLIP, with replacement), `sariyildiz` (five categories, equal counts), `gif` (GIF
    Eq. 7), or a file with one template a line. Synonyms, of the dataset or of WordNet (`--class-names wordnet`), are
    joined by commas. Classes without a hypernym or definition skip the categories that need one, which is logged and
    written with each image.
    """

    starts_from: ClassVar[StartsFrom] = "class"
    needs: ClassVar[tuple[str, ...]] = ("prior:stable-diffusion",)
    paper: ClassVar[str] = "RET 4.3; Radford et al. 2021; Sariyildiz et al. 2022"

    prompts: str = setting(
        "simple",
        "simple (or what --adaptation was trained under), simple-nows, clip, sariyildiz, gif, or a file of templates",
        source="RET 3.1",
    )
    white_space: Literal["as-in-paper", "keep", "strip"] = setting(
        "as-in-paper",
        "inside class names: stripped by simple-nows and clip, as in the paper, or always, or never",
        source="RET 4.3",
    )
    wordnet: bool = setting(True, "fill missing hypernyms and definitions from WordNet, for the sets that use them")
    steps: int = knobs.steps()
    guidance_scale: float = knobs.guidance_scale()
    scheduler: str | None = knobs.scheduler()
    negative: str = knobs.negative()

    def __post_init__(self) -> None:
        check(self)

    def prepare(self, context: Context) -> None:
        """The prompt set, so that a missing file is refused before the first image."""
        from imaginate.prompts import sets as prompt_sets

        prompt_sets.prompt_set(self.prompts)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        from imaginate.methods.core.diffusion import Denoising, candidates, copies, draw_from_noise
        from imaginate.methods.core.roles import diffusion_prior, trained_prompt
        from imaginate.prompts import sets as prompt_sets

        trained = trained_prompt(context) if self.prompts == "simple" else ""
        chosen = prompt_sets.of_template(trained) if trained else prompt_sets.prompt_set(self.prompts)
        labels = self._labels(chosen, context)
        wanted = copies(requests)
        prompts = [
            prompt_sets.draw(chosen, labels[c.label], c.copy, c.seed, white_space=self.white_space) for c in wanted
        ]
        denoising = replace(Denoising.of(self), negative=self.negative)
        drawn = draw_from_noise(diffusion_prior(context), wanted, [p.text for p in prompts], denoising)
        info = [{"prompt_set": chosen.name, "category": p.category} for p in prompts]
        return candidates(wanted, drawn, prompts=[p.text for p in prompts], info=info)

    def _labels(self, chosen: PromptSet, context: Context) -> LabelSpace:
        """The classes with what WordNet adds; what a class cannot be asked for is logged once a process."""
        from imaginate.methods.core.roles import diffusion_prior
        from imaginate.prompts import sets as prompt_sets
        from imaginate.prompts import wordnet

        labels = context.labels
        key = (labels, chosen.name, self.wordnet)
        if key not in _ready:
            used = {f for c in chosen.categories for t in c.templates for f in prompt_sets.needs(t)}
            lacking = self.wordnet and bool(used & {"hypernym", "definition"})
            full, notes = wordnet.enrich(labels, names=False) if lacking else (labels, ())
            if "definition" in used:
                full, notes = _fitting(full, diffusion_prior(context), notes)
            for name, gone in prompt_sets.skipped(chosen, full).items():
                notes = (*notes, f"prompt set {chosen.name} skips for class {name!r}: {', '.join(gone)}")
            for note in notes[:NOTES]:
                log.warning(note)
            if len(notes) > NOTES:
                log.warning(f"... and {len(notes) - NOTES} more notes on classes of prompt set {chosen.name}")
            _ready[key] = full
        return _ready[key]


def _fitting(labels: LabelSpace, prior: DiffusionPrior, notes: tuple[str, ...]) -> tuple[LabelSpace, tuple[str, ...]]:
    """The classes without the definitions that do not fit, with the name, into the text encoder's context."""
    from dataclasses import replace

    from imaginate.prompts.naming import class_name

    limit, kept = prior.context_length, []
    for info in labels:
        size = prior.count_tokens(f"{class_name(info, synonyms=True)}, {info.definition}")
        if info.definition and size > limit:
            note = f"the definition of class {info.name!r} is too long for the prior ({size} > {limit} tokens)"
            notes, info = (*notes, note), replace(info, definition="")
        kept.append(info)
    return LabelSpace(tuple(kept)), notes
