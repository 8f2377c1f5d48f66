"""How much faster few steps and a tiny decoder are than the released loop, at the sizes of SD 1.5 and SDXL.

    python benchmarks/few_steps.py --out results                                 a GPU: both sizes, about four minutes
    python benchmarks/few_steps.py --out benchmarks/results --sizes sd15 --pixels 128 --images 1 --only rates \\
        --match steps --seconds 2000 --limit 1500 --device cpu

The weights are random (time does not depend on them) and nothing is downloaded. On a GPU it also says whether cards of
16 and 24 GB would do, and whether the same seeds give the same bits. Each part is guarded and limited in time, and the
numbers are written after each: OUT/few-steps-<device>.json.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from _machine import clock, environment
from _sizes import sd15_parts, sdxl_parts, tiny_autoencoder, vit_b_32
from reference_loop import expand_one

from imaginate.devices import pick_device

NAMES = ["cat", "dog", "orange", "axe", "boat", "hourglass", "fox", "tulip"]
STRENGTH = 0.5
GIB = 2**30
# What is timed: settings of gif-sd, and whether the tiny decoder is used. Steps are counted at strength 1.
WAYS: dict[str, tuple[dict[str, Any], bool]] = {
    "gif-sd released": ({"variant": "released"}, False),
    "gif-sd default": ({"variant": "default"}, False),
    "gif-sd released, tiny decoder": ({"variant": "released"}, True),
    "gif-sd released, LCM (4 steps, scale 1)": (
        {"variant": "released", "scheduler": "lcm", "steps": 4, "guidance_scale": 1.0},
        False,
    ),
    "gif-sd released, LCM (4 steps, scale 1), tiny decoder": (
        {"variant": "released", "scheduler": "lcm", "steps": 4, "guidance_scale": 1.0},
        True,
    ),
    "gif-sd released, Turbo (2 steps, scale 1), tiny decoder": (
        {"variant": "released", "scheduler": "euler-ancestral", "steps": 2, "guidance_scale": 1.0},
        True,
    ),
}


def main() -> None:
    """Measure every size, part after part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder for the numbers")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--sizes", nargs="+", choices=["sd15", "sdxl"], default=["sd15", "sdxl"])
    parser.add_argument("--only", nargs="+", choices=["rates", "bits", "memory"], default=["rates", "bits", "memory"])
    parser.add_argument("--match", default="", help="of the ways of gif-sd, those with this in their name")
    parser.add_argument("--pixels", type=int, help="pixels a side; the published size where not given")
    parser.add_argument("--images", type=int, default=8, help="images of SD 1.5's size, two a seed; SDXL makes half")
    parser.add_argument("--steps", type=int, default=50, help="denoising steps of the released loop at strength 1")
    parser.add_argument("--seconds", type=float, default=230.0, help="parts that would begin later are left out")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that one part may take")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; with 1, processor seconds are counted")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pick_device(args.device)
    notes = Notes(args)
    for size in args.sizes:
        measure_size(args, size, notes)
        free()
    print(notes.path)


