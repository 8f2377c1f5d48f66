"""Model cards: README.md of a weights folder, written from measured numbers and training logs alone."""

import json
from pathlib import Path
from typing import Any

WHAT = {
    "clip": "A CLIP for 64 px images: vision transformer (patches of 8 px) and text transformer, "
    "in transformers' format (`CLIPModel.from_pretrained`), with CLIP's tokenizer cut to 8,192 tokens.",
    "mae": "A masked autoencoder for 64 px images in transformers' format (`ViTMAEForPreTraining.from_pretrained`); "
    "its decoder was trained on visible patches too, so that it decodes unmasked, perturbed latents.",
    "sd": "A latent diffusion model for 64 px images in diffusers' Stable Diffusion layout "
    "(`StableDiffusionPipeline.from_pretrained`, `StableDiffusionImg2ImgPipeline.from_pretrained`): "
    "latents of 16 x 8 x 8, velocity prediction, nano-clip's text tower, no safety checker.",
    "unclip": "A decoder of nano-clip image embeddings in the layout of Stable unCLIP "
    "(`StableUnCLIPImg2ImgPipeline.from_pretrained`), on nano-clip's text tower.",
}
SHEET = {
    "clip": "Val images under the three class names that the model ranks first.",
    "mae": "Rows: val images; reconstruction with nothing masked; with 75 % masked.",
    "sd": "Rows 1-3: text-to-image, the first 30 classes, not chosen. Rows 4-6: val images; through the autoencoder; "
    "img2img at strength 0.5.",
    "unclip": "Rows 1 and 3: val images. Rows 2 and 4: a variation of each, no caption.",
}
DATA = (
    "Tiny-ImageNet (200 classes, 64 px, re-encoded as WebP): 98,000 of the 100,000 train images; 2,000 are held out of "
    "training. No other images{network}. The images come from ImageNet, whose terms allow "
    "non-commercial research and education; their rights stay with their owners. The weights are offered under "
    "Apache-2.0 as far as the project's own rights go; what ImageNet's terms mean for a use is for the user to judge."
)


NETWORK = {
    "sd": "; the autoencoder's perceptual loss compares features of an EfficientNet-lite0 that was trained on ImageNet"
}


def write(name: str, folder: Path, numbers: dict[str, Any]) -> None:
    """Write the card of model `name` into its folder."""
    training = _read(folder / "training.json")
    parts = [
        f"---\nlibrary_name: {'transformers' if name in ('clip', 'mae') else 'diffusers'}\nlicense: apache-2.0\n---\n",
        f"# nano-{name}\n\n{WHAT[name]}\n\nMade to try, test and teach with; not a match for the full-size model.\n",
        f"## Measured\n\n{table(numbers)}\n",
        f"By `python -m imaginate.nano.evaluation {name}` on the val images counted there. "
        "Nothing was chosen on val.\n",
        *[f"## Short of the target\n\n{text}\n" for text in [shortfalls(name, numbers)] if text],
        f"![samples](samples.png)\n\n{SHEET[name]}\n",
        f"## Data and licence\n\n{DATA.format(network=NETWORK.get(name, ' and no pretrained network'))}\n",
        f"## Training\n\n{describe(training)}\n\n![loss](loss.png)\n",
    ]
    (folder / "README.md").write_text("\n".join(parts), encoding="utf-8")


def table(numbers: dict[str, Any], prefix: str = "") -> str:
    """A Markdown table of the numbers, nested names joined by a dot."""
    rows = ["| what | value |", "| --- | --- |"] if not prefix else []
    for key, value in numbers.items():
        name = f"{prefix}{key}"
        rows.append(table(value, f"{name}.") if isinstance(value, dict) else f"| {name} | {_short(value)} |")
    return "\n".join(rows)


def shortfalls(name: str, n: dict[str, Any]) -> str:
    """One line for each target that the numbers miss."""
    missed = []
    if name == "clip":
        missed = _missed("zero-shot top-1", n["zero_shot_top1"], n["target_top1"]["cpu"], "{:.1%}")
    if name == "mae":
        missed = _missed("PSNR with nothing masked", n["psnr_unmasked_db"], n["target_psnr_db"]["cpu"], "{:.1f} dB")
        missed += [_speed(n, 100)] if n["images"]["per_processor_second"] < 100 else []
    if name == "sd":
        text, edit = n["text_to_image_recognised"]["top1"], n["img2img_strength_0.5_recognised"]["top1"]
        missed = _missed("text-to-image samples recognised", text, 0.35, "{:.1%}")
        missed += _missed("img2img at strength 0.5 recognised", edit, 0.6, "{:.1%}")
        if missed:
            missed.append(
                f"The judge itself recognises {n['real_val_recognised']['top1']:.1%} of the same real images."
            )
    return "\n".join(f"- {line}" for line in missed)


def describe(training: dict[str, Any]) -> str:
    """Steps, batch, learning rate and compute of every stage."""
    lines = []
    for stage, t in training.items():
        starts = {1: "", 2: ", resumed once"}.get(t["starts"], f", resumed {t['starts'] - 1} times")
        muon = f" (Muon {t['muon_lr']})" if t["muon_lr"] else ""
        note = f" {t['note']}" if t.get("note") else ""
        lines.append(
            f"- `{stage}`: {t['steps']} steps of {t['batch']} images ({t['images']:,} images seen), "
            f"learning rate {t['lr']}{muon}, EMA {t['ema']}, seed {t['seed']}, {t['precision']}; "
            f"{t['minutes']:.0f} minutes by the clock on {t['device']}{starts}.{note}"
        )
    return "\n".join(lines)


def _speed(n: dict[str, Any], target: float) -> str:
    """The line of a missed speed."""
    i = n["images"]
    rate, threads = i["per_processor_second"], i["threads"]
    return f"{rate:.2g} images a second of processor time ({threads} threads), target {target}."


def _missed(what: str, value: float, target: float, form: str) -> list[str]:
    """The line of a missed target, or nothing."""
    return [] if value >= target else [f"{what}: {form.format(value)}, target {form.format(target)}."]


def _short(value: Any) -> str:
    """A number in four significant digits, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _read(path: Path) -> dict[str, Any]:
    """A JSON object, empty where the file is missing."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
