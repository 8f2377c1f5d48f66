"""Seeds edited by instruction: another background, light or season, and the same subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.errors import ConfigError
from imaginate.files import lines_of
from imaginate.records import Candidate, Request, Scalar
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Edit each seed by an instruction that keeps its class: a model that was trained to follow it needs no strength.

    Brooks et al. 2023 (InstructPix2Pix); today's models (FLUX.1 Kontext, Qwen-Image-Edit) are asked in the same way. An
    instruction is a template; with several in a file, each copy draws one by its own seed. Scales and steps are the
    pipeline's own where they are not given.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ("prior:edit",)
    paper: ClassVar[str] = "Brooks et al. 2023, arXiv:2211.09800"

    instruction: str = setting(
        "keep the {class} and change the background",
        "template with {class} (or {name}, all synonyms), or a file with one a line",
    )
    guidance_scale: float | None = setting(None, "weight of the instruction; none is the pipeline's own", ge=0, le=100)
    image_guidance_scale: float | None = setting(
        None, "InstructPix2Pix: weight of the image; none is the pipeline's own", ge=1, le=100, source="Brooks et al."
    )
    steps: int | None = setting(None, "denoising steps; none is the pipeline's own", ge=1, le=1000)

    def __post_init__(self) -> None:
        check(self)
        for template in self._templates():
            if not ("{class}" in template or "{name}" in template):
                raise ConfigError(f"instruction must hold {{class}} or {{name}}, got {template!r}")

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """Every copy: its seed edited by an instruction."""
        from imaginate.methods.core.diffusion import candidates, copies
        from imaginate.methods.core.roles import edit_prior
        from imaginate.ops.finite import draw_finite
        from imaginate.ops.noise import pick
        from imaginate.ops.pixels import stack
        from imaginate.prompts.naming import class_name

        prior, wanted, templates = edit_prior(context), copies(requests), self._templates()
        chosen = [templates[pick(c.seed, "instruction", len(templates))] for c in wanted]
        infos = [context.labels[c.label] for c in wanted]
        texts = [
            t.replace("{class}", class_name(i)).replace("{name}", class_name(i, synonyms=True))
            for t, i in zip(chosen, infos, strict=True)
        ]
        pixels = stack([c.request.image for c in wanted], prior.image_size)
        drawn = draw_finite(
            lambda rows, seeds: prior.edit(
                pixels[list(rows)],
                [texts[row] for row in rows],
                guidance_scale=self.guidance_scale,
                image_guidance_scale=self.image_guidance_scale,
                steps=self.steps,
                seeds=seeds,
            ),
            [c.seed for c in wanted],
        )
        info: list[dict[str, Scalar]] = [{"instruction": template} for template in chosen]
        return candidates(wanted, drawn, prompts=texts, info=info)

    def _templates(self) -> tuple[str, ...]:
        file = Path(self.instruction).expanduser()
        if "{" in self.instruction or not file.is_file():
            return (self.instruction,)
        found = lines_of(file)
        if not found:
            raise ConfigError(f"{file} holds no instruction: write one a line")
        return found