class Notes:
    """The numbers, written after each part; a part that fails or takes too long leaves a line, not a gap."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.began, self.args = time.monotonic(), args
        folder = Path(args.out)
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"few-steps-{args.device.split(':')[0]}.json"
        self.found: dict[str, Any] = {}

    def put(self, size: str, part: str, value: Any) -> None:
        """Keep a number, and write."""
        self.found.setdefault(size, {})[part] = value
        text = json.dumps({**environment(), "results": self.found}, indent=2, ensure_ascii=False)
        self.path.write_text(text + "\n", encoding="utf-8")
        print(f"{time.monotonic() - self.began:6.1f} s  {size}: {part}: {json.dumps(value)}", flush=True)

    def attempt(self, size: str, name: str, work: Callable[[], Any], limit: float | None = None) -> Any:
        """The value of `work`; None where it failed, took too long or came too late, with a line that says so."""
        left = self.args.seconds - (time.monotonic() - self.began)
        try:
            if left <= 0:
                raise TimeoutError(f"left out: {self.args.seconds:g} seconds are over")
            with only_for(min(limit or left, left)):
                return work()
        except Exception as error:
            line = (str(error) or type(error).__name__).splitlines()[0][:200]
            self.put(size, f"{name}: failed", f"{type(error).__name__}: {line}")
            return None
        finally:
            free()

    def measure(self, size: str, name: str, work: Callable[[], Any]) -> Any:
        """The value of `work`, kept under a name; None where it failed."""
        found = self.attempt(size, name, work, self.args.limit)
        if found is not None:
            self.put(size, name, found)
        return found


@contextlib.contextmanager
def only_for(seconds: float) -> Iterator[None]:
    """TimeoutError in the body after these seconds."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"longer than {seconds:.0f} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def free() -> None:
    """Give memory back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


# ---------------------------------------------------------------- one size


class Bench:
    """A prior and a guide of one size on the device, in float32 as released and in the device's own precision."""

    def __init__(self, args: argparse.Namespace, size: str) -> None:
        from imaginate.models.checkpoints import precision
        from imaginate.models.guides import build_guide
        from imaginate.records import LabelSpace

        self.args, self.size, self.device = args, size, args.device
        self.count = max(1, args.images if size == "sd15" else args.images // 2)
        self.copies = min(2, self.count)
        self.dtype = precision(None, self.device)
        labels = LabelSpace.of(NAMES)
        guide_folder = vit_b_32(Path(tempfile.mkdtemp()) / "clip")
        self.guide = build_guide(f"clip:{guide_folder}", labels, device=self.device)
        made = sd15_parts if size == "sd15" else sdxl_parts
        with torch.device(self.device):
            self.parts = made(**({"pixels": args.pixels} if args.pixels else {}))
            self.tiny = tiny_autoencoder()
        self.own = self.parts.vae

    def prior(self, dtype: torch.dtype, *, is_tiny: bool = False) -> Any:
        """The prior in a precision, with its own decoder or the tiny one."""
        from imaginate.models.checkpoints import freeze
        from imaginate.models.priors.stable_diffusion import StableDiffusion

        self.parts.vae = self.own
        prior = StableDiffusion(self.parts, name=f"{self.size}-random", device=self.device, dtype=dtype)
        if is_tiny:
            prior.put_network("vae", freeze(self.tiny, self.device, dtype))
        return prior

    def describe(self) -> dict[str, Any]:
        """What was built."""
        parts = {name: part for name, part in self.parts.components.items() if isinstance(part, torch.nn.Module)}
        millions = {name: round(sum(p.numel() for p in part.parameters()) / 1e6) for name, part in parts.items()}
        side = self.parts.unet.config.sample_size * 8
        return {"pixels": side, "images": self.count, "dtype": str(self.dtype), "millions of weights": millions}

    def seeds(self) -> list[torch.Tensor]:
        """Smooth random pictures (3, s, s) uint8."""
        side = self.parts.unet.config.sample_size * 8
        small = torch.rand(self.count // self.copies, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        large = torch.nn.functional.interpolate(small, (side, side), mode="bicubic").clamp(0, 1)
        return list((large * 255).byte())

    def released(self, prior: Any, steps: int) -> None:
        """The released loop over all seeds."""
        with tempfile.TemporaryDirectory() as place:
            for i, image in enumerate(self.seeds()):
                settings = {"strength": STRENGTH, "scale": 8.0, "steps": steps, "eps": 0.8}
                expand_one(image, NAMES[i % len(NAMES)], prior, self.guide, self.copies, Path(place), **settings)

    def guided(self, prior: Any, settings: dict[str, Any]) -> list[Any]:
        """Candidates of gif-sd on the same seeds, encoded as PNG."""
        from imaginate import registry
        from imaginate.write.images import Writing, encode

        values = {"eps": 0.8, "strength": STRENGTH, "steps": self.args.steps, **settings}
        method = registry.make("methods", "gif-sd", values)
        guide = self.guide
        context = SimpleNamespace(prior=prior, guide=guide, labels=guide.labels, device=self.device)
        found = list(method.expand(self.requests(), context))
        for candidate in found:
            if candidate.image is None:
                raise RuntimeError(f"an image failed: {candidate.failed}")
            encode(candidate.image, Writing())
        return found

    def requests(self) -> list[Any]:
        """One request a seed."""
        from imaginate.records import Request

        copies = range(self.copies)
        return [
            Request(
                key=str(i), label=i % len(NAMES), copies=tuple(copies), seeds=tuple(1000 * i + j for j in copies),
                image=image,
            )
            for i, image in enumerate(self.seeds())
        ]  # fmt: skip


def measure_size(args: argparse.Namespace, size: str, notes: Notes) -> None:
    """All parts of one size."""
    bench = notes.attempt(size, "build", lambda: Bench(args, size))
    if bench is None:
        return
    notes.put(size, "build", bench.describe())
    wanted = args.only
    if "rates" in wanted:
        rates(bench, notes)
    if "bits" in wanted:
        notes.measure(bench.size, "the same bits twice", lambda: repeats(bench))
    if "memory" in wanted and bench.device.startswith("cuda"):
        for gigabytes in (16, 24):
            for label in ("gif-sd default", "gif-sd released, LCM (4 steps, scale 1), tiny decoder"):
                work = partial(fits, bench, gigabytes, *WAYS[label])
                notes.measure(bench.size, f"a card of {gigabytes} GB, {label}", work)


def rates(bench: Bench, notes: Notes) -> None:
    """Images a second of the released loop in float32 and of ours, and how many times faster each is."""
    released = notes.measure(bench.size, "released loop (float32, pairs)", lambda: released_rate(bench))
    slow = (released or {}).get("images_per_second")
    for label, (settings, is_tiny) in WAYS.items():
        if bench.args.match not in label:
            continue

        def work(settings: dict[str, Any] = settings, is_tiny: bool = is_tiny) -> dict[str, Any]:
            prior = bench.prior(bench.dtype, is_tiny=is_tiny)
            if bench.device.startswith("cuda"):
                bench.guided(prior, {**settings, "steps": min(4, int(settings.get("steps", 4)))})  # warms up
            return timed(bench, lambda: bench.guided(prior, settings), slow)

        notes.measure(bench.size, label, work)


def released_rate(bench: Bench) -> dict[str, Any]:
    prior = bench.prior(torch.float32)
    if bench.device.startswith("cuda"):
        bench.released(prior, 4)
    return timed(bench, lambda: bench.released(prior, bench.args.steps), None)


def timed(bench: Bench, work: Callable[[], Any], slow: float | None) -> dict[str, Any]:
    """Images a second, the peak of memory, and the ratio to the released loop."""
    free()
    seconds = clock(work)
    rate = bench.count / seconds
    found: dict[str, Any] = {"seconds_per_image": round(1 / rate, 4), "images_per_second": round(rate, 5)}
    if slow:
        found["times_the_released_loop"] = round(rate / slow, 2)
    if bench.device.startswith("cuda"):
        found["peak_gib"] = round(torch.cuda.max_memory_allocated() / GIB, 2)
    return found


def repeats(bench: Bench) -> dict[str, Any]:
    """Whether the same seeds give the same bits: again, and when each seed image is expanded alone."""
    settings = {**WAYS["gif-sd default"][0], "steps": 8}
    prior = bench.prior(bench.dtype)
    first, again = ([c.image for c in bench.guided(prior, settings)] for _ in range(2))
    prior.batch.diffuse = prior.batch.encode = prior.batch.decode = prior.batch.gradient = 1
    alone = [c.image for c in bench.guided(prior, settings)]
    return {
        "again": all(torch.equal(a, b) for a, b in zip(first, again, strict=True)),
        "again: levels of 255 apart at most": apart(first, again),
        "one image at a time: levels of 255 apart at most": apart(first, alone),
        "one image at a time: share of pixels apart by more than one level": share(first, alone),
    }


def apart(first: list[Any], second: list[Any]) -> float:
    """The largest difference between two lists of images, in levels of 255."""
    return round(max(float((a - b).abs().max()) for a, b in zip(first, second, strict=True)) * 255, 3)


def share(first: list[Any], second: list[Any]) -> float:
    """The share of values that differ by more than a level of 255."""
    far = [((a - b).abs() > 1.001 / 255).float().mean() for a, b in zip(first, second, strict=True)]
    return round(float(torch.stack(far).mean()), 5)


def fits(bench: Bench, gigabytes: int, settings: dict[str, Any], is_tiny: bool) -> dict[str, Any]:
    """One pair of images with so much memory and no more: the batches shrink until it is enough, or the error."""
    total = torch.cuda.get_device_properties(bench.device).total_memory
    prior = bench.prior(bench.dtype, is_tiny=is_tiny)
    free()
    torch.cuda.set_per_process_memory_fraction(min(1.0, (gigabytes * 1e9 - 0.7 * GIB) / total))  # CUDA's own is 0.7
    try:
        bench.guided(prior, {**settings, "steps": min(8, int(settings.get("steps", 8)))})
        return {"would do": True, "peak_gib": round(torch.cuda.max_memory_reserved() / GIB, 2)}
    except Exception as error:
        return {"would do": False, "reason": str(error).splitlines()[0][:150]}
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


if __name__ == "__main__":
    main()
