"""Settings that several methods have, declared once: `steps: int = knobs.steps()`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from imaginate.errors import ConfigError
from imaginate.settings import setting

NATURAL = ("natural",)  # domains and adjectives, where the user names none

# Text-to-image.
steps = partial(setting, 50, "denoising steps", ge=1)
guidance_scale = partial(setting, 7.5, "weight of classifier-free guidance", ge=1, source="Stable Diffusion's default")
scheduler = partial(setting, None, "noise scheduler; none is the checkpoint's own")
negative = partial(setting, "", "negative prompt")
templates = partial(
    setting, "textual-inversion", "templates: a named set, or a file with one a line", source="Gal et al."
)

# Editing an image.
noise = partial(
    setting,
    None,
    "share of the variance that is noise at the start, in place of strength: the same for every scheduler and number "
    "of steps, all of which are then done",
    ge=0.01,
    le=1,
)
noises = partial(
    setting,
    None,
    "levels in place of strengths: the share of the variance that is noise at the start, drawn uniformly",
    ge=0.01,
    le=1,
)

# Editing a seed as GIF does.
gif_strength = partial(setting, 0.5, "how much of the seed is noised away", gt=0, le=1, source="GIF B.4.1")
gif_guidance_scale = partial(setting, 8.0, "weight of the prompt", ge=0, le=100, source="GIF B.4.2")
gif_steps = partial(setting, 50, "denoising steps at strength 1", ge=1, le=1000, source="released code")
gif_scheduler = partial(setting, "ddim", "ddim, dpmsolver, euler, lcm, ...; none is the checkpoint's own")
domains = partial(setting, NATURAL, "domain sets or phrases ending in 'of'", source="Eq. 7")
adjectives = partial(setting, NATURAL, "adjective sets or words; 'none' for no adjective", source="Eq. 7")

# The decoder of unCLIP.
unclip_guidance_scale = partial(setting, 4.0, "weight of the embedding", ge=0, le=100, source="GIF D.1")
unclip_steps = partial(setting, 100, "denoising steps", ge=2, le=1000, source="GIF D.1")
unclip_scheduler = partial(
    setting, "ddim", "ddim, dpmsolver, euler, ...; none is the checkpoint's own", source="GIF D.1"
)

# Guidance.
variant = partial(setting, "default", "the definition of guidance", source="ours")
ascent_steps = partial(setting, None, "steps of guidance; none is the variant's", ge=0, le=100, source="Eq. 2")
ascent_step = partial(setting, None, "size of a step on z and b; none is the variant's", gt=0, source="Eq. 2")
terms = partial(
    setting,
    (),
    "terms of the learner that are climbed too, each with its weight: entropy, loss, prototypes (distance to those of "
    "the class), chamfer (distance to its seed images), as in entropy:0.5,chamfer:1",
    source="Askari-Hemmat et al. 2025, Zhu et al. 2024, Dall'Asen et al. 2025",
)
level = partial(setting, "channel", "entries that share z and b", source="GIF B.2")
TEXTURE = "the pattern that one change of all tokens repeats in every patch"
texture = partial(setting, None, f"{TEXTURE}; none is the variant's", source="ours")

# Where the prior is weak (nano).
SMALL_EPS = 0.1  # radius of the ball around a latent
LITTLE = 0.1  # strength, or share of noise, at which a weak prior still shows the class


def little_noise(steps: int, noise: object, scheduler: str | None) -> Mapping[str, float]:
    """A start that a weak prior survives, and two denoising steps at least; a share of noise under a scheduler whose
    first levels are not DDIM's."""
    if noise is not None:
        return {}
    if scheduler not in (None, "ddim"):
        return {"noise": LITTLE}
    return {"strength": max(LITTLE, min(1.0, 2 / steps))}


# Retrieval.
score = partial(
    setting,
    "query",
    "rank by the query; by a ridge head fitted on the seed images, each image going to the class that scores best; or "
    "auto: by text, seeds or head, whichever is right of most seed images that it was made without",
    source="ours",
)
purity = partial(
    setting,
    0.0,
    "score head: take fewer images of a class where the head expects less than this share of them to be right",
    ge=0,
    le=1,
    source="ours",
)
background = partial(
    setting,
    1500,
    "score head: so many images of the pool at random show the head what belongs to no class; 0: none",
    ge=0,
    source="ours",
)
query = partial(setting, "text", "the class's sentence, its seed images, or both averaged")
query_prompts = partial(
    setting, "simple-nows", "prompt set of the text query, or a file of templates", source="RET 3.2"
)
consistency = partial(setting, 0.0, "least probability that the guide gives the class", ge=0, le=1)
aesthetic = partial(setting, 5.0, "least aesthetic score, where the pool has scores", source="RET 3.2")
exclude = partial(setting, None, "file of ids, perceptual hashes, sources or URLs (* and ?) never to be used")


def check_purity(purity: float, score: str) -> None:
    """ConfigError for a purity without a head to estimate it."""
    if purity > 0 and score == "query":
        raise ConfigError(f"purity {purity:g} is estimated by a head: add score head (or auto)")
