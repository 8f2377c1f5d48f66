"""Choose a fit's checkpoint as RET does: by the validation accuracy of a classifier trained on seeds and new images.

RET section 3.2: "We selected the final model checkpoint based on the validation accuracy of a ResNet-50 classifier
trained on the union of augmented samples and the target data set." The validation images are those that the fit held
out; neither the adaptation nor the classifier has trained on them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from imaginate.data import DataSpec, load, open_dataset
from imaginate.errors import ConfigError, ModelError
from imaginate.models.adaptations.folder import Manifest, read_manifest
from imaginate.progress import bar


def check_choice(args: argparse.Namespace, held_out: float) -> None:
    """Refuse before the fit what the choice could not do after it."""
    from imaginate import registry
    from imaginate.cli.fit import method_of
    from imaginate.training.architectures import check_arch

    if held_out == 0:
        raise ConfigError("select-by accuracy needs held-out images, got held_out 0")
    for name in ("select_per_class", "select_updates", "select_size"):
        if getattr(args, name) < 1:
            raise ConfigError(f"{name.replace('_', '-')} must be in [1, inf), got {getattr(args, name)}")
    registry.find("methods", method_of(args))
    check_arch(args.select_arch)


def choose(args: argparse.Namespace, data: DataSpec, device: str) -> Manifest:
    """Make images with every kept checkpoint, train on each, and write the best into adaptation.json."""
    out = Path(args.out)
    manifest = read_manifest(out)
    assert manifest is not None
    names = sorted(set(manifest.checkpoints.values()))
    held_out = set(json.loads((out / "held-out.json").read_text(encoding="utf-8")))
    if not held_out:
        raise ConfigError("select-by accuracy needs held-out images, got one image a class")
    for name in names:
        key = _key(args, name)
        if key not in manifest.accuracy:
            run = _expand(args, data, name, device)
            manifest.accuracy[key] = _accuracy(args, data, held_out, run, out / "select" / key, device)
            manifest.write(out)
    scores = {name: manifest.accuracy[_key(args, name)] for name in names}
    manifest.chosen = max(names, key=lambda name: scores[name])  # the earliest of equals
    manifest.chosen_by = "validation accuracy: " + ", ".join(f"{n} {scores[n]:.3f}" for n in names)
    manifest.write(out)
    return manifest


def _key(args: argparse.Namespace, name: str) -> str:
    """All that a checkpoint's accuracy depends on; also the name of its classifier's folder."""
    return f"{_images(args, name)}-{args.select_arch}-{args.select_size}-{args.select_updates}".replace("/", "-")


def _images(args: argparse.Namespace, name: str) -> str:
    """The name of the run that a checkpoint makes."""
    from imaginate.cli.fit import method_of

    return f"{name}-{method_of(args)}-{args.select_per_class}"


def _expand(args: argparse.Namespace, data: DataSpec, name: str, device: str) -> str:
    """A run of the technique's method with one checkpoint, new images only."""
    from imaginate import registry
    from imaginate.cli.fit import method_of
    from imaginate.engine.run import expand
    from imaginate.settings import values_of

    method, run = method_of(args), str(Path(args.out) / "select" / _images(args, name))
    by_class = registry.find("methods", method).starts_from == "class"
    amount = {"per_class": args.select_per_class} if by_class else {"copies": 1}
    roles = {"prior": args.prior, "adaptation": f"{args.out}@{name}", "device": device}
    recipe = {
        "data": values_of(data),
        "method": method,
        "expand": amount,
        "roles": roles,
        "write": {"originals": "none"},
    }
    expand(out=run, recipe=recipe, progress=not args.quiet)
    return run


def _accuracy(
    args: argparse.Namespace, data: DataSpec, held_out: set[str], run: str, folder: Path, device: str
) -> float:
    """The best validation accuracy of one classifier, trained on the seeds that are not held out and the new images."""
    import numpy as np

    from imaginate.training.loop import fit
    from imaginate.training.pixel_cache import build_pixel_cache
    from imaginate.training.plan import TrainPlan
    from imaginate.training.recipes import Recipe
    from imaginate.training.training_set import join

    seeds, made = open_dataset(data), open_dataset(run)
    known = {name: label for label, name in enumerate(seeds.labels.names)}
    size, classes, cache = args.select_size, len(seeds.labels), folder.parent / "pixels"
    real = build_pixel_cache(seeds.samples, cache, size=size, classes=classes, load=load)
    new = build_pixel_cache(made.samples, cache, size=size, classes=classes, load=load)
    out_of_fit = np.array([sample_id in held_out for sample_id in real.ids])
    rows, fresh = np.flatnonzero(real.usable & ~out_of_fit), np.flatnonzero(new.usable)
    if not len(fresh):
        raise ModelError(f"{run} has no new image to train on")
    labels = np.array([known[made.labels.names[label]] for label in new.label])
    soft = None if new.soft is None else new.soft[fresh]
    train = join([(real.path, rows, real.label[rows], None), (new.path, fresh, labels[fresh], soft)], classes)
    checked = np.flatnonzero(real.usable & out_of_fit)
    validation = join([(real.path, checked, real.label[checked], None)], classes)
    recipe = Recipe(batch=min(64, len(train)))
    epoch = max(1, len(rows) // recipe.batch)
    plan = TrainPlan(
        arch=args.select_arch, classes=classes, size=size, recipe=recipe, updates=args.select_updates, epoch=epoch,
        seed=0, device=device,
    )  # fmt: skip
    with bar(f"judging {Path(run).name}", plan.updates, unit="updates", show=not args.quiet) as shown:
        trained: Any = fit(plan, train, validation, folder, advance=shown.advance)
    return float(trained.state.best[0])
