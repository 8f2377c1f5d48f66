"""Speed and cost of guided imagination, as ratios inside one run on one machine.

    python benchmarks/imagination.py speed     --model nano|sd15|tiny   the released loop against gif-sd, same steps
    python benchmarks/imagination.py shares    --model nano|sd15|tiny   where the time of both goes, network by network
    python benchmarks/imagination.py overhead  --model nano|tiny        a whole `expand` against the bare diffusers loop
    python benchmarks/imagination.py variants  --model nano --method gif-mae --data ../shared/data/flowers102-64
    python benchmarks/imagination.py precision --model nano|sd15|tiny   bfloat16, channels last, compilation
    python benchmarks/imagination.py memory                             peak of one more image, real SD 1.5 architecture

`sd15` is the real Stable Diffusion 1.5 architecture with random weights (no download). Runs unchanged on a GPU
(`--device cuda`). Each command writes benchmarks/results/imagination-<command>-<model>-<device>.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from _machine import clock, write
from _sizes import sd15_parts, vit_b_32

NAMES = ["cat", "dog", "orange", "axe", "boat", "hourglass", "fox", "tulip"]


def main() -> None:
    """Parse, run one command, print and write its numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["speed", "shares", "overhead", "variants", "precision", "memory"])
    parser.add_argument("--model", choices=["nano", "sd15", "tiny"], default="tiny")
    parser.add_argument("--method", choices=["gif-sd", "gif-mae"], default="gif-sd", help="what `variants` runs")
    parser.add_argument("--data", help="take the seeds from this dataset: the first image of each class (variants)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seeds", type=int, default=8, help="seed images")
    parser.add_argument("--copies", type=int, default=4, help="copies of each")
    parser.add_argument("--steps", type=int, default=20, help="denoising steps at strength 1")
    parser.add_argument("--strength", type=float, default=0.5)
    parser.add_argument("--dtype", help="precision of our side (speed); the device's default where not given")
    parser.add_argument("--compile", action="store_true", help="also measure compilation (precision)")
    parser.add_argument("--repeat", type=int, default=2, help="timings of each thing; the best counts")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; with 1, processor seconds are counted")
    parser.add_argument("--size", type=int, default=512, help="pixels a side (memory)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    numbers = {"device": args.device, "threads": torch.get_num_threads(), **globals()[args.command](args)}
    kind = f"{args.command}-{args.method}" if args.command == "variants" else args.command
    kind += f"-{args.dtype}" if args.dtype else ""
    print(json.dumps(numbers, indent=1))
    write(f"imagination-{kind}-{args.model}-{args.device.split(':')[0]}", numbers)


# ---------------------------------------------------------------- commands


def speed(args: argparse.Namespace) -> dict[str, Any]:
    """Images a second of the released loop, of gif-sd `released` with the same steps, and with few-step schedulers."""
    slow, guide = build(args, "float32")
    slow_rate = timed(args, lambda: reference(args, slow, guide))
    fast, guide = build(args, args.dtype)
    rates = {"reference loop (float32, pairs)": slow_rate}
    for label, settings in {
        "gif-sd released": {"variant": "released"},
        "gif-sd paper": {"variant": "paper"},
        "gif-sd default": {"variant": "default"},
        "gif-sd released, dpmsolver, a quarter of the steps": {
            "variant": "released",
            "scheduler": "dpmsolver",
            "steps": max(4, args.steps // 4),
        },
    }.items():
        rates[label] = timed(args, lambda s=settings: ours(args, fast, guide, **s))  # type: ignore[misc]
    return {
        "dtype": str(fast.dtype),
        "images_per_second": rates,
        "ratio": {k: round(v / slow_rate, 2) for k, v in rates.items()},
    }


def shares(args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of the released loop and of gif-sd `released` in each network, in the gradient, and in everything else;
    and how many times as fast as the loop ours would be if everything but these took no time."""
    slow, guide = build(args, "float32")
    fast, fast_guide = build(args, args.dtype)
    sides = {
        "reference loop": (slow, guide, partial(reference, args, slow, guide)),
        "gif-sd released": (fast, fast_guide, partial(ours, args, fast, fast_guide, variant="released")),
    }
    found = {}
    for name, (prior, judge, work) in sides.items():
        work()
        with networks_timed(prior, judge) as spent:
            whole = clock(work)
        found[name] = {"seconds": whole, **spent, "everything else": whole - sum(spent.values())}
    loop, mine = found["reference loop"], found["gif-sd released"]
    return {
        "images": args.seeds * args.copies,
        "seconds": found,
        "times as fast": round(loop["seconds"] / mine["seconds"], 2),
        "if all but networks and gradient took no time": round(
            loop["seconds"] / (mine["seconds"] - mine["everything else"]), 2
        ),
        "if all but the denoising network took no time": round(loop["seconds"] / mine["denoising network"], 2),
    }


@contextmanager
def networks_timed(prior: Any, guide: Any) -> Iterator[dict[str, float]]:
    """Seconds by part, while it is open."""
    spent: dict[str, float] = {}
    parts = [
        (prior.unet, "forward", "denoising network"),
        (prior.vae, "encode", "encoder"),
        (prior.vae, "decode", "decoder"),
        (prior.text_encoder, "forward", "text encoder"),
        (guide, "embed", "guide"),
        (torch.autograd, "grad", "gradient"),
    ]

    def timed_part(call: Any, name: str, *values: Any, **named: Any) -> Any:
        out: list[Any] = []
        spent[name] = spent.get(name, 0.0) + clock(lambda: out.append(call(*values, **named)))
        return out[0]

    with ExitStack() as stack:
        for owner, call, name in parts:
            timed_call = partial(timed_part, getattr(owner, call), name)
            stack.enter_context(patch.object(owner, call, timed_call))
        yield spent


def overhead(args: argparse.Namespace) -> dict[str, Any]:
    """Time of a whole `expand` with `sd` beyond the bare loop doing the same forward passes in the same batches."""
    import imaginate.engine.context as context
    from imaginate.engine.run import expand

    prior, _ = build(args, "float32")
    built = context.RunContext.prior
    context.RunContext.prior = prior  # the same model, already loaded: loading is not what is measured
    bare, whole = [], []
    try:
        with tempfile.TemporaryDirectory() as place:
            folder = seed_folder(args, Path(place) / "seeds")
            for round_ in range(args.repeat + 1):
                bare.append(clock(lambda: bare_loop(args, prior)))
                out, settings = Path(place) / f"run{round_}", {"steps": args.steps, "strength": args.strength}
                whole.append(
                    clock(
                        lambda out=out, settings=settings: expand(  # type: ignore[misc]
                            str(folder),
                            out,
                            "sd",
                            copies=args.copies,
                            batch=args.seeds,
                            prior="nano",
                            device=args.device,
                            progress=False,
                            originals="none",
                            **settings,
                        )
                    )
                )
    finally:
        context.RunContext.prior = built
    low, high = min(bare[1:]), min(whole[1:])
    return {"bare_seconds": low, "expand_seconds": high, "overhead": round(high / low - 1, 4), "rounds": [bare, whole]}


def variants(args: argparse.Namespace) -> dict[str, Any]:
    """What each variant costs, how far it raises S, who keeps the class, and how far apart the copies end."""
    requests = real_requests(args) if args.data else None
    prior, guide = build(args, "float32", [r.key for r in requests] if requests else NAMES)
    rows = {}
    for name in ("paper", "released", "default"):
        made: list[Any] = []
        seconds = clock(partial(fill, made, args, prior, guide, name, requests))
        keys = ("kept", "entropy_gain", "diversity", "total")
        means = {
            f"{key}_{when}": round(sum(c.scores[f"{key}_{when}"] for c in made) / len(made), 4)
            for key in keys
            for when in ("before", "after")
        }
        for when in ("before", "after"):
            same = sum(c.info[f"class_{when}"] == c.info["seed_class"] for c in made)
            means[f"same_class_{when}"] = round(same / len(made), 4)
        rows[name] = {"seconds_per_image": round(seconds / len(made), 4), **means, "apart_after": apart(made, guide)}
    return {"method": args.method, "images": len(made), "variants": rows}


@torch.no_grad()
def apart(made: list[Any], guide: Any) -> float:
    """Mean of 1 - cosine between the guide's views of two copies of one seed."""
    by_seed: dict[str, list[torch.Tensor]] = {}
    for c in made:
        by_seed.setdefault(c.key, []).append(c.image)
    far = []
    for images in by_seed.values():
        e = guide.embed(torch.stack(images).to(guide_device(guide))).float()
        k = len(e)
        far.append(float((1 - e @ e.T).sum() / (k * (k - 1))))
    return round(sum(far) / len(far), 4)


def guide_device(guide: Any) -> str:
    """Where a guide computes."""
    return str(getattr(guide, "device", "cpu"))


def precision(args: argparse.Namespace) -> dict[str, Any]:
    """Speed of the denoising loop and distance from float32, by precision, memory layout and compilation."""
    rows: dict[str, Any] = {}
    latents = reference_out = None
    for label, dtype, last, compiled in [
        ("float32", "float32", False, False),
        ("float32 channels last", "float32", True, False),
        ("bfloat16", "bfloat16", False, False),
        ("bfloat16 channels last", "bfloat16", True, False),
        ("bfloat16 channels last compiled", "bfloat16", True, True),
    ]:
        if compiled and not args.compile:
            continue
        prior, _ = build(args, dtype)
        if not last:
            prior.unet.to(memory_format=torch.contiguous_format)
        if compiled:
            prior.compile()
        count = args.seeds * args.copies
        if latents is None:
            latents = prior.encode(torch.cat(seeds_of(args, prior.image_size)), list(range(args.seeds)))
            latents = latents.repeat_interleave(args.copies, dim=0)

        def run(prior: Any = prior, count: int = count, latents: Any = latents) -> torch.Tensor:
            out: torch.Tensor = prior.diffuse(
                latents,
                ["a cat"] * count,
                strength=args.strength,
                guidance_scale=8.0,
                steps=args.steps,
                seeds=list(range(count)),
            )
            return out

        try:
            run()
            seconds, out = clock(run), run()
        except Exception as error:  # compilation needs a compiler
            rows[label] = {"error": str(error).splitlines()[0][:100]}
            continue
        reference_out = out if reference_out is None else reference_out
        away = (out - reference_out).abs().mean() / reference_out.std()
        rows[label] = {"images_per_second": round(count / seconds, 3), "relative_distance": round(float(away), 5)}
    return {"denoising": rows}


def memory(args: argparse.Namespace) -> dict[str, Any]:
    """MiB that one more image of `--size` px adds, float32: peak on a GPU; on a CPU the bytes kept for the gradient."""
    vae = sd15_parts(only="vae").vae.to(args.device)
    side = args.size // 8
    latents = torch.randn(1, 4, side, side, device=args.device)
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    weights = {p.untyped_storage().data_ptr() for p in vae.parameters()}
    numbers: dict[str, Any] = {"size": args.size}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        vae.requires_grad_(False)
        out = vae.decode(latents.requires_grad_()).sample
    numbers["gradient_saved_MiB"] = round(sum(n for p, n in kept.items() if p not in weights) / 2**20)
    if args.device.startswith("cuda"):
        del out
        for label, grad in (("decode_peak_MiB", False), ("gradient_peak_MiB", True)):
            torch.cuda.reset_peak_memory_stats()
            base = torch.cuda.memory_allocated()
            with torch.set_grad_enabled(grad):
                pixels = vae.decode(latents.detach().requires_grad_(grad)).sample
                if grad:
                    pixels.sum().backward()
            numbers[label] = round((torch.cuda.max_memory_allocated() - base) / 2**20)
            del pixels
    return numbers


# ---------------------------------------------------------------- the two sides


def add_one(made: list[int]) -> None:
    """Count an image."""
    made[0] += 1


def fill(
    made: list[Any], args: argparse.Namespace, prior: Any, guide: Any, variant: str, requests: list[Any] | None
) -> None:
    """Put the candidates of one variant into `made`."""
    made += ours(args, prior, guide, requests, variant=variant)


def real_requests(args: argparse.Namespace) -> list[Any]:
    """The first image of each of the first classes of a dataset, one request each, keyed by class name."""
    from imaginate.data import load, open_dataset
    from imaginate.records import Request

    data = open_dataset(args.data, split="train", shots=1)
    first = {sample.label: sample for sample in reversed(data.samples)}
    return [
        Request(
            key=data.labels.titles[label],
            label=number,
            copies=tuple(range(args.copies)),
            seeds=tuple(1000 * number + j for j in range(args.copies)),
            image=load(first[label]),
        )
        for number, label in enumerate(sorted(first)[: args.seeds])
    ]


def reference(args: argparse.Namespace, prior: Any, guide: Any) -> int:
    """The released loop over all seeds; the number of images made."""
    from reference_loop import expand_one

    made = [0]
    with tempfile.TemporaryDirectory() as place:
        for i, image in enumerate(seeds_of(args, prior.image_size)):
            pixels = (image[0] * 255).byte()
            settings = {"strength": args.strength, "scale": 8.0, "steps": args.steps, "eps": 0.8}
            name, count = NAMES[i % len(NAMES)], partial(add_one, made)
            expand_one(pixels, name, prior, guide, args.copies, Path(place), on_saved=count, **settings)
    return made[0]


def ours(
    args: argparse.Namespace, prior: Any, guide: Any, requests: list[Any] | None = None, **settings: Any
) -> list[Any]:
    """The guided method on the same seeds, with PNG encoding, as the engine would call it."""
    from imaginate import registry
    from imaginate.write.images import Writing, encode

    values = {"eps": 0.8, **settings}
    if args.method == "gif-sd":
        values = {"strength": args.strength, "steps": args.steps, **values}
    method = registry.make("methods", args.method, values)
    context = SimpleNamespace(prior=prior, guide=guide, labels=guide.labels, device=args.device)
    made = method.expand(requests or made_up_requests(args, prior, guide), context)
    for candidate in made:
        encode(candidate.image, Writing())
    return list(made)


def made_up_requests(args: argparse.Namespace, prior: Any, guide: Any) -> list[Any]:
    """Requests for the smooth random pictures."""
    from imaginate.records import Request

    return [
        Request(
            key=str(i),
            label=i % len(guide.labels),
            copies=tuple(range(args.copies)),
            seeds=tuple(1000 * i + j for j in range(args.copies)),
            image=(image[0] * 255).byte(),
        )
        for i, image in enumerate(seeds_of(args, prior.image_size))
    ]


@torch.no_grad()
def bare_loop(args: argparse.Namespace, prior: Any) -> None:
    """diffusers' parts and nothing else: the forward passes of `sd`, in the same micro-batches."""
    parts = prior.pipe
    count = args.seeds * args.copies
    pixels = torch.cat(seeds_of(args, prior.image_size)).repeat_interleave(args.copies, dim=0).to(args.device)
    latents = torch.cat([parts.vae.encode(p * 2 - 1).latent_dist.sample() for p in pixels.split(prior.batch.encode)])
    latents = latents * parts.vae.config.scaling_factor
    ids = parts.tokenizer(
        [f"an image of a {i}" for i in range(count)], padding="max_length",
        max_length=parts.tokenizer.model_max_length, return_tensors="pt",
    ).input_ids.to(args.device)  # fmt: skip
    hidden = torch.cat([parts.text_encoder(row[None])[0] for row in ids])
    empty = hidden[:1].expand_as(hidden)
    done = []
    for part in torch.arange(count).split(prior.batch.diffuse):
        scheduler = type(parts.scheduler).from_config(parts.scheduler.config)
        scheduler.set_timesteps(args.steps)
        timesteps = scheduler.timesteps[args.steps - int(args.steps * args.strength) :]
        x = scheduler.add_noise(latents[part], torch.randn_like(latents[part]), timesteps[:1])
        both = torch.cat([empty[part], hidden[part]])
        for t in timesteps:
            u, c = parts.unet(torch.cat([x, x]), t, encoder_hidden_states=both).sample.chunk(2)
            x = scheduler.step(u + 8.0 * (c - u), t, x).prev_sample
        done.append(x)
    for part in (torch.cat(done) / parts.vae.config.scaling_factor).split(prior.batch.decode):
        parts.vae.decode(part)


# ---------------------------------------------------------------- models and seeds


def build(args: argparse.Namespace, dtype: str | None, names: list[str] = NAMES) -> tuple[Any, Any]:
    """(prior, guide) of the wanted size; None is the default precision of the device."""
    from imaginate.models.guides import build_guide
    from imaginate.models.priors import build_prior
    from imaginate.records import LabelSpace

    labels = LabelSpace.of(names)
    family, folder = ("mae", "mae") if args.method == "gif-mae" else ("stable-diffusion", "sd")
    if args.model == "nano":
        prior = build_prior(family, "nano", device=args.device, dtype=dtype)
        return prior, build_guide("nano", labels, device=args.device)
    import tiny

    place = Path(tempfile.mkdtemp())
    if args.model == "tiny":
        made = getattr(tiny, f"tiny_{folder}")(place / folder)
        prior = build_prior(family, str(made), device=args.device, dtype=dtype)
        return prior, build_guide(f"clip:{tiny.tiny_clip(place / 'clip')}", labels, device=args.device)
    from imaginate.models.checkpoints import precision as named
    from imaginate.models.priors.stable_diffusion import StableDiffusion

    parts = sd15_parts()
    prior = StableDiffusion(parts, name="sd15-random", device=args.device, dtype=named(dtype, args.device))
    return prior, build_guide(f"clip:{vit_b_32(place / 'clip')}", labels, device=args.device)


def seeds_of(args: argparse.Namespace, size: int) -> list[torch.Tensor]:
    """Smooth random pictures (1, 3, size, size) in [0, 1]."""
    g = torch.Generator().manual_seed(0)
    small = torch.rand(args.seeds, 3, 8, 8, generator=g)
    return list(torch.nn.functional.interpolate(small, (size, size), mode="bicubic").clamp(0, 1).split(1))


def seed_folder(args: argparse.Namespace, folder: Path) -> Path:
    """The same seeds as an image folder of PNG files."""
    from torchvision.io import write_png

    for i, image in enumerate(seeds_of(args, 64)):
        place = folder / NAMES[i % len(NAMES)]
        place.mkdir(parents=True, exist_ok=True)
        write_png((image[0] * 255).byte(), str(place / f"{i}.png"))
    return folder


def timed(args: argparse.Namespace, work: Any) -> float:
    """Images a second: the best of `--repeat` times, after one to warm up (with 1, no warming up)."""
    if args.repeat > 1:
        work()
    return round(args.seeds * args.copies / min(clock(work) for _ in range(args.repeat)), 4)


if __name__ == "__main__":
    main()
