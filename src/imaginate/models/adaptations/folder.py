"""An adaptation: what `imaginate fit` learnt, as a folder, and how it meets a prior and a label space again.

    OUT/adaptation.json          technique, prior, classes, settings, checkpoints and history (Manifest)
    OUT/checkpoints/epoch-03/    what was learnt, in the ecosystem's formats:
        unet/ transformer/ text_encoder/ decoder/   a diffusers or transformers folder, or a peft LoRA folder of it
        pytorch_lora_weights.safetensors  the same LoRAs in one file, as diffusers' `load_lora_weights` reads it
        words/<class>.safetensors      one pseudoword each, as diffusers' `load_textual_inversion` reads it
        learned_embeds.safetensors     all pseudowords: token -> (width,); of several text encoders: clip_l, clip_g,
                                       t5 -> (classes, width)
        conditioning.safetensors       class name -> (clusters, tokens, width) ready text embeddings
        conditioning_pooled.safetensors   SDXL: class name -> (clusters, dim) ready pooled embeddings
    OUT/samples/ OUT/cache/ OUT/state/  sheets, encoded images, and what a killed fit goes on from

A folder without adaptation.json (a LoRA from elsewhere, a fine-tuned UNet) is loaded as it is; nothing about its
classes can be checked.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imaginate.contract import PriorFamily
from imaginate.errors import ConfigError, ModelError
from imaginate.files import inside, replace_file, short_hash
from imaginate.limits import parse_json
from imaginate.records import LabelSpace
from imaginate.shapes import ADAPTATION, misfit

if TYPE_CHECKING:
    from imaginate.ops.conditioning import Conditioning

log = logging.getLogger("imaginate")

MANIFEST = "adaptation.json"
FORMAT = "imaginate-adaptation/1"


@dataclass(kw_only=True)
class Manifest:
    """adaptation.json. `checkpoints` maps a role (`best`, `best-train`, `last`, `epoch-02`) to a folder's name;
    `chosen` is the folder that is used; `words` and `clusters` go by class name."""

    technique: str
    family: str
    prior: str
    fingerprint: dict[str, Any]
    classes: list[str]
    settings: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    clusters: dict[str, list[int]] = field(default_factory=dict)
    template: str = ""
    chosen: str = ""
    chosen_by: str = ""
    checkpoints: dict[str, str] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    accuracy: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    weights: dict[str, str] = field(default_factory=dict)
    finished: bool = False
    format: str = FORMAT

    def write(self, folder: Path) -> None:
        """Write adaptation.json, all or nothing."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"
        replace_file(folder / MANIFEST, lambda partial: partial.write_text(text, encoding="utf-8"))


@dataclass(frozen=True)
class Adaptation:
    """An adaptation that was checked and loaded into a prior: what a method may ask of it."""

    path: str
    technique: str
    checkpoint: str
    words: Mapping[str, str] = field(default_factory=dict)
    conditioning: Mapping[str, Conditioning] = field(default_factory=dict)
    clusters: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    template: str = ""

    def require(self, *techniques: str) -> None:
        """ConfigError unless this is an adaptation of one of these techniques."""
        if self.technique not in techniques:
            wanted = " or ".join(techniques)
            raise ConfigError(f"adaptation must be made by `imaginate fit {wanted}`, {self.path} is {self.technique}")

    def word(self, name: str) -> str:
        """The pseudoword of a class."""
        if name not in self.words:
            raise ModelError(f"adaptation {self.path} has no pseudoword for class {name!r}")
        return self.words[name]

    def vectors(self, name: str) -> Conditioning:
        """(clusters) rows: the conditionings learnt for a class."""
        if name not in self.conditioning:
            raise ModelError(f"adaptation {self.path} has no conditioning for class {name!r}")
        return self.conditioning[name]

    def weights(self, name: str) -> tuple[int, ...]:
        """The number of training images behind each conditioning of a class."""
        return self.clusters.get(name, (1,) * len(self.vectors(name)))


def read_manifest(path: str | Path) -> Manifest | None:
    """The manifest of a folder; None where it has none. ModelError for a damaged or newer one."""
    file = Path(path) / MANIFEST
    if not file.is_file():
        return None
    try:
        values = parse_json(file.read_text(encoding="utf-8"))
        if wrong := misfit(values, ADAPTATION):
            raise ValueError(wrong)
        manifest = Manifest(**values)
    except (ValueError, TypeError) as error:
        raise ModelError(f"{file} is damaged or of another version: {str(error).splitlines()[0]}") from None
    if manifest.format != FORMAT:
        raise ModelError(f"{file} must have format {FORMAT}, got {manifest.format}")
    return manifest


