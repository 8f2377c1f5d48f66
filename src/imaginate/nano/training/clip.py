"""nano-clip: CLIP's two towers at 64 px, trained on captions that are made from classes.

CLIP (Radford et al., 2021) contrasts the images of a batch with their own captions. Here a caption says its class, so
two images of a batch may share one. Training therefore goes in two stages:

1. the text tower alone: two captions of a class attract, captions of the other 199 classes repel;
2. the image tower, the text tower locked (LiT, Zhai et al., 2022): each image is contrasted with one caption drawn
   for every class, image-to-text InfoNCE with all classes as negatives.

Training both at once was tried first: in a short training the text tower stays near its start, where the classes'
captions stay within a few directions, and holds the image tower back. Cheap on a CPU: patches of 8 px, resolution grows
from 32 to 48 to 64 px, hidden matrices by Muon, and after stage 1 the captions' embeddings are a table.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.nano.training import captions, common, data, tokenizer
from imaginate.nano.training.mae import MEAN, STD, normalise
from imaginate.nano.training.structured import conv_like

PRESETS = {
    "cpu": common.Plan(steps=1700, batch=512, lr=1.5e-3, muon_lr=0.02, warmup=60, ema=0.99),
    "cuda": common.Plan(steps=9000, batch=1024, lr=2e-3, muon_lr=0.02, warmup=100, ema=0.998),
}
SIZES = ((0.6, 32), (0.85, 48), (1.0, 64))  # until which share of the steps, at how many pixels
TEXT_STEPS, TEXT_SCALE = 120, 20.0  # of stage 1: steps, and inverse temperature
TABLE = 64  # captions of a class in the table that stands for the locked text tower
LENGTH = 20  # longest caption in training, in tokens


def build(tok: Any, width: int = 256, depth: int = 4, text_width: int = 256, text_depth: int = 2) -> Any:
    """A fresh CLIPModel; the vision tower starts as a stack of small convolutions."""
    from transformers import CLIPConfig, CLIPModel

    vision = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": depth,
        "num_attention_heads": width // 64,
        "image_size": data.SIZE,
        "patch_size": 8,
        "hidden_act": "gelu",
    }
    text = {
        "vocab_size": len(tok),
        "hidden_size": text_width,
        "intermediate_size": 4 * text_width,
        "num_hidden_layers": text_depth,
        "num_attention_heads": text_width // 64,
        "max_position_embeddings": 77,
        "hidden_act": "gelu",
        "bos_token_id": tok.bos_token_id,
        "eos_token_id": tok.eos_token_id,
        "pad_token_id": tok.pad_token_id,
    }
    for tower in (vision, text):
        tower["projection_dim"] = 256
    config = CLIPConfig(vision_config=vision, text_config=text, projection_dim=256)
    config._attn_implementation = "eager"  # twice as fast to train as the CPU's fused kernel in bfloat16
    model = CLIPModel(config)
    conv_like(model.vision_model)
    return model


def embed_images(model: Any, x: Tensor) -> Tensor:
    """x (b, 3, h, w) in [0, 1] -> unit vectors (b, d); other sizes than 64 px interpolate the positions."""
    seen = model.vision_model(pixel_values=normalise(x), interpolate_pos_encoding=x.shape[-1] != data.SIZE)
    return F.normalize(model.visual_projection(seen.pooler_output).float(), dim=-1)


def embed_texts(model: Any, tok: Any, texts: list[str]) -> Tensor:
    """Unit vectors (n, d) of texts of at most `LENGTH` tokens."""
    ids = tok(texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt").to(model.device)
    return F.normalize(model.text_projection(model.text_model(**ids).pooler_output).float(), dim=-1)


def size_at(share: float) -> int:
    """Pixels a side when a share of the training is over."""
    return next(size for end, size in SIZES if share < end or end == 1.0)


def text_objective(model: Any, tok: Any, first: list[str], second: list[str]) -> Tensor:
    """InfoNCE between two lists of captions of the same classes, in both directions."""
    logits = embed_texts(model, tok, first) @ embed_texts(model, tok, second).T * TEXT_SCALE
    classes = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, classes) + F.cross_entropy(logits.T, classes)) / 2


def train_text(model: Any, tok: Any, texts: list[list[str]], plan: common.Plan, out: Path) -> None:
    """Stage 1: train the text tower, then lock it at its averaged weights."""
    choose(model, text=True)
    plan = replace(plan, steps=min(TEXT_STEPS, plan.steps), batch=2 * len(texts), warmup=10, ema=0.95, minutes=None)

    def loss(step: int, share: float) -> Tensor:
        first, second = (captions.draw(texts, plan.seed, 2 * step + i) for i in (0, 1))
        return text_objective(model, tok, first, second)

    common.averaged(model, common.fit(model, loss, plan, out / "text"))
    choose(model, text=False)


def choose(model: Any, text: bool) -> None:
    """Which tower learns."""
    for name, p in model.named_parameters():
        p.requires_grad_(name.startswith("text_") == text)


@torch.no_grad()
def table_of(model: Any, tok: Any, texts: list[list[str]], seed: int) -> Tensor:
    """Embeddings (TABLE, classes, d) of drawn captions."""
    return torch.stack([embed_texts(model, tok, captions.draw(texts, seed + 1, i)) for i in range(TABLE)])


def train(root: Path, out: Path, plan: common.Plan, device: str) -> None:
    """Train and save in transformers' format, tokenizer and processor included."""
    torch.manual_seed(plan.seed)
    images = data.load(root, "train").on(device)
    texts = captions.build(data.synonyms(root), captions.wordnet())
    if common.is_finished(out / "text-final"):  # a finished text tower is kept: nano-sd learns from it
        tok, model = finished_text(out / "text-final")
        model = model.to(device)
    else:
        tok = tokenizer.build(out / "tokenizer")
        model = build(tok).to(device)
        train_text(model, tok, texts, plan, out)
        save(model, tok, out / "text-final")  # what nano-sd needs; its image tower is untrained
    model.float()
    table = table_of(model, tok, texts, plan.seed)

    def loss(step: int, share: float) -> Tensor:
        x, y = images.batch(data.picks_of_step(len(images), plan.batch, plan.seed, step))
        x = data.crop_flip(x, 0.35, common.generator(plan.seed, step, device), size_at(share))
        wanted = table[int(torch.randint(TABLE, (), generator=common.generator(plan.seed, step)))]
        logits = embed_images(model, x) @ wanted.T * model.logit_scale.exp().clamp(max=100)
        return F.cross_entropy(logits, y, label_smoothing=0.1)

    ema = common.fit(model, loss, plan, out)
    save(common.averaged(model, ema), tok, out / "clip")
    common.write_json(out / "plan.json", common.describe(plan, sizes=SIZES, text_steps=TEXT_STEPS))


def finished_text(folder: Path) -> tuple[Any, Any]:
    """(tokenizer, model) of a folder whose text tower is final: locked, before a fresh image tower."""
    from transformers import CLIPModel, CLIPTokenizer

    tok = CLIPTokenizer.from_pretrained(folder, model_max_length=77)
    model, known = build(tok), CLIPModel.from_pretrained(folder, dtype=torch.float32)
    towers = (model.text_model, known.text_model), (model.text_projection, known.text_projection)
    for fresh, trained in towers:
        fresh.load_state_dict(trained.state_dict())
    choose(model, text=False)
    return tok, model


def save(model: Any, tok: Any, folder: Path) -> None:
    """Half-precision safetensors, tokenizer and image processor: what CLIPModel and CLIPProcessor read."""
    from transformers import CLIPImageProcessor

    model.half().save_pretrained(folder)
    tok.save_pretrained(folder)
    side = {"height": data.SIZE, "width": data.SIZE}
    CLIPImageProcessor(
        size={"shortest_edge": data.SIZE}, crop_size=side, image_mean=list(MEAN), image_std=list(STD)
    ).save_pretrained(folder)
