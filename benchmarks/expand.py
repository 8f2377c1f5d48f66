"""The main job, measured: `imaginate expand` against its limit and against two plain scripts, on the same images.

    python benchmarks/expand.py [--images 20000] [--part side-by-side]

Every contender runs in its own process and on one core, in turn, several rounds; a row is the median over rounds, and
what counts are the ratios, of wall time and of processor time (the latter hardly feels a busy machine). Results are
written after each round. The limit decodes each seed and encodes each copy with the same codec, and does nothing else.
The scripts write the same PNG as we do (zlib level 3); "as written" is torchvision's with Pillow's default level, which
most scripts use.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

from imaginate.write.images import Writing

HERE = Path(__file__).resolve().parent
COPIES = 5
MEMORY = Path("/dev/shm")  # a file system in memory, where there is one: what a disk needs for a new file blurs ratios
SAME_CODEC = {"compress_level": Writing().png_level}


def dataset(root: Path, source: Path, images: int) -> Path:
    """An image folder of `images` files: the pictures of the zip, repeated under new names where they run out."""
    out = root / f"data-{images}"
    with zipfile.ZipFile(source) as archive:
        names = sorted(n for n in archive.namelist() if n.lower().endswith((".jpg", ".png", ".webp")))
        random.Random(0).shuffle(names)
        for number in range(images):
            name = names[number % len(names)]
            target = out / Path(name).parent.name / f"{number:06d}{Path(name).suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
    return out


def files_of(data: Path) -> list[Path]:
    """The seed images in order."""
    return sorted(p for p in data.rglob("*") if p.is_file())


def run_imaginate(data: Path, out: Path, method: str, workers: int) -> None:
    """Our engine."""
    import imaginate

    imaginate.expand(str(data), out, method=method, copies=COPIES, workers=workers, originals="none", progress=False)


def run_limit(data: Path, out: Path, method: str, workers: int) -> None:
    """Decode each seed once, encode it COPIES times as PNG: what no method can beat with this codec."""
    from PIL import Image

    for path in files_of(data):
        picture = Image.open(path).convert("RGB")
        for copy in range(COPIES):
            _save(picture, out, path, copy)


def run_torchvision(data: Path, out: Path, method: str, workers: int, codec: Mapping[str, Any] = SAME_CODEC) -> None:
    """A plain script of torchvision v2."""
    import torch
    from PIL import Image
    from torchvision.transforms import v2

    torch.set_num_threads(1)

    def cutout(picture: Image.Image) -> Image.Image:
        """The published cutout: the square's centre is anywhere, so that a part of it may fall outside."""
        side, x, y = min(picture.size) // 2, random.randrange(picture.width), random.randrange(picture.height)
        top, left = max(0, y - side // 2), max(0, x - side // 2)
        image = v2.functional.pil_to_tensor(picture)
        image = v2.functional.erase(image, top, left, y + side // 2 - top, x + side // 2 - left, torch.tensor(128))
        return v2.functional.to_pil_image(image)

    same = {"interpolation": v2.InterpolationMode.BILINEAR, "fill": 128}  # as ours

    def flip_crop(picture: Image.Image) -> Image.Image:
        """A random resized crop at the picture's own size, and a flip of half."""
        box = v2.RandomResizedCrop(1, scale=(0.5, 1), ratio=(3 / 4, 4 / 3)).make_params([picture])
        size = [picture.height, picture.width]
        crop = v2.functional.resized_crop(picture, box["top"], box["left"], box["height"], box["width"], size)
        return v2.functional.horizontal_flip(crop) if random.random() < 0.5 else crop

    def mixup(picture: Image.Image) -> Image.Image:
        other = v2.functional.resize(Image.open(random.choice(paths)).convert("RGB"), [picture.height, picture.width])
        return Image.blend(picture, other, _smaller_part())

    paths = files_of(data)
    ways = {"cutout": cutout, "randaugment": v2.RandAugment(2, 9, **same), "flip-crop": flip_crop, "mixup": mixup}
    for path in paths:
        picture = Image.open(path).convert("RGB")
        for copy in range(COPIES):
            _save(ways[method](picture), out, path, copy, codec)


def run_albumentations(data: Path, out: Path, method: str, workers: int) -> None:
    """A plain script of albumentations."""
    import albumentations as A
    import cv2
    import numpy as np
    from PIL import Image

    cv2.setNumThreads(1)

    def cutout(image: np.ndarray, **_: object) -> np.ndarray:
        """The published cutout: CoarseDropout's holes lie wholly inside, which leaves less for the codec to do."""
        (height, width), side = image.shape[:2], min(image.shape[:2]) // 2
        x, y, out = random.randrange(width), random.randrange(height), image.copy()
        out[max(0, y - side // 2) : y + side // 2, max(0, x - side // 2) : x + side // 2] = 128
        return out

    operations = [
        A.NoOp(p=1),
        A.Affine(shear={"x": (-17, 17)}, p=1),
        A.Affine(shear={"y": (-17, 17)}, p=1),
        A.Affine(translate_percent={"x": (-0.14, 0.14)}, p=1),
        A.Affine(translate_percent={"y": (-0.14, 0.14)}, p=1),
        A.Rotate((-9, 9), p=1),
        A.ColorJitter((0.73, 1.27), 0, 0, 0, p=1),
        A.ColorJitter(0, 0, (0.73, 1.27), 0, p=1),
        A.ColorJitter(0, (0.73, 1.27), 0, 0, p=1),
        A.Sharpen((0.1, 0.3), p=1),
        A.Posterize((6, 6), p=1),
        A.Solarize((0.7, 0.7), p=1),
        A.AutoContrast(p=1),
        A.Equalize(p=1),
    ]

    @cache
    def flip_crop_to(size: tuple[int, int]) -> A.BasicTransform:
        return A.Compose([A.RandomResizedCrop(size, (0.5, 1), (3 / 4, 4 / 3)), A.HorizontalFlip()])

    def flip_crop(image: np.ndarray) -> dict[str, np.ndarray]:
        return flip_crop_to(image.shape[:2])(image=image)

    def mixup(image: np.ndarray) -> dict[str, np.ndarray]:
        """Of its own accord it mixes pictures that are decoded already, so the partner is blended as it blends."""
        other = cv2.resize(np.asarray(Image.open(random.choice(paths)).convert("RGB")), image.shape[1::-1])
        part = _smaller_part()
        return {"image": cv2.addWeighted(image, 1 - part, other, part, 0)}

    paths = files_of(data)
    ways = {
        "cutout": A.Lambda(image=cutout, p=1),
        "randaugment": A.SomeOf(operations, n=2, p=1),
        "flip-crop": flip_crop,
        "mixup": mixup,
    }
    for path in paths:
        picture = np.asarray(Image.open(path).convert("RGB"))
        for copy in range(COPIES):
            _save(Image.fromarray(ways[method](image=picture)["image"]), out, path, copy)


def _smaller_part() -> float:
    """The weight of the other picture of a mixture: mixup's Beta(0.2, 0.2), below one half."""
    weight = random.betavariate(0.2, 0.2)
    return min(weight, 1 - weight)


def _save(picture: object, out: Path, path: Path, copy: int, codec: Mapping[str, Any] = SAME_CODEC) -> None:
    target = out / path.parent.name / f"{path.stem}-{copy}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.save(target, **codec)  # type: ignore[attr-defined]


AS_WRITTEN = "torchvision-as-written"  # how much the codec's level is worth: measured for two methods
RUNNERS = {
    "imaginate": run_imaginate,
    "limit": run_limit,
    "torchvision": run_torchvision,
    "albumentations": run_albumentations,
    AS_WRITTEN: partial(run_torchvision, codec={}),
}
IMPORTED = ("torch", "torchvision.transforms.v2", "PIL.Image", "imaginate.engine.run", "pandas")
METHODS = ("cutout", "randaugment", "flip-crop", "mixup")


def others(method: str) -> list[str]:
    """The scripts that do this method's job."""
    scripts = [name for name in RUNNERS if name not in ("imaginate", "limit")]
    return [name for name in scripts if name != AS_WRITTEN or method in METHODS[:2]]


def child(name: str, data: str, out: str, method: str, workers: int, cores: int) -> None:
    """One contender in its own process, on `cores` cores: imports first, then the clock."""
    import resource

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

    for module in IMPORTED:
        __import__(module)
    if name == "albumentations":
        __import__("albumentations")
    os.environ["OMP_NUM_THREADS"] = "1"
    warm = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    RUNNERS[name](Path(data), Path(out), method, workers)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak / 1024, "imports_mb": warm / 1024}))


def measure(root: Path, name: str, data: Path, method: str, workers: int = 1, cores: int = 999) -> dict[str, float]:
    """Run one contender on an empty folder, which stays: a file system is slow where it has just deleted much."""
    out = Path(tempfile.mkdtemp(prefix="out-", dir=root))
    command = [sys.executable, __file__, "--child", name, str(data), str(out), method, str(workers), str(cores)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "NO_ALBUMENTATIONS_UPDATE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed: {done.stderr[-2000:]}")
    made = sum(1 for p in out.rglob("*.png") if p.name != "contact-sheet.png")
    result = json.loads(done.stdout.strip().splitlines()[-1])
    return {**result, "images": made, "images_per_s": made / result["seconds"]}


def compare(root: Path, data: Path, rounds: int) -> Iterator[dict[str, dict[str, float]]]:
    """All contenders in turn, `rounds` times; after each method the medians so far, of the methods that are done."""
    import_all()
    table: dict[str, list[dict[str, float]]] = {}
    for number in range(rounds):
        table.setdefault("limit", []).append(forked(root, "limit", data, "cutout"))
        for done, method in enumerate(METHODS, start=1):
            for name in ("imaginate", *others(method)):
                row = forked(root, name, data, method)
                table.setdefault(f"{name} {method}", []).append(row)
                print(f"{name:<24}{method:<14}{1000 * row['cpu'] / row['images']:8.2f} ms an image", flush=True)
            if number == 0 or done == len(METHODS):
                yield summary(table)


def import_all() -> None:
    """What any contender imports, once: contenders are forked from here, so that none pays for it."""
    os.environ.update(OMP_NUM_THREADS="1", NO_ALBUMENTATIONS_UPDATE="1")
    warnings.simplefilter("ignore")
    for module in (*IMPORTED, "albumentations"):
        __import__(module)


def forked(root: Path, name: str, data: Path, method: str) -> dict[str, float]:
    """One contender in a process of its own, held to one core, on an empty folder."""
    out, result = Path(tempfile.mkdtemp(prefix="out-", dir=root)), root / "result.json"
    child = os.fork()
    if not child:
        failed = True
        try:
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            start, cpu = time.perf_counter(), time.process_time()
            RUNNERS[name](data, out, method, 1)
            result.write_text(json.dumps({"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}))
            failed = False
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(failed)  # nothing of the parent's is to be done here
    if os.waitpid(child, 0)[1]:
        raise SystemExit(f"{name} {method} failed")
    made = sum(1 for p in out.rglob("*.png") if p.name != "contact-sheet.png")
    row: dict[str, float] = json.loads(result.read_text())
    return {**row, "images": made, "images_per_s": made / row["seconds"]}


def summary(table: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Medians over rounds, and the medians of the ratios taken round by round: how many times as fast, by the wall's
    clock and by the processor's."""
    wall = {key: [r["images_per_s"] for r in rows] for key, rows in table.items()}
    work = {key: [1000 * r["cpu"] / r["images"] for r in rows] for key, rows in table.items()}
    out: dict[str, dict[str, float]] = {
        key: {"rounds": len(v), "images_per_s": statistics.median(v), "cpu_ms_per_image": statistics.median(work[key])}
        for key, v in wall.items()
    }
    for method in METHODS:
        key = f"imaginate {method}"
        if not all(f"{name} {method}" in table for name in ("imaginate", *others(method))):
            continue
        for other in ("limit", *(f"{name} {method}" for name in others(method))):
            out[key][f"times {other}"] = statistics.median(a / b for a, b in zip(wall[key], wall[other], strict=True))
            by_cpu = statistics.median(b / a for a, b in zip(work[key], work[other], strict=True))
            out[key][f"times {other}, by processor time"] = by_cpu
    return out


def scaling(root: Path, source: Path, small: int, large: int) -> dict[str, float]:
    """Memory and cost per image at two dataset sizes; the small one before and after the large one, against drift."""
    found: dict[int, list[dict[str, float]]] = {}
    for size in (small, large, small):
        found.setdefault(size, []).append(measure(root, "imaginate", dataset(root, source, size), "cutout"))
        last = found[size][-1]
        print(f"{size} seeds: {last['images_per_s']:.1f} images/s, peak {last['peak_mb']:.0f} MB", flush=True)
    peak = {size: max(row["peak_mb"] for row in rows) for size, rows in found.items()}
    cost = {size: statistics.mean(1000 * row["cpu"] / row["images"] for row in rows) for size, rows in found.items()}
    return {
        "seeds_small": small,
        "seeds_large": large,
        "peak_mb_small": peak[small],
        "peak_mb_large": peak[large],
        "peak_ratio": peak[large] / peak[small],
        "cpu_ms_per_image_small": cost[small],
        "cpu_ms_per_image_large": cost[large],
        "cpu_per_image_ratio": cost[large] / cost[small],
    }


def two_workers(root: Path, source: Path, size: int) -> dict[str, float]:
    """One core against two, with one worker (whose threads encode) and with two, starts and all; and what a second core
    is worth to two plain processes."""
    data = dataset(root, source, size)
    core = measure(root, "imaginate", data, "cutout", cores=1)["images_per_s"]
    one, two = (measure(root, "imaginate", data, "cutout", workers)["images_per_s"] for workers in (1, 2))
    return {
        "seeds": size,
        "one_core_images_per_s": core,
        "one_worker_images_per_s": one,
        "one_worker_times_one_core": one / core,
        "two_workers_images_per_s": two,
        "two_workers_times_one_core": two / core,
        "two_plain_processes_times_one": pair_of_limits(root, dataset(root, source, 1500)),
    }


def pair_of_limits(root: Path, data: Path) -> float:
    """What a second core is worth here: the rate of two plain decode-and-encode processes over that of one."""
    alone = measure(root, "limit", data, "cutout")["images_per_s"]
    folders = [root / "pair-0", root / "pair-1"]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda folder: measure(folder, "limit", data, "cutout")["images_per_s"], folders))
    return sum(both) / alone


def start_up(root: Path, data: Path, rounds: int = 5) -> dict[str, float]:
    """Median wall seconds of the two commands that must start at once, of PyTorch's import, and until `expand` has
    written its first image; all compiled as an installed package is."""
    out = {}
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    for title, command in {
        "imaginate --help": ["-m", "imaginate", "--help"],
        "imaginate methods": ["-m", "imaginate", "methods"],
        "import torch": [
            "-c",
            "import os, torch; os._exit(0)",
        ],  # without its end, which takes as long
    }.items():
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, env=environment, check=True)
            times.append(time.perf_counter() - start)
        out[title] = statistics.median(times)
    for workers in (1, 2):
        times = [first_image(Path(tempfile.mkdtemp(dir=root)), data, workers, environment) for _ in range(rounds)]
        out[f"first image of imaginate expand, --workers {workers}"] = statistics.median(times)
    return out


def first_image(out: Path, data: Path, workers: int, environment: Mapping[str, str]) -> float:
    """Wall seconds from the command to its first image."""
    command = ["expand", str(data), str(out), "--method", "cutout", "--originals", "none", "--workers", str(workers)]
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "imaginate", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=environment,
    ) as process:  # fmt: skip
        while not any((out / "images").rglob("*.png")):
            if process.poll() is not None:
                raise SystemExit(f"imaginate {' '.join(command)} ended without an image")
            time.sleep(0.005)
        seconds = time.perf_counter() - start
        process.terminate()
    return seconds


def main() -> None:
    """Parse, measure, write a file a part."""
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:6], int(sys.argv[6]), int(sys.argv[7]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=HERE.parent.parent / "shared/data/caltech101-96.zip")
    parser.add_argument("--images", type=int, default=20000, help="seeds of the large dataset")
    parser.add_argument("--compare-on", type=int, default=1000, help="seeds of the side-by-side comparison")
    parser.add_argument("--small", type=int, default=1000, help="seeds of the small dataset")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=["all", "start", "side-by-side", "scaling", "workers"], default="all")
    args = parser.parse_args()
    sys.path.insert(0, str(HERE))
    from _machine import write

    if args.part in ("all", "start"):
        with tempfile.TemporaryDirectory(prefix="imaginate-bench-") as folder:
            write("expand-start", start_up(Path(folder), dataset(Path(folder), args.source, 500)))
    if args.part in ("all", "side-by-side"):
        with tempfile.TemporaryDirectory(prefix="imaginate-bench-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
            root = Path(folder)
            for table in compare(root, dataset(root, args.source, args.compare_on), args.rounds):
                write("expand-side-by-side", table)
    with tempfile.TemporaryDirectory(prefix="imaginate-bench-") as folder:
        root = Path(folder)
        if args.part in ("all", "scaling"):
            write("expand-scaling", scaling(root, args.source, args.small, args.images))
        if args.part in ("all", "workers"):
            write("expand-workers", two_workers(root, args.source, args.images))


if __name__ == "__main__":
    main()
