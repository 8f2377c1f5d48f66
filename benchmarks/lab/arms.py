"""The arms of the laboratory: what each is called in the papers, and the command that makes its run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One arm. `flags` go to `imaginate expand`; `fit` names the technique that has to be fitted first; `pool` says
    which retrieval pool is needed; `of`: the runs that it chooses from, as far as they are there; `gif` and `ret` are
    the rows of the papers' tables."""

    name: str
    title: str
    method: str
    flags: tuple[str, ...] = ()
    fit: str | None = None
    pool: str | None = None
    of: tuple[str, ...] = ()
    gif: str | None = None
    ret: str | None = None


_GUIDE = ("--guide", "nano")
_LITE = ("--guide", "prototypes:efficientnet-lite0@112")
_SD = ("--prior", "nano", "--steps", "20")
_DRAW = ("--prior", "nano", "--steps", "20")

AUGMENTATIONS = (
    Entry(name="cutout", title="Cutout", method="cutout", gif="Cutout"),
    Entry(name="gridmask", title="GridMask", method="gridmask", gif="GridMask"),
    Entry(name="randaugment", title="RandAugment", method="randaugment", gif="RandAugment"),
    Entry(name="trivialaugment", title="TrivialAugment", method="trivialaugment"),
    Entry(name="augmix", title="AugMix", method="augmix"),
    Entry(
        name="randaugment-selective",
        title="RandAugment, informative ones chosen",
        method="randaugment",
        flags=("--select", "informative", "--tries", "2", *_GUIDE),
    ),
    Entry(
        name="randaugment-classwise",
        title="RandAugment, informative ones chosen by class",
        method="randaugment",
        flags=("--select", "informative", "--select-scope", "class", "--tries", "2", *_GUIDE),
    ),
)
GIF = (
    Entry(name="mae", title="MAE", method="mae", flags=("--prior", "nano"), gif="MAE"),
    Entry(name="gif-mae", title="GIF-MAE", method="gif-mae", flags=("--prior", "nano", *_GUIDE), gif="GIF-MAE"),
    Entry(
        name="gif-mae-paper",
        title="GIF-MAE, variant `paper`",
        method="gif-mae",
        flags=("--prior", "nano", *_GUIDE, "--variant", "paper"),
    ),
    Entry(
        name="gif-mae-released",
        title="GIF-MAE, variant `released`",
        method="gif-mae",
        flags=("--prior", "nano", *_GUIDE, "--variant", "released"),
    ),
    Entry(
        name="gif-mae-pixel",
        title="GIF-MAE, noise a pixel",
        method="gif-mae",
        flags=("--prior", "nano", *_GUIDE, "--level", "token"),
    ),
    Entry(name="sd", title="SD", method="sd", flags=_SD, gif="SD"),
    Entry(name="gif-sd", title="GIF-SD", method="gif-sd", flags=(*_SD, *_GUIDE), gif="GIF-SD"),
    Entry(
        name="gif-sd-released",
        title="GIF-SD, variant `released`",
        method="gif-sd",
        flags=(*_SD, *_GUIDE, "--variant", "released"),
    ),
    Entry(
        name="unclip",
        title="unCLIP (DALL-E2)",
        method="unclip",
        flags=("--prior", "nano", "--steps", "20"),
        gif="DALL-E2",
    ),
    Entry(
        name="gif-dalle",
        title="GIF-DALLE",
        method="gif-dalle",
        flags=("--prior", "nano", "--steps", "20", *_GUIDE),
        gif="GIF-DALLE",
    ),
)
RET = (
    Entry(
        name="retrieval", title="Retrieval", method="retrieval", flags=("--guide", "nano"), pool="nano", ret="Retrieval"
    ),
    Entry(
        name="retrieval-seeds",
        title="Retrieval by seed images",
        method="retrieval",
        flags=(*_LITE, "--query", "seeds"),
        pool="lite",
    ),
    Entry(
        name="retrieval-share",
        title="Retrieval by seed images, an image for several classes",
        method="retrieval",
        flags=(*_LITE, "--query", "seeds", "--share"),
        pool="lite",
    ),
    Entry(
        name="retrieval-head",
        title="Retrieval by a head (ours)",
        method="retrieval",
        flags=(*_LITE, "--score", "head"),
        pool="lite",
    ),
    Entry(
        name="retrieval-head-pure",
        title="Retrieval by a head, purity 0.7 (ours)",
        method="retrieval",
        flags=(*_LITE, "--score", "head", "--purity", "0.7"),
        pool="lite",
    ),
    Entry(
        name="retrieval-seeds-own",
        title="Retrieval by seed images, a pool that holds the classes",
        method="retrieval",
        flags=(*_LITE, "--query", "seeds"),
        pool="own",
    ),
    Entry(
        name="retrieval-head-own",
        title="Retrieval by a head, a pool that holds the classes (ours)",
        method="retrieval",
        flags=(*_LITE, "--score", "head"),
        pool="own",
    ),
    Entry(
        name="retrieval-head-pure-own",
        title="Retrieval by a head, purity 0.7, a pool that holds the classes (ours)",
        method="retrieval",
        flags=(*_LITE, "--score", "head", "--purity", "0.7"),
        pool="own",
    ),
    Entry(name="boomerang", title="Boomerang", method="boomerang", flags=_SD, ret="Boomerang"),
    Entry(
        name="prompt-simple",
        title="Simple prompt",
        method="prompt",
        flags=(*_DRAW, "--prompts", "simple"),
        ret="Simple prompt",
    ),
    Entry(
        name="prompt-nows",
        title="Simple prompt (no ws)",
        method="prompt",
        flags=(*_DRAW, "--prompts", "simple-nows"),
        ret="Simple prompt (no ws)",
    ),
    Entry(
        name="prompt-clip",
        title="CLIP prompts",
        method="prompt",
        flags=(*_DRAW, "--prompts", "clip"),
        ret="CLIP prompts",
    ),
    Entry(
        name="prompt-sariyildiz",
        title="Sariyildiz et al. prompts",
        method="prompt",
        flags=(*_DRAW, "--prompts", "sariyildiz"),
        ret="Sariyildiz et al. prompts",
    ),
    Entry(
        name="ft-conditioning",
        title="FT conditioning",
        method="ft-conditioning",
        flags=_DRAW,
        fit="ft-conditioning",
        ret="FT conditioning",
    ),
    Entry(
        name="ft-cluster",
        title="FT cluster conditioning",
        method="ft-cluster",
        flags=_DRAW,
        fit="ft-cluster",
        ret="FT cluster conditioning",
    ),
    Entry(name="imagic", title="Imagic", method="imagic", flags=_DRAW, fit="imagic", ret="Imagic"),
    Entry(
        name="textual-inversion",
        title="Textual inversion",
        method="textual-inversion",
        flags=_DRAW,
        fit="textual-inversion",
        ret="Textual inversion",
    ),
    Entry(
        name="pseudoword-dm",
        title="Pseudoword+DM",
        method="pseudoword-dm",
        flags=_DRAW,
        fit="pseudoword-dm",
        ret="Pseudoword+DM",
    ),
)
OURS = (
    Entry(
        name="mix",
        title="Chosen among runs by influence (ours)",
        method="mix",
        flags=_LITE,
        of=("randaugment", "mae", "gif-mae", "sd", "retrieval-head"),
    ),
    Entry(name="diff-ii", title="Diff-II", method="diff-ii", flags=_DRAW),
    Entry(name="background", title="Object before another background (ours)", method="background"),
    Entry(
        name="gif-mae-lite", title="GIF-MAE, guided by prototypes", method="gif-mae", flags=("--prior", "nano", *_LITE)
    ),
    Entry(
        name="gif-mae-terms",
        title="GIF-MAE, with entropy and Chamfer distance of the learner (ours)",
        method="gif-mae",
        flags=("--prior", "nano", *_LITE, "--terms", "entropy:0.5,chamfer:1"),
    ),
)
ENTRIES = {entry.name: entry for entry in (*AUGMENTATIONS, *GIF, *RET, *OURS)}
GROUPS = {"augmentation": AUGMENTATIONS, "gif": GIF, "ret": RET, "ours": OURS}

# Arms that `imaginate compare` makes itself: title, row of GIF Table 1, row of RET Table 1.
BUILT_IN = {
    "original": ("Original", "Original", "10% ImageNet"),
    "duplicate": ("Duplicate", None, None),
    "original@0.5": ("Half of the originals", None, None),
    "original@0.25": ("A quarter of the originals", None, None),
}
CLIP_ARMS = {
    "clip-zero-shot": ("CLIP, zero-shot", "CLIP"),
    "clip-probe": ("CLIP, linear probe", None),
    "clip-finetune": ("CLIP, fine-tuned", None),
    "clip-distill": ("CLIP, distilled", "Distillation of CLIP"),
}
