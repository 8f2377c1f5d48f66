"""Measurements of nano-sd and nano-unclip, through diffusers' pipelines as a user calls them."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate import nano
from imaginate.nano.evaluation import measure, sheets
from imaginate.nano.training import data, judge

STEPS, SCALE, STRENGTH, BATCH = 20, 4.0, 0.5, 20
ENOUGH = 1000  # images, for a distance between covariances of 200 scores


def prepare(kind: Any, folder: Path) -> Any:
    """A pipeline in single precision, silent."""
    pipe = kind.from_pretrained(folder, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def sample(pipe: Any, count: int, seed: int, **inputs: Any) -> Tensor:
    """(count, 3, 64, 64) in [0, 1] from a pipeline called on batches; each input is a list or tensor of `count`."""
    parts = []
    for first in range(0, count, BATCH):
        part = {name: value[first : first + BATCH] for name, value in inputs.items()}
        size = min(BATCH, count - first)
        rngs = [torch.Generator().manual_seed(seed + first + i) for i in range(size)]
        strength = {"strength": STRENGTH} if "image" in part and "prompt" in part and len(part["prompt"][0]) else {}
        images = pipe(
            **part, **strength, num_inference_steps=STEPS, guidance_scale=SCALE, generator=rngs, output_type="pt"
        ).images
        parts.append(images.float())
    return torch.cat(parts)


def vectors(pipe: Any, x: Tensor) -> Tensor:
    """Unit embeddings of images (n, 3, 64, 64) in [0, 1] by the pipeline's own image encoder."""
    with torch.no_grad():
        return F.normalize(pipe.image_encoder(pixels(pipe, x)).image_embeds.float(), dim=-1)


def pixels(pipe: Any, x: Tensor) -> Tensor:
    """Images (n, 3, 64, 64) in [0, 1] as the pipeline's image encoder wants them."""
    about = pipe.feature_extractor
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (about.image_mean, about.image_std))
    return (x - mean) / std


def judge_of(folder: Path) -> tuple[measure.Scores, dict[str, Any]]:
    """The judge and what to say of it."""
    facts = json.loads((folder / "judge.json").read_text(encoding="utf-8"))
    return judge.load(folder, facts["kind"]), {"kind": facts["kind"], "val_top1": facts["val_top1"]}


def sd(root: Path, folder: Path, count: int, judge_folder: Path, sheet: Path) -> dict[str, Any]:
    """Text-to-image and img2img, judged; autoencoder PSNR; Fréchet distance on the judge's scores; seconds an image."""
    from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline

    scores, about = judge_of(judge_folder)
    pipe = prepare(StableDiffusionPipeline, folder)
    labels = torch.arange(count) % 200
    prompts = [f"a photo of a {nano.labels()[i]}" for i in labels]
    drawn = sample(pipe, count, 0, prompt=prompts)
    images = data.load(root, "val")
    x, y = images.batch(data.picks_of_step(len(images), count, 0, 0))
    captions = [f"a photo of a {nano.labels()[i]}" for i in y]
    edited = sample(prepare(StableDiffusionImg2ImgPipeline, folder), count, 1, prompt=captions, image=x)
    decoded = measure.vae_reconstruct(pipe.vae, x)
    with torch.no_grad():
        kept = (scores(edited).argmax(1) == scores(x).argmax(1)).float().mean()
    sheets.grid([drawn[:10], drawn[10:20], drawn[20:30], x[:10], decoded[:10], edited[:10]], sheet)
    return {
        "images_each": count,
        "steps": STEPS,
        "guidance_scale": SCALE,
        "judge": about,
        "text_to_image_recognised": measure.judged(scores, drawn, labels),
        "img2img_strength_0.5_recognised": measure.judged(scores, edited, y),
        "img2img_strength_0.5_same_class_as_source_by_judge": float(kept),
        "real_val_recognised": measure.judged(scores, x, y),
        "autoencoder_recognised": measure.judged(scores, decoded, y),
        "autoencoder_psnr_db": measure.psnr(decoded, x),
        "frechet_on_judge_scores": frechet_of(scores, images, {"samples": drawn, "autoencoder": decoded}),
        "target": {"gpu_text_to_image_recognised": 0.35, "gpu_img2img_recognised": 0.6, "images_per_second": 1.0},
        "images": measure.rate(lambda: sample(pipe, 1, 0, prompt=prompts[:1]), 1),
    }


def frechet_of(scores: measure.Scores, images: Any, drawn: dict[str, Tensor]) -> dict[str, float] | str:
    """Distance of each drawn set, and of other real images, to as many real ones; a word where they are too few."""
    count = min(len(part) for part in drawn.values())
    if count < ENOUGH:
        return f"not measured with fewer than {ENOUGH} images"
    real, _ = images.batch(data.picks_of_step(len(images), 2 * count, 3, 0))
    with torch.no_grad():
        base = scores(real[:count])
        sets = {**drawn, "other_real_images": real[count:]}
        return {name: measure.frechet(scores(part), base) for name, part in sets.items()}


def unclip(root: Path, folder: Path, count: int, judge_folder: Path, sheet: Path) -> dict[str, Any]:
    """Variations of val images: cosine of embeddings, source to variation against random pairs; judged."""
    from diffusers import StableUnCLIPImg2ImgPipeline

    scores, about = judge_of(judge_folder)
    pipe = prepare(StableUnCLIPImg2ImgPipeline, folder)
    images = data.load(root, "val")
    x, y = images.batch(data.picks_of_step(len(images), count, 0, 0))
    varied = sample(pipe, count, 2, image=pixels(pipe, x), prompt=[""] * count)
    source, variation = vectors(pipe, x), vectors(pipe, varied)
    sheets.grid([x[:10], varied[:10], x[10:20], varied[10:20]], sheet)
    return {
        "images_each": count,
        "steps": STEPS,
        "guidance_scale": SCALE,
        "judge": about,
        "cosine_source_variation": float((source * variation).sum(1).mean()),
        "cosine_random_source_variation": float((source * variation.roll(1, 0)).sum(1).mean()),
        "cosine_random_sources": float((source * source.roll(1, 0)).sum(1).mean()),
        "variation_recognised": measure.judged(scores, varied, y),
        "real_val_recognised": measure.judged(scores, x, y),
        "images": measure.rate(lambda: sample(pipe, 1, 0, image=pixels(pipe, x[:1]), prompt=[""]), 1),
    }