def load_adaptation(path: str, prior: PriorFamily, labels: LabelSpace, *, checkpoint: str | None = None) -> Adaptation:
    """Check that an adaptation was made for this prior and these classes, and load it into the prior.

    `checkpoint` is a role or folder (`best`, `epoch-02`), which may also be written behind the path, `OUT@epoch-02`;
    None is the chosen one.
    """
    path, named = _split_checkpoint(path)
    checkpoint = checkpoint or named
    manifest = read_manifest(Path(path).expanduser())
    if manifest is None:
        prior.load_adaptation(path)
        return Adaptation(path=path, technique="other", checkpoint="")
    _check(manifest, path, prior, labels)
    if not manifest.finished and checkpoint is None and manifest.checkpoints:
        raise ModelError(
            f"adaptation {path} is a fit that is not finished: give its command again, or name what there is, "
            f"{path}@{max(manifest.checkpoints.values())}"
        )
    folder = checkpoint_folder(manifest, path, checkpoint)
    prior.load_adaptation(str(folder))
    if manifest.template:
        log.warning("%s: images are drawn from the prompt that it was trained under, %r", path, manifest.template)
    return Adaptation(
        path=path,
        technique=manifest.technique,
        checkpoint=folder.name,
        words=manifest.words,
        conditioning=_conditioning(folder),
        clusters={name: tuple(sizes) for name, sizes in manifest.clusters.items()},
        template=manifest.template,
    )


def own_checkpoint(path: str) -> Path | None:
    """The checkpoint that `imaginate fit` wrote and that this path, perhaps with a checkpoint behind it, stands for;
    None for what is from elsewhere, or has none yet."""
    path, named = _split_checkpoint(path)
    manifest = read_manifest(Path(path).expanduser())
    return None if manifest is None or not manifest.checkpoints else checkpoint_folder(manifest, path, named)


def _split_checkpoint(path: str) -> tuple[str, str | None]:
    """`OUT@epoch-02` -> the folder and the checkpoint; None where none is named."""
    front, _, behind = path.rpartition("@")
    if front and not Path(path).expanduser().exists() and Path(front).expanduser().exists():
        return front, behind
    return path, None


def checkpoint_folder(manifest: Manifest, path: str | Path, checkpoint: str | None = None) -> Path:
    """Where a checkpoint is: by role (`best`), by folder name, or the chosen one."""
    known = {**{name: name for name in manifest.checkpoints.values()}, **manifest.checkpoints}
    if not known:
        raise ModelError(f"adaptation {path} has no checkpoint yet: let `imaginate fit` finish its first epoch")
    name = checkpoint or manifest.chosen
    if name not in known:
        raise ConfigError(f"checkpoint must be one of {', '.join(sorted(known))}, got {name!r}")
    folder = Path(inside(Path(path).expanduser() / "checkpoints", known[name]))
    if not folder.is_dir():
        raise ModelError(f"adaptation {path} lacks its checkpoint {known[name]}")
    return folder


def _check(manifest: Manifest, path: str, prior: PriorFamily, labels: LabelSpace) -> None:
    if manifest.family != prior.family:
        raise ModelError(f"adaptation {path} is for a {manifest.family} prior, {prior.name} is {prior.family}")
    if not same_prior(manifest.fingerprint, fingerprint(prior)):
        raise ModelError(
            f"adaptation {path} was made for the prior {manifest.prior}, {prior.name} has other weights: fit it again"
        )
    missing = [name for name in labels.names if name not in manifest.classes]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(f"adaptation {path} was made for another label space: it lacks class {missing[0]!r}{more}")


def _conditioning(folder: Path) -> dict[str, Conditioning]:
    file, more = folder / "conditioning.safetensors", folder / "conditioning_pooled.safetensors"
    if not file.is_file():
        return {}
    from safetensors.torch import load_file

    from imaginate.models.checkpoints import read
    from imaginate.ops.conditioning import Conditioning

    pooled = read(lambda: load_file(str(more)), str(more), "conditionings") if more.is_file() else {}
    found = read(lambda: load_file(str(file)), str(file), "conditionings")
    return {name: Conditioning(hidden, pooled.get(name)) for name, hidden in found.items()}


def fingerprint(prior: PriorFamily) -> dict[str, Any]:
    """What a prior is, whatever its name and precision: shapes of all weights, and the mean size of a few of them."""
    shapes, probe, networks = [], [], prior.networks()
    for part in ("unet", "decoder", "text_encoder", "text_encoder_2", "vae", "transformer", "text_encoder_3"):
        if part not in networks:
            continue
        module = networks[part]
        tensors = sorted(module.state_dict().items())
        shapes.append([part, [[name, list(value.shape)] for name, value in tensors]])
        probe += [
            float(value.flatten()[:512].float().abs().mean()) for _, value in tensors[:: max(1, len(tensors) // 16)]
        ]
    return {"shapes": short_hash(shapes), "probe": [round(value, 6) for value in probe]}


def same_prior(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two fingerprints are of the same weights, read in whatever precision (half keeps three digits)."""
    one, other = a.get("probe", []), b.get("probe", [])
    if a.get("shapes") != b.get("shapes") or len(one) != len(other):
        return False
    return all(abs(x - y) <= 0.01 * max(abs(x), abs(y), 1e-3) for x, y in zip(one, other, strict=True))
