"""Personalisation: how fast one step is, and what each technique makes of a dataset.

    python benchmarks/personalisation.py speed --model nano|tiny   textual inversion against diffusers' example loop
    python benchmarks/personalisation.py rows  --work DIR          fit and expand by every technique, a picture row each

`speed` writes benchmarks/results/personalisation-speed-<model>-<device>.json, `rows` docs/img/personalisation.png and
benchmarks/results/personalisation-rows.json; it goes on from DIR where it was stopped.

The unit of `speed` is one update of one class from `batch` images. The example fits one class a process; one step of
ours updates all ten classes from 10 x batch images. Equal batches are measured too. On a CPU the clock is the process's
own time on one thread, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from _machine import write

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

CLASSES = 10
DATA = Path(os.environ.get("IMAGINATE_SHARED") or ROOT.parent / "shared") / "data" / "imagenette-96.zip"


def main() -> None:
    """Parse, run one command, print its numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["speed", "rows"])
    parser.add_argument("--model", choices=["nano", "tiny"], default="nano")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=4, help="images a step (diffusers' example: 4)")
    parser.add_argument("--rounds", type=int, default=8, help="rounds of both loops, interleaved")
    parser.add_argument("--steps", type=int, default=5, help="steps a round")
    parser.add_argument("--work", default="", help="folder of fits and runs (rows)")
    parser.add_argument("--shots", type=int, default=20, help="images a class (rows)")
    parser.add_argument("--sampling", type=int, default=25, help="denoising steps (rows)")
    parser.add_argument("--epochs", type=int, default=10, help="epochs a technique (rows)")
    args = parser.parse_args()
    print(json.dumps(globals()[args.command](args), indent=1))


def prior_of(args: argparse.Namespace) -> Any:
    """A fresh prior: nano, or a tiny random one."""
    from imaginate.models.priors import build_prior

    if args.model == "nano":
        return build_prior("stable-diffusion", "nano", device=args.device, dtype="float32")
    from tiny import tiny_sd

    folder = tiny_sd(Path(tempfile.mkdtemp()) / "sd")
    return build_prior("stable-diffusion", str(folder), device=args.device, dtype="float32")


def speed(args: argparse.Namespace) -> dict[str, Any]:
    """Class updates per second of both loops, in turns within one process; what ours encodes once is stated too."""
    torch.set_num_threads(1)
    clock = time.perf_counter if args.device.startswith("cuda") else time.process_time
    times: dict[str, list[float]] = {"example": [], "ours": [], "ours, equal batch": []}
    share = {"example": 1, "ours": CLASSES, "ours, equal batch": 1}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        encoding, ours = our_loop(args, Path(one), args.batch * CLASSES)
        _, equal = our_loop(args, Path(two), args.batch)
        loops: dict[str, Iterator[None]] = {"example": example_loop(args), "ours": ours, "ours, equal batch": equal}
        for loop in loops.values():
            next(loop)  # the first step builds caches
        for _ in range(args.rounds):
            for name, loop in loops.items():
                began = clock()
                for _ in range(args.steps):
                    next(loop)
                times[name].append((clock() - began) / args.steps / share[name])
    median = {name: sorted(values)[len(values) // 2] for name, values in times.items()}
    ratios = {
        name: sorted(a / b for a, b in zip(times["example"], times[name], strict=True))
        for name in loops
        if name != "example"
    }
    report = {
        "batch": args.batch,
        "class_updates_per_second": {name: 1 / value for name, value in median.items()},
        "times_faster_than_the_example": {
            name: {"median": r[len(r) // 2], "least": r[0], "most": r[-1]} for name, r in ratios.items()
        },
        "encoding_seconds_once": encoding,
        "encoding_seconds_per_image": encoding / 40,
        "threads": torch.get_num_threads(),
    }
    write(f"personalisation-speed-{args.model}-{args.device.split(':')[0]}", report)
    return report


def our_loop(args: argparse.Namespace, folder: Path, batch: int) -> tuple[float, Iterator[None]]:
    """Seconds to encode 4 images of each of 10 classes, and endless steps of `batch` images over all classes."""
    from imaginate import registry
    from imaginate.data import open_dataset
    from imaginate.personalisation.core.images import prepare
    from imaginate.personalisation.core.loop import Trainer
    from imaginate.personalisation.core.objective import Objective
    from imaginate.personalisation.core.plan import FitPlan, Task

    prior, plan = prior_of(args), FitPlan(batch=batch, held_out=0.0)
    dataset = open_dataset(str(DATA), split="train", shots=4)
    clock = time.perf_counter if args.device.startswith("cuda") else time.process_time
    began = clock()
    images = prepare(dataset, prior, plan, folder, "benchmark", progress=False)
    encoding = clock() - began
    task = Task(prior, dataset.labels, images.labels, images.train, images.image, plan, args.device)
    trainer = Trainer(
        registry.make("techniques", "textual-inversion").build(task), Objective(prior), images, plan, args.device
    )

    def steps() -> Iterator[None]:
        for epoch in range(10**6):
            for _ in trainer.train_epoch(epoch, 0, 0.0):
                yield None

    return encoding, steps()


def example_loop(args: argparse.Namespace) -> Iterator[None]:
    """One class at a time, as diffusers' examples/textual_inversion does it, written anew from its description:
    decode, resize and encode each image at every step; the whole embedding table in AdamW; the other rows put back."""
    from PIL import Image

    from imaginate.data import open_dataset
    from imaginate.personalisation.core.objective import Objective
    from imaginate.prompts.texts import TEXTUAL_INVERSION

    prior = prior_of(args)
    tokenizer, encoder, vae, unet = prior.tokenizer, prior.text_encoder, prior.vae, prior.unet
    tokenizer.add_tokens(["<class>"])
    encoder.resize_token_embeddings(len(tokenizer))
    word = tokenizer.convert_tokens_to_ids("<class>")
    table = encoder.get_input_embeddings().weight
    table.requires_grad_(True)
    kept, others = table.detach().clone(), torch.arange(len(table)) != word
    optimiser = torch.optim.AdamW([table], lr=5e-4, weight_decay=1e-2)
    noise_table, dice = Objective(prior), random.Random(0)
    dataset = open_dataset(str(DATA), split="train", shots=4)

    def item(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        array = dataset.image(number).permute(1, 2, 0).numpy()
        image = Image.fromarray(array).resize((prior.image_size,) * 2, Image.Resampling.BICUBIC)
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(*image.size, 3)
        pixels = pixels.permute(2, 0, 1).float() / 127.5 - 1
        text = dice.choice(TEXTUAL_INVERSION).format(name="<class>")
        ids = tokenizer(
            text, padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt"
        ).input_ids
        return pixels.flip(-1) if dice.random() < 0.5 else pixels, ids[0]

    while True:
        pairs = [item(dice.randrange(4)) for _ in range(args.batch)]
        pixels, ids = (torch.stack(part).to(args.device) for part in zip(*pairs, strict=True))
        with torch.no_grad():
            latents = vae.encode(pixels).latent_dist.sample() * vae.config.scaling_factor
        noise = torch.randn_like(latents)
        levels = torch.randint(len(noise_table.kept), (len(latents),), device=args.device)
        share = noise_table.kept[levels].view(-1, 1, 1, 1)
        hidden = encoder(ids)[0]
        out = unet(share.sqrt() * latents + (1 - share).sqrt() * noise, levels, encoder_hidden_states=hidden).sample
        loss = torch.nn.functional.mse_loss(out, noise_table._target(latents, noise, share))
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        with torch.no_grad():
            table[others] = kept[others]
        loss.item()
        yield None


FITS: dict[str, dict[str, Any]] = {
    "ft-conditioning": {"learning_rate": 5e-3},
    "ft-cluster": {"learning_rate": 5e-3, "clusters": 3},
    "imagic": {"learning_rate": 5e-3, "denoiser_rate": 5e-5},
    "textual-inversion": {"learning_rate": 1e-3},
    "pseudoword-dm": {"learning_rate": 1e-3, "denoiser_rate": 5e-5},
    "dreambooth": {"learning_rate": 5e-4},
}
ROWS: tuple[tuple[str, str, str | None, dict[str, Any]], ...] = (
    ("prompt, simple", "prompt", None, {}),
    ("prompt, simple-nows", "prompt", None, {"prompts": "simple-nows"}),
    ("prompt, clip", "prompt", None, {"prompts": "clip", "white_space": "keep"}),
    ("prompt, sariyildiz", "prompt", None, {"prompts": "sariyildiz"}),
    ("prompt, gif", "prompt", None, {"prompts": "gif"}),
    ("boomerang", "boomerang", None, {}),
    ("ft-conditioning", "ft-conditioning", "ft-conditioning", {}),
    ("ft-cluster", "ft-cluster", "ft-cluster", {}),
    ("imagic", "imagic", "imagic", {}),
    ("textual-inversion", "textual-inversion", "textual-inversion", {}),
    ("pseudoword-dm", "pseudoword-dm", "pseudoword-dm", {}),
    ("dreambooth + prompt", "prompt", "dreambooth", {}),
    ("da-fusion", "da-fusion", "textual-inversion", {}),
    ("real-guidance", "real-guidance", None, {"guide": "nano"}),
    ("diff-mix", "diff-mix", None, {}),
)
SHOWN = 5


def rows(args: argparse.Namespace) -> dict[str, Any]:
    """Fit every technique and expand by every method on the nano prior; losses, and one row of pictures a method."""
    from imaginate.data import DataSpec
    from imaginate.personalisation.core.run import fit

    torch.set_num_threads(1)
    work = Path(args.work or tempfile.mkdtemp())
    data = DataSpec(path=str(DATA), split="train", shots=args.shots)
    losses = {}
    for name, settings in FITS.items():
        plan = {"batch": 16, "sheet_every": 0, "patience": args.epochs}
        how = {**settings, "epochs": args.epochs, "keep_first": 0}
        manifest = fit(name, data, work / "fits" / name, prior=prior_of(args), settings=how, plan=plan, progress=False)
        history = [h["validation_loss"] for h in manifest.history]
        losses[name] = {"before": history[0], "best": min(history[1:]), "chosen": manifest.chosen}
        print(name, losses[name], file=sys.stderr, flush=True)
    pictures = [("real images", _real(data))]
    pictures += [(title, _made(work, args, *row)) for title, *row in ROWS]
    _draw(pictures, _names(data), ROOT / "docs" / "img" / "personalisation.png")
    report = {"data": "imagenette-96, train", "held_out_loss": losses}
    write("personalisation-rows", report)
    return report


def _names(data: Any) -> list[str]:
    """The names of the first classes."""
    from imaginate.data import open_dataset

    return list(open_dataset(data).labels.titles[:SHOWN])


def _real(data: Any) -> list[Any]:
    """The first image of the first classes."""
    from imaginate.data import open_dataset

    dataset = open_dataset(data)
    first = [next(i for i, s in enumerate(dataset.samples) if s.label == label) for label in range(SHOWN)]
    return [dataset.image(i) for i in first]


def _made(
    work: Path, args: argparse.Namespace, method: str, technique: str | None, settings: dict[str, Any]
) -> list[Any]:
    """One new image of each of the first classes, by the real engine: of each class another category of prompts."""
    from imaginate import expand, registry
    from imaginate.data import load, open_dataset

    extra = {"adaptation": str(work / "fits" / technique)} if technique else {}
    named = "-".join(
        [method, *(str(v) for k, v in settings.items() if k == "prompts"), *([technique] if technique else [])]
    )
    by_class = registry.find("methods", method).starts_from == "class"
    amount = (
        {"per_class": _categories(settings), "steps": args.sampling}
        if by_class
        else {"copies": 1, "steps": args.sampling}
    )
    shots = args.shots if by_class else 1
    run = expand(
        str(DATA), work / "runs" / named, method, split="train", shots=shots, prior="nano", device=args.device,
        originals="none", progress=False, **amount, **extra, **settings,
    )  # fmt: skip
    made = open_dataset(str(run.path))
    print(run, file=sys.stderr, flush=True)
    by_label = [[s for s in made.samples if s.label == label] for label in range(SHOWN)]
    return [load(mine[label % len(mine)]) if mine else None for label, mine in enumerate(by_label)]


def _categories(settings: dict[str, Any]) -> int:
    """Images a class that show every category of the prompt set once: five of `sariyildiz`, else one."""
    from imaginate.prompts.sets import prompt_set

    return len(prompt_set(settings.get("prompts", "simple")).categories)


def _draw(table: list[tuple[str, list[Any]]], names: list[str], file: Path, tile: int = 96) -> None:
    """One row a method: its name, then a picture a class; the classes' names above."""
    from PIL import Image, ImageDraw, ImageFont

    left, head, gap = 150, 18, 3
    canvas = Image.new("RGB", (left + SHOWN * (tile + gap), head + len(table) * (tile + gap)), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for column, name in enumerate(names):
        middle = left + column * (tile + gap) + tile // 2
        pen.text((middle, head // 2), name, fill="black", font=ImageFont.load_default(11), anchor="mm")
    for number, (title, images) in enumerate(table):
        top = head + number * (tile + gap)
        pen.text((4, top + tile // 2 - 7), title, fill="black", font=font)
        for column, image in enumerate(images):
            if image is not None:
                canvas.paste(_square(image, tile), (left + column * (tile + gap), top))
    file.parent.mkdir(parents=True, exist_ok=True)
    canvas.quantize(128).save(file, optimize=True)


def _square(image: torch.Tensor, size: int) -> Any:
    from PIL import Image, ImageOps

    whole = Image.fromarray(image.permute(1, 2, 0).numpy())
    return ImageOps.fit(whole, (size, size), Image.Resampling.BICUBIC)


if __name__ == "__main__":
    main()
